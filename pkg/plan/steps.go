package plan

import (
	"slices"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

// StepKind names a stretch of work on one node; events and errors carry it.
type StepKind string

// The kinds, in the order in which a node meets them.
const (
	Evaluate StepKind = "evaluate" // before a node is there, and so in no list of its steps
	Connect  StepKind = "connect"
	Inspect  StepKind = "inspect" // asking the host what it runs and boots
	Build    StepKind = "build"
	Cache    StepKind = "cache"   // copying the closure to a store that hosts fetch from
	Compare  StepKind = "compare" // what the host has with what it is to get
	Push     StepKind = "push"
	Resolve  StepKind = "keys" // getting their content on this machine
	Upload   StepKind = "upload"
	Activate StepKind = "activate"
	UnitJobs StepKind = "units" // restarting and reloading those whose keys changed
	Reboot   StepKind = "reboot"
	Await    StepKind = "await" // the host's return
	Exec     StepKind = "exec"  // the user's own command
	Status   StepKind = "status"
)

// StepKinds are all kinds, in that order.
var StepKinds = []StepKind{Evaluate, Connect, Inspect, Build, Cache, Compare, Push, Resolve, Upload, Activate, UnitJobs, Reboot, Await, Exec, Status}

// Step is one thing to do for a node.
type Step struct {
	Kind    StepKind
	Look    bool          // of Resolve: only see whether the keys can have content; of Reboot: whether it is needed
	OnHost  bool          // of Build: realised there, so that no result is pushed
	Recipe  bool          // of Push: the derivation, for a Build OnHost
	Of      StepKind      // of Compare: the step whose effect is found out
	To      string        // of Cache: the store's URL, without a login
	Phase   hive.UploadAt // of Upload; "" for all keys at once
	Held    bool          // of Resolve: only see which keys the host holds by their fingerprints
	Stale   bool          // of Upload: remove what no key of the node is any more
	Booted  bool          // of Resolve, Upload and UnitJobs: once more, after a reboot
	Changes bool          // it changes the host: an interrupt is obeyed before it, and no more after it
}

// Where says on which machine systems are built.
type Where string

// The machines, for [Want].
const (
	AsSet  Where = ""     // where each node's deployment.buildOnTarget says
	Here   Where = "here" // on this machine, or its remote builders
	OnHost Where = "host"
)

// When says when a host is rebooted.
type When string

// The answers, for [Want].
const (
	Never    When = ""
	Always   When = "always"
	IfNeeded When = "if needed" // when it would boot another kernel, or with another initrd, modules or parameters
)

// Want is what the user asked for, besides the hive.
type Want struct {
	// KeyRoot is, for the goal keys, the directory on hosts that keys go below as if it were the
	// root: that of a system that does not run, whose units are left alone. Or "".
	KeyRoot string

	Goal        hive.Goal
	NoKeys      bool
	PruneKeys   bool // remove stale keys, whatever deployment.removeStaleKeys says
	ResolveAll  bool // even keys that the host holds by their fingerprints
	DryRun      bool // only find out what would be done to hosts: they are asked, and not changed
	AlwaysBuild bool // even what the host has already, for --keep-result
	BuildOn     Where
	Local       bool   // the host is this machine, whose store has what is built here
	Reboot      When   // once the system is activated
	Cache       string // the URL, without a login, of the store that gets the closure before the host does; "" for none
}

// Skips reports whether there is nothing to do for a node since it has no host.
func (w Want) Skips(n hive.Node) bool { return w.Goal.NeedsHost() && n.Target == nil }

// BuildsOnHost reports whether the node's system is built on the node's own host,
// which is another machine.
func (w Want) BuildsOnHost(n hive.Node) bool {
	return w.Goal.NeedsToplevel() && n.Target != nil && !w.Local && (w.BuildOn == OnHost || w.BuildOn == AsSet && n.BuildOnTarget)
}

// Touches reports whether anything is done on the node's host.
func (w Want) Touches(n hive.Node) bool {
	return n.Target != nil && (w.Goal.NeedsHost() || w.BuildsOnHost(n))
}

// UploadsKeys reports whether keys of the node are to be brought to its host.
func (w Want) UploadsKeys(n hive.Node) bool {
	return w.Goal.UploadsKeys() && !w.NoKeys && len(n.Keys) > 0
}

// Remembers reports whether the host may hold keys of the node, so that they need not be
// resolved.
func (w Want) Remembers(n hive.Node) bool {
	return w.UploadsKeys(n) && !w.ResolveAll && slices.ContainsFunc(n.Keys, func(k hive.Key) bool { return k.Fingerprint != "" })
}

// DoesJobs reports whether units of the node may have to be restarted or reloaded since keys
// change: on a host that is not just about to boot.
func (w Want) DoesJobs(n hive.Node) bool {
	return w.UploadsKeys(n) && w.KeyRoot == "" && slices.ContainsFunc(n.Keys, func(k hive.Key) bool { return len(k.RestartUnits)+len(k.ReloadUnits) > 0 })
}

// Facts is what is known of a node so far. The zero value knows nothing.
type Facts struct {
	Done     []Step   // those that went well, and need not be done again
	Has      bool     // the host has the system with its closure: it runs or boots it
	Owed     []string // keys, by attribute name, that root holds for owners that the activation makes
	Early    bool     // late keys were sent while the activation waited for one of them
	Failed   bool     // the activation ended badly: keys may follow, and no reboot
	Current  bool     // the host runs what it would boot, and needs no reboot for it
	NoEffect bool     // the activation ended, but the system that wants the late keys is not the host's
	NoJobs   bool     // nothing is due to any unit, after the uploads so far
	Tidy     bool     // the host has nothing from us that no key of the node is any more
	Same     bool     // of a dry run: what the goal does with the system has been done before
}

// Learn records that a step went well.
func (f *Facts) Learn(s Step) { f.Done = append(f.Done, s) }

// Steps is what is left to do for a node, given what is known. What is not known
// is taken to go well. An executor does the first, adds what it learned, and asks
// again.
func Steps(n hive.Node, w Want, f Facts) []Step {
	if w.Skips(n) {
		return nil
	}
	all := allSteps
	if w.DryRun {
		all = drySteps
	}
	return slices.DeleteFunc(all(n, w, f), func(s Step) bool { return slices.Contains(f.Done, s) })
}

// allSteps are the steps that the goal takes, those that are done among them.
func allSteps(n hive.Node, w Want, f Facts) (all []Step) {
	add := func(due bool, s Step) {
		if due {
			all = append(all, s)
		}
	}
	host, system, keys := w.Goal.NeedsHost(), w.Goal.NeedsToplevel(), w.UploadsKeys(n)
	onHost := w.BuildsOnHost(n)
	build := system && (!f.Has || w.AlwaysBuild && !onHost)

	add(keys, Step{Kind: Resolve, Look: true})
	add(host || onHost, Step{Kind: Connect})
	add(w.Remembers(n), Step{Kind: Resolve, Held: true})
	if w.Goal == hive.Exec {
		add(true, Step{Kind: Exec})
		return all
	}
	if w.Goal == hive.Status {
		add(true, Step{Kind: Status})
		return all
	}
	add(host && (system || w.Goal == hive.Reboot), Step{Kind: Inspect})
	if w.Goal == hive.Diff { // which sends nothing, not even for a host to build
		add(build && !onHost, Step{Kind: Build})
		add(true, Step{Kind: Compare})
		return all
	}
	add(build && onHost, Step{Kind: Push, Recipe: true})
	add(build, Step{Kind: Build, OnHost: onHost})
	push := host && system && !f.Has && !onHost && !w.Local
	add(push && w.Cache != "", Step{Kind: Cache, To: w.Cache})
	add(push, Step{Kind: Push})
	if w.Goal == hive.Reboot {
		return append(all, rebootSteps(n, w, f)...)
	}
	stale := w.Prunes(n) && !f.Tidy && !f.Failed && !f.NoEffect
	add(keys, Step{Kind: Resolve})
	if !w.Goal.Activates() {
		add(keys, Step{Kind: Upload, Changes: true})
		add(w.DoesJobs(n) && !f.NoJobs, Step{Kind: UnitJobs, Changes: true})
		add(stale, Step{Kind: Upload, Stale: true, Changes: true})
		return all
	}
	late := func(k hive.Key) bool { return k.UploadAt == hive.PostActivation }
	early := func(k hive.Key) bool { return !late(k) }
	add(keys && slices.ContainsFunc(n.Keys, early), Step{Kind: Upload, Phase: hive.PreActivation, Changes: true})
	add(true, Step{Kind: Activate, Changes: true})
	after := slices.ContainsFunc(n.Keys, f.Late)
	add(keys && after && !f.NoEffect, Step{Kind: Upload, Phase: hive.PostActivation, Changes: true})
	add(w.DoesJobs(n) && w.Goal != hive.Boot && w.stays(f) && !f.NoJobs && !f.NoEffect, Step{Kind: UnitJobs, Changes: true})
	all = append(all, rebootSteps(n, w, f)...)
	add(stale, Step{Kind: Upload, Stale: true, Changes: true})
	return all
}

// stays reports whether no reboot follows that would restart all units, as far as is known.
func (w Want) stays(f Facts) bool { return w.Reboot == Never || f.Failed || f.Current }

// drySteps are those of a dry run, none of which changes a host. What a host itself is to
// build is not there to be looked at, and what switch-to-configuration would do is known
// only to a system that the host has already.
func drySteps(n hive.Node, w Want, f Facts) (all []Step) {
	add := func(due bool, s Step) {
		if due {
			all = append(all, s)
		}
	}
	system, keys := w.Goal.NeedsToplevel(), w.UploadsKeys(n)
	add(keys, Step{Kind: Resolve, Look: true})
	add(true, Step{Kind: Connect})
	add(w.Remembers(n), Step{Kind: Resolve, Held: true})
	add(system || w.Goal == hive.Reboot, Step{Kind: Inspect})
	add(system && !f.Has && !w.BuildsOnHost(n), Step{Kind: Build})
	add(system && !f.Same, Step{Kind: Compare, Of: Push})
	add(keys, Step{Kind: Resolve})
	add(keys, Step{Kind: Compare, Of: Upload})
	add(w.Prunes(n), Step{Kind: Compare, Of: Upload, Stale: true})
	add(w.Goal.Activates() && f.Has && !f.Same, Step{Kind: Compare, Of: Activate})
	add(w.Goal.SetsProfile() || w.Reboot != Never, Step{Kind: Compare, Of: Reboot})
	return all
}

// rebootSteps are those of a reboot, which takes keys in memory with it: they are
// resolved and sent anew, as nothing keeps their content so long; before, it is seen
// that they can be.
func rebootSteps(n hive.Node, w Want, f Facts) (all []Step) {
	keys := w.UploadsKeys(n)
	if w.Reboot == Never || f.Failed {
		return nil
	}
	if w.Reboot == IfNeeded {
		all = append(all, Step{Kind: Reboot, Look: true})
	}
	if f.Current {
		return all
	}
	if keys && w.Goal == hive.Reboot {
		all = append(all, Step{Kind: Resolve})
	}
	all = append(all, Step{Kind: Reboot, Changes: true}, Step{Kind: Await, Changes: true})
	if w.Remembers(n) {
		all = append(all, Step{Kind: Resolve, Held: true, Booted: true})
	}
	if keys {
		all = append(all, Step{Kind: Resolve, Booted: true}, Step{Kind: Upload, Booted: true, Changes: true})
	}
	if w.DoesJobs(n) && !f.NoJobs {
		all = append(all, Step{Kind: UnitJobs, Booted: true, Changes: true})
	}
	return all
}

// String is the step in a word: a ? for one that only looks, a ! for one that
// changes the host.
func (s Step) String() string {
	word := string(s.Kind)
	switch {
	case s.Stale && s.Of != "":
		word = "stale?"
	case s.Stale:
		word = "stale"
	case s.Of != "":
		word = string(s.Of) + "?"
	case s.Held && s.Booted:
		word = "held:booted?"
	case s.Held:
		word = "held?"
	case s.Look:
		word += "?"
	case s.Booted:
		word += ":booted"
	case s.Phase != "":
		word += ":" + strings.TrimSuffix(string(s.Phase), "-activation")
	case s.OnHost:
		word += "@host"
	case s.Recipe:
		word += ":drv"
	case s.To != "":
		word += ">" + s.To
	}
	if s.Changes {
		word += "!"
	}
	return word
}

// Render lists steps in a line.
func Render(steps []Step) string {
	words := make([]string, len(steps))
	for i, s := range steps {
		words[i] = s.String()
	}
	return strings.Join(words, " ")
}
