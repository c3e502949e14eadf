// Package record is what a run was: its nodes, their steps and what became of them,
// put together from its events. Views and reports read it; it does no I/O and has no
// clock. It holds no secret, as events hold none but in lines for the terminal alone,
// which it does not keep.
package record

import (
	"slices"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// Record is a run so far; who makes one says what runs, and since when. It is not safe for
// use by several goroutines at once: [Record.Clone] is for who reads while it goes on.
type Record struct {
	Command string // of the command line: apply, build, …
	Goal    hive.Goal
	Version string // of the program
	Begin   time.Time
	End     time.Time     // zero before the run ended
	Outcome Outcome       // "" before the run ended
	Error   string        // why it ended so, "" if its nodes tell
	Nodes   []*Node       // in the order in which they were announced
	Builds  *event.Builds // how far builds are; nil before the first
	Said    []Line        // of the run as a whole, as [event.Diagnostic] has it: the last of them

	byName map[string]*Node
}

// Outcome is how a run ended.
type Outcome string

// The ways a run can end.
const (
	AllDone     Outcome = "succeeded"
	NotAllDone  Outcome = "failed" // the run as a whole, or nodes
	Interrupted Outcome = "interrupted"
	Bug         Outcome = "bug" // of this program
)

// Node is a node so far.
type Node struct {
	Name   string
	Steps  []Step        // in the order in which they began, or began to wait
	Last   string        // the last line that a program printed in the step at hand, fit to be shown
	Said   []Line        // notes and warnings, the last of them
	End    time.Time     // zero before the node ended
	Result *event.Result // how it ended; nil before that

	Outlook *plan.Outlook // what people were shown and agreed to; nil for nothing

	Dropped int // steps that are not kept, since there are too many
}

// Line is something that was told.
type Line struct {
	Time time.Time
	Step plan.StepKind
	Kind event.Kind // Note, Warn or Diagnostic
	Text string
}

// State is how far a step is.
type State string

// The states of a step.
const (
	Waiting   State = "waiting" // it is to begin
	Running   State = "running"
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Cancelled State = "cancelled" // it was interrupted, or did not begin
)

// Left is the status of a node whose host was being changed when the user left.
const Left event.Status = "left"

// Step is a stretch of a node's way.
type Step struct {
	Kind   plan.StepKind
	State  State
	Text   string        // what is done, or waited for; "" if nobody said
	At     string        // what it does or waits for at the moment, as far as it tells
	Queued time.Time     // when it began to wait; zero if it did not
	Begin  time.Time     // zero if it only waited
	End    time.Time     // zero before it ended
	Waited time.Duration // between Queued and Begin
	Err    error         // why it failed; nil otherwise

	// How much was copied, of how much, in how many paths; of a build, derivations
	// that were built.
	Done, Total int64
	Paths       int
}

// Bounds of what is kept.
const (
	mostSteps = 100 // of a node: one takes about 15, and twice that with a reboot
	mostSaid  = 50
	lineSize  = 500 // bytes
)

// Expect announces the nodes, which are being evaluated from now on, unless they are
// known.
func (r *Record) Expect(names []string, now time.Time) {
	for _, name := range names {
		if r.byName[name] == nil {
			n := r.node(name)
			n.Steps = append(n.Steps, Step{Kind: plan.Evaluate, State: Running, Begin: now})
		}
	}
}

// Node is the node of that name, nil for none.
func (r *Record) Node(name string) *Node { return r.byName[name] }

func (r *Record) node(name string) *Node {
	n := r.byName[name]
	if n == nil {
		n = &Node{Name: name}
		if r.byName == nil {
			r.byName = map[string]*Node{}
		}
		r.Nodes, r.byName[name] = append(r.Nodes, n), n
	}
	return n
}

// Ended reports whether the node has.
func (n *Node) Ended() bool { return n.Result != nil }

// Step is what the node is at, or was at last; nil for nothing yet.
func (n *Node) Step() *Step {
	if len(n.Steps) == 0 {
		return nil
	}
	return &n.Steps[len(n.Steps)-1]
}

// Ended reports whether the step has, or will not begin.
func (s Step) Ended() bool { return s.State != Waiting && s.State != Running }

// Running reports whether the node is in a step of one of these kinds now.
func (n *Node) Running(kinds ...plan.StepKind) bool {
	s := n.Step()
	return !n.Ended() && s != nil && s.State == Running && slices.Contains(kinds, s.Kind)
}

// Took is how long the step has lasted, by now if it goes on, without what it waited.
func (s Step) Took(now time.Time) time.Duration {
	switch {
	case s.Begin.IsZero():
		return 0
	case !s.Ended():
		return now.Sub(s.Begin)
	}
	return s.End.Sub(s.Begin)
}

// Began is when the step began, or began to wait.
func (s Step) Began() time.Time {
	if !s.Queued.IsZero() {
		return s.Queued
	}
	return s.Begin
}

// Clone is a copy that does not change any more.
func (r *Record) Clone() *Record {
	c := *r
	c.Said = slices.Clone(r.Said)
	c.Nodes, c.byName = make([]*Node, len(r.Nodes)), make(map[string]*Node, len(r.Nodes))
	for i, n := range r.Nodes {
		copied := *n
		copied.Steps, copied.Said = slices.Clone(n.Steps), slices.Clone(n.Said)
		c.Nodes[i], c.byName[n.Name] = &copied, &copied
	}
	return &c
}
