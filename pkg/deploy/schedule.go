package deploy

import (
	"context"
	"fmt"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// Limit lets only so many nodes at once into the steps that it is for. nil is none.
type Limit struct {
	free chan struct{}
	slot string // what those wait for who are not let in
}

// NewLimit returns a Limit; most is 0 for none. option is what people raise it
// with, for those who wait.
func NewLimit(most int, option string) *Limit {
	if most <= 0 {
		return nil
	}
	return &Limit{make(chan struct{}, most), fmt.Sprintf("a slot (%s %d)", option, most)}
}

// Schedule is how many nodes may be in which steps at once. A node that waits to be
// let in is in none of them. Two kinds of steps may have one Limit, which a node
// keeps from one to the other.
type Schedule struct {
	Push  *Limit // copying closures from here
	Build *Limit // building on the nodes' own hosts
	// Change is from getting the contents of keys to the last change of a host, and so for
	// how many are down at once; and for the user's own command, and questions.
	Change *Limit
}

// of is the Limit of a step.
func (s Schedule) of(step plan.Step) *Limit {
	switch {
	case step.Kind == plan.Push, step.Kind == plan.Cache:
		return s.Push
	case step.OnHost:
		return s.Build
	case step.Kind == plan.Resolve && !step.Look && !step.Held, step.Kind == plan.Reboot, step.Changes, step.Kind == plan.Exec, step.Kind == plan.Compare, step.Kind == plan.Status:
		return s.Change
	}
	return nil
}

// enter lets one more in if there is room.
func (l *Limit) enter() bool {
	select {
	case l.free <- struct{}{}:
		return true
	default:
		return false
	}
}

// take waits until the Limit lets one more in.
func (l *Limit) take(ctx context.Context) error {
	select {
	case l.free <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *Limit) release() { <-l.free }

// hold sees that the node is let into a step, and out of those before it.
func (n *nodeRun) hold(ctx context.Context, step plan.Step) error {
	limit := n.opts.Schedule.of(step)
	if limit == n.held {
		return nil
	}
	n.letGo()
	if limit == nil {
		return nil
	}
	if !limit.enter() {
		n.send(event.Event{Step: step.Kind, Kind: event.Wait, Text: limit.slot})
		n.waitFor("waiting for " + limit.slot)
		defer n.stopWaiting()
		if err := limit.take(ctx); err != nil {
			return err
		}
	}
	n.held = limit
	return nil
}

func (n *nodeRun) letGo() {
	if n.held != nil {
		n.held.release()
		n.held = nil
	}
}
