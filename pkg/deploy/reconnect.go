package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/colmena-go/colmena-go/pkg/plan"
)

// A connection may be lost without the host being gone: its network was restarted, a
// firewall forgot it, sshd ended it. Then another one is made, to a host of the same key,
// and what can be done again is.

// retries is how often one step goes on over another connection.
const retries = 3

// How long a host is looked for whose connection was lost: while it activates, its network
// may be made anew. How long one attempt may take; and what is waited between two of
// them, at first and at most.
var (
	reconnectLimit = 30 * time.Second
	rejoinLimit    = 2 * time.Minute
	attemptLimit   = 30 * time.Second
	firstPause     = 500 * time.Millisecond
	lastPause      = 5 * time.Second
)

// repeatable reports whether a step may be done again that a lost connection has
// ended. Units that were restarted meanwhile have another run. An upload looks first at what the host has, and repeats no commit blindly; an
// activation is not begun again, but followed (switchTo); a user's own command may be
// anything.
func repeatable(step plan.Step) bool {
	return step.OnHost || step.Held || step.Kind == plan.Reboot && step.Look ||
		slices.Contains([]plan.StepKind{plan.Inspect, plan.Compare, plan.Push, plan.Resolve, plan.Upload, plan.UnitJobs, plan.Status}, step.Kind)
}

func (n *nodeRun) lost(err error) bool    { return err != nil && n.tools.Lost != nil && n.tools.Lost(err) }
func (n *nodeRun) refused(err error) bool { return n.tools.Refused != nil && n.tools.Refused(err) }
func (n *nodeRun) vain(err error) bool    { return n.tools.Vain != nil && n.tools.Vain(err) }

// reconnect replaces the connection that was lost.
func (n *nodeRun) reconnect(ctx context.Context) error {
	n.note("the connection was lost: connecting again")
	n.host.Close()
	limit := reconnectLimit
	if n.step == plan.Activate || n.step == plan.UnitJobs {
		limit = rejoinLimit
	}
	seen, err := n.seek(ctx, limit, func(ctx context.Context) (Host, error) {
		return n.tools.Open(ctx, n.node, n.note)
	})
	if errors.Is(err, errTooLate) {
		return fmt.Errorf("and the host could not be reached again within %s: %w", limit, seen)
	}
	if err == nil && n.step == plan.Upload {
		n.note("keys that were changed before the connection was lost count as unchanged now")
	}
	return err
}

// errTooLate is the cause of an end of seek.
var errTooLate = errors.New("too late")

// seek tries to find the node's host until it does, an attempt shows that others are of
// no use, or the time is over, which is errTooLate; then seen is why the last one failed.
func (n *nodeRun) seek(ctx context.Context, limit time.Duration, try func(context.Context) (Host, error)) (seen, err error) {
	ctx, cancel := n.within(ctx, limit, errTooLate)
	defer cancel()
	seen = errors.New("nobody looked")
	for pause := firstPause; ; pause = min(pause*3/2, lastPause) {
		host, err := n.attempt(ctx, try)
		switch {
		case err == nil:
			n.host = host
			return nil, nil
		case n.refused(err), n.vain(err):
			return nil, err
		case ctx.Err() == nil:
			seen = err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return seen, context.Cause(ctx)
		}
	}
}

func (n *nodeRun) attempt(ctx context.Context, try func(context.Context) (Host, error)) (Host, error) {
	ctx, cancel := n.within(ctx, attemptLimit, errors.New("no answer within "+attemptLimit.String()))
	defer cancel()
	return try(ctx)
}
