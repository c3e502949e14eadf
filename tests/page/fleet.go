// Package page looks at the page of --report in a browser.
package page

import (
	"errors"
	"fmt"
	"time"

	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/record"
)

// begin is when the runs here begin.
var begin = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// story is what happens to a node: its steps, and its end.
type story struct {
	steps  []chapter
	result event.Result
}

// chapter is a step, with seconds.
type chapter struct {
	kind         plan.StepKind
	waits, takes float64
	text         string
	bytes        int64
	builds       int64
	warns        string
}

// told is the record of a switch that was told of these nodes.
func told(outcome record.Outcome, why error, nodes ...story) *record.Record {
	r := &record.Record{Command: "apply", Goal: hive.Switch, Version: "1.0", Begin: begin}
	end := begin.Add(time.Second)
	for _, n := range nodes {
		r.Expect([]string{n.result.Node}, begin.Add(time.Second))
	}
	for _, n := range nodes {
		if at := n.tell(r); at.After(end) {
			end = at
		}
	}
	r.Close(end, outcome, why)
	return r
}

func (s story) tell(r *record.Record) time.Time {
	now := begin.Add(time.Second)
	say := func(e event.Event) {
		e.Time, e.Node = now, s.result.Node
		r.Add(e)
	}
	pass := func(seconds float64) { now = now.Add(time.Duration(seconds * float64(time.Second))) }
	for _, c := range s.steps {
		if c.waits > 0 {
			say(event.Event{Step: c.kind, Kind: event.Wait, Text: "a free slot (--parallel)"})
			pass(c.waits)
		}
		say(event.Event{Step: c.kind, Kind: event.Begin, Text: c.text})
		if c.warns != "" {
			say(event.Event{Step: c.kind, Kind: event.Warn, Text: c.warns})
		}
		pass(c.takes)
		if n := c.bytes + c.builds; n > 0 {
			say(event.Event{Step: c.kind, Kind: event.Progress, Done: n, Total: n, Paths: 31})
		}
		over := event.Event{Step: c.kind, Kind: event.Over, Status: event.Succeeded}
		if s.result.Step == c.kind {
			over.Status, over.Err = event.Failed, s.result.Err
		}
		say(over)
	}
	result := s.result
	result.Goal, result.Elapsed = hive.Switch, now.Sub(begin)
	say(event.Event{Kind: event.End, Result: &result})
	return now
}

const store = "/nix/store/5rkxl0cy1nh6cvzmnwahv9yfbwz8hvk4-"

// switched is a node that went well; i makes it differ from others.
func switched(name string, i int) story {
	slow := float64(i%5) / 2
	return story{[]chapter{
		{kind: plan.Evaluate, takes: 2 + slow}, {kind: plan.Resolve, takes: .1}, {kind: plan.Connect, takes: .4, text: "connecting to " + name + ".example.org"},
		{kind: plan.Inspect, takes: .1}, {kind: plan.Build, takes: 7 + 2*slow, text: "building " + store + "nixos-system-" + name + "-25.05.2", builds: 12},
		{kind: plan.Push, waits: float64(i/3%4) * 2.2, takes: 4 + slow, text: "copying " + store + "nixos-system-" + name + "-25.05.2", bytes: 52_000_000},
		{kind: plan.Resolve, takes: .6, text: "resolving 2 keys"}, {kind: plan.Upload, takes: .5, text: "bringing 2 keys up to date"},
		{kind: plan.Activate, takes: 3 + slow*2, text: "activating: switch"},
	}, event.Result{Node: name, Host: name + ".example.org", Status: event.Succeeded,
		Toplevel: store + "nixos-system-" + name + "-25.05.2", Before: store + "nixos-system-" + name + "-25.05.1",
		Packages: &closure.Diff{Changed: []closure.Change{{Name: "nginx", Old: []string{"1.26.1"}, New: []string{"1.26.2"}}, {Name: "openssl", Old: []string{"3.0.13"}, New: []string{"3.0.14"}}}},
		Keys:     []event.KeyResult{{Name: "acme.secret", Path: "/run/keys/acme.secret", Change: plan.Changed}, {Name: "token", Path: "/run/keys/token", Change: plan.Unchanged}}}}
}

// fails is a node whose last step of that kind failed.
func (s story) fails(kind plan.StepKind, why string, output ...string) story {
	for i, c := range s.steps {
		if c.kind == kind {
			s.steps = s.steps[:i+1]
			break
		}
	}
	s.result.Status, s.result.Step, s.result.Err, s.result.Tail, s.result.Keys = event.Failed, kind, errors.New(why), output, nil
	return s
}

// fleet is so many nodes, of which some fail.
func fleet(size int) (nodes []story) {
	for i := range size {
		n := switched(fmt.Sprintf("web-%02d", i+1), i)
		switch {
		case i%11 == 3:
			n = n.fails(plan.Push, "copying to the host's store: exit status 1\nerror: writing to file: No space left on device\nhint: free some of /nix there", "copying path "+store+"linux-6.6.31", "error: writing to file")
		case i%37 == 8:
			n = n.fails(plan.Connect, "cannot reach "+n.result.Host+":22: connection refused")
		case i%5 == 1:
			n.result.RebootNeeded = true
			n.steps[4].warns = "the disk is nearly full:\n/nix 97 %"
		}
		nodes = append(nodes, n)
	}
	return nodes
}
