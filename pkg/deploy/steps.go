package deploy

import (
	"context"
	"errors"
	"fmt"

	"github.com/colmena-go/colmena-go/pkg/activation"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// The steps that are not about keys alone; those are in keys.go.

func (n *nodeRun) connect(ctx context.Context) (err error) {
	text := "connecting to " + n.node.Target.String()
	if n.opts.Goal.Asks() {
		n.quietly(text)
	} else {
		n.begin(text)
	}
	n.host, err = n.tools.Open(ctx, n.node, n.note)
	return err
}

// inspect asks the host which systems it has, and stops where one of them is not
// ours to replace.
func (n *nodeRun) inspect(ctx context.Context) error {
	n.quietly("asking the host what it runs")
	has, err := n.ask(ctx)
	n.had, n.result.Before = has, has.Current
	if n.node.Toplevel == nil {
		return err
	}
	if err == nil {
		err = n.agreed(has)
	}
	if err == nil && n.opts.Goal.Activates() && !n.node.ReplaceUnknownProfiles && !n.opts.ForceReplaceUnknownProfiles {
		err = n.refuseUnknown(ctx, has)
	}
	n.known.Has = has.Has(n.node.Toplevel.OutPath)
	if err == nil && n.outlook != nil {
		n.outlook.There = n.known.Has
		err = n.seeForeign(ctx)
	}
	return err
}

// replaced reports whether the goal gives the host another system than it had.
func (n *nodeRun) replaced() bool {
	goal, system := n.opts.Goal, n.result.Toplevel
	runs := (goal == hive.Switch || goal == hive.Test) && n.had.Current != system
	return runs || goal.SetsProfile() && n.had.Profile != system
}

// ask asks the host for its systems, and for a dry run more.
func (n *nodeRun) ask(ctx context.Context) (activation.State, error) {
	if n.outlook != nil {
		return n.foresee(ctx)
	}
	return activation.Inspect(ctx, n.host)
}

// refuseUnknown stops when the host runs or boots a system that this machine does
// not know: somebody else deployed it, and we would roll it back.
func (n *nodeRun) refuseUnknown(ctx context.Context, has activation.State) error {
	for _, system := range []struct{ path, what string }{
		{has.Current, "runs"}, {has.Profile, "boots"},
	} {
		if system.path == "" || system.path == n.node.Toplevel.OutPath {
			continue
		}
		known, err := n.tools.Known(ctx, system.path)
		if err != nil {
			return err
		}
		if !known {
			return fmt.Errorf("the host %s %s, which is not in this machine's store, and deployment.replaceUnknownProfiles is false: deploy from where it was built, or pass --force-replace-unknown-profiles", system.what, system.path)
		}
	}
	return nil
}

func (n *nodeRun) build(ctx context.Context) error {
	n.beginBuild("building " + n.node.Toplevel.OutPath)
	// The error has the lines that matter, others concern other nodes as well.
	err := n.tools.Build(ctx, n.node, func(line string) { n.emit(event.Output, line) })
	n.tellBuilt()
	return err
}

// tellBuilt tells how much was built for the node.
func (n *nodeRun) tellBuilt() {
	if n.tools.Built == nil {
		return
	}
	if built := int64(n.tools.Built(n.node)); built > 0 {
		n.send(event.Event{Kind: event.Progress, Done: built, Total: built})
	}
}

// beginBuild is begin for what may say what it waits for.
func (n *nodeRun) beginBuild(text string) {
	n.begin(text)
	if n.tools.BuildWaitsFor != nil {
		n.stopWaiting()
		n.waiting = Remind(func() string { return joined(text, n.tools.BuildWaitsFor(n.node)) }, n.still)
	}
}

// activate switches to the system. One that ended badly is a failure, but keys that
// the new system waits for may follow all the same.
func (n *nodeRun) activate(ctx context.Context) error {
	n.changing = true
	outcome, err := n.switchTo(context.WithoutCancel(ctx))
	if errors.Is(err, activation.ErrGoesOn) && len(n.lateKeys().items) > 0 {
		return fmt.Errorf("%w; keys that come after it are not sent yet: run upload-keys when it has ended", err)
	}
	if err != nil {
		return err
	}
	n.result.RebootNeeded = outcome.RebootNeeded()
	n.known.NoEffect = !outcome.TookEffect()
	if outcome.RebootNeeded() && n.opts.Reboot == plan.Never {
		n.record(n.known.Postponed(n.node.Keys))
	}
	if err := outcome.Err(); err != nil {
		n.known.Failed = true
		n.fail(err)
	}
	return nil
}

// look asks the host what the command wants to know.
func (n *nodeRun) look(ctx context.Context) error {
	n.quietly("asking the host")
	return n.tools.Look(ctx, n.host, n.node)
}

// exec runs the user's own command, whose output is not a deployment's.
func (n *nodeRun) exec(ctx context.Context) error {
	n.quietly("running the command")
	status, err := n.tools.Exec(ctx, n.host, n.node)
	if err != nil {
		return err
	}
	n.result.Exit = &status
	if status != 0 {
		return fmt.Errorf("the command ended with status %d", status)
	}
	return nil
}
