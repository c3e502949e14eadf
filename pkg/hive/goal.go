package hive

import (
	"fmt"
	"slices"
	"strings"
)

// Goal is what a deployment wants to reach on each node; the words are
// Colmena's and, from [Switch] to [DryActivate], switch-to-configuration's.
type Goal string

// The goals, in the order in which they reach further.
const (
	Build       Goal = "build"
	Push        Goal = "push"
	Switch      Goal = "switch"
	Boot        Goal = "boot"
	Test        Goal = "test"
	DryActivate Goal = "dry-activate"
	Keys        Goal = "keys"
)

// What commands other than apply take nodes to.
const (
	Exec   Goal = "exec"   // a user's own command is run on the host
	Reboot Goal = "reboot" // the host boots what it is set to boot
	Diff   Goal = "diff"   // what the host runs is compared with the node's system
	Status Goal = "status" // the host is asked what it is like
)

// Goals lists every goal that apply knows.
var Goals = []Goal{Build, Push, Switch, Boot, Test, DryActivate, Keys}

// uploadKeys is [Keys] in Colmena after 0.4, whose manual still says keys.
const uploadKeys = "upload-keys"

// ParseGoal returns the goal named s, or an error that lists the valid ones.
func ParseGoal(s string) (Goal, error) {
	if s == uploadKeys {
		return Keys, nil
	}
	if g := Goal(s); slices.Contains(Goals, g) {
		return g, nil
	}
	return "", fmt.Errorf("unknown goal %q: use one of %s", s, strings.Join(GoalNames(), ", "))
}

// GoalNames lists every word that [ParseGoal] takes.
func GoalNames() []string {
	var names []string
	for _, g := range Goals {
		names = append(names, string(g))
	}
	return append(names, uploadKeys)
}

// Asks reports whether the goal is run for what a command prints: a deployment's table
// has nothing to add, and nothing of ours changes a host.
func (g Goal) Asks() bool { return g == Exec || g == Diff || g == Status }

// NeedsHost reports whether the goal touches the node's host at all.
func (g Goal) NeedsHost() bool { return g != Build }

// NeedsToplevel reports whether the node's system closure is evaluated and built.
func (g Goal) NeedsToplevel() bool { return g != Keys && g != Exec && g != Reboot && g != Status }

// Activates reports whether switch-to-configuration runs.
func (g Goal) Activates() bool {
	return g == Switch || g == Boot || g == Test || g == DryActivate
}

// SetsProfile reports whether the system profile moves to the new toplevel.
func (g Goal) SetsProfile() bool { return g == Switch || g == Boot }

// UploadsKeys reports whether the goal changes keys on the host.
func (g Goal) UploadsKeys() bool {
	return g == Switch || g == Boot || g == Test || g == Keys || g == Reboot
}
