package deploy

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/colmena-go/colmena-go/pkg/activation"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/scratch"
)

// nodeRun is one node on its way to the goal.
type nodeRun struct {
	*deployment
	node   hive.Node
	host   Host
	result Result
	places plan.Places // where the keys of the phases so far went

	mu       sync.Mutex // output arrives from several goroutines
	step     Step
	tail     []string // the last lines of output of this step
	waiting  func()   // stops what tells that the step takes long; nil before the first
	changing bool     // the host is being changed: no turning back
}

// goal goes through the steps, in the order of the design: what can fail
// without touching the host comes first.
func (n *nodeRun) goal(ctx context.Context) error {
	goal := n.opts.Goal
	if goal.NeedsHost() && n.node.Target == nil {
		n.result.Status = SkippedNode
		return nil
	}
	if err := n.checkSources(ctx); err != nil {
		return err
	}
	if goal.NeedsHost() {
		if err := n.dial(ctx); err != nil {
			return err
		}
		defer n.host.Close()
	}
	n.waitFor("waiting for its turn: as many nodes as may be at once are at work")
	release, err := n.slots.take(ctx)
	n.stopWaiting()
	if err != nil {
		return err
	}
	defer release()

	if goal.NeedsToplevel() {
		if err := n.provide(ctx); err != nil {
			return err
		}
	}
	if goal == hive.Build || goal == hive.Push {
		return nil
	}
	keys, err := n.resolve(ctx)
	if err != nil {
		return err
	}
	return n.change(ctx, keys)
}

// change uploads and activates. Once the host is being changed, ctx is obeyed
// no more: an interrupt must not leave it half-way.
func (n *nodeRun) change(ctx context.Context, keys keySet) error {
	if n.opts.Goal == hive.Keys {
		_, err := n.upload(ctx, keys.all())
		return err
	}
	steps, err := n.upload(ctx, keys.before)
	if err != nil {
		return err
	}
	if ctx.Err() != nil && !n.changing {
		return context.Cause(ctx)
	}
	n.changing = true
	ctx = context.WithoutCancel(ctx)
	if n.opts.Goal != hive.Boot { // with boot, owners come with the reboot
		keys.owe(steps)
	}
	outcome, activateErr := n.activate(ctx, &keys)
	if activateErr != nil {
		return activateErr
	}
	n.result.RebootNeeded = outcome.Status == activation.RebootNeeded
	if outcome.Status == activation.RebootNeeded {
		keys.waitForReboot(n)
	}
	if outcome.TookEffect() {
		if _, err := n.upload(ctx, keys.due()); err != nil {
			// Both count, but the step that failed first is the one to mend first.
			return errors.Join(outcome.Err(), err)
		}
	}
	if err := outcome.Err(); err != nil {
		n.begin(StepActivate, "")
		return err
	}
	return nil
}

func (n *nodeRun) dial(ctx context.Context) error {
	n.begin(StepDial, "connecting to "+n.node.Target.String())
	host, err := n.tools.Dial(ctx, n.node, n.note)
	if err != nil {
		return err
	}
	n.host = host
	if n.opts.Goal.Activates() && !n.node.ReplaceUnknownProfiles && !n.opts.ForceReplaceUnknownProfiles {
		if err := n.refuseUnknownProfile(ctx); err != nil {
			host.Close()
			return err
		}
	}
	return nil
}

// refuseUnknownProfile stops when the host runs a system that this machine does
// not know: somebody else deployed it, and we would roll it back.
func (n *nodeRun) refuseUnknownProfile(ctx context.Context) error {
	current, err := activation.CurrentSystem(ctx, n.host)
	if errors.Is(err, activation.ErrNoSystem) {
		return nil // nothing to roll back
	}
	if err != nil {
		return err
	}
	if current == n.node.Toplevel.OutPath {
		return nil
	}
	known, err := n.tools.Known(ctx, current)
	if err != nil {
		return err
	}
	if !known {
		return fmt.Errorf("the host runs %s, which is not in this machine's store, and deployment.replaceUnknownProfiles is false: deploy from where it was built, or pass --force-replace-unknown-profiles", current)
	}
	return nil
}

// provide builds the toplevel and brings it to the host, unless it is there.
func (n *nodeRun) provide(ctx context.Context) error {
	remote := n.opts.Goal.NeedsHost()
	there := false
	if remote {
		n.waitFor("asking the host what it runs")
		var err error
		if there, err = activation.Has(ctx, n.host, n.node.Toplevel.OutPath); err != nil {
			return err
		}
	}
	if !there || n.opts.AlwaysBuild {
		if err := n.build(ctx); err != nil {
			return err
		}
	}
	if there || !remote {
		return nil
	}
	return n.push(ctx)
}

func (n *nodeRun) build(ctx context.Context) error {
	text := "building " + n.node.Toplevel.OutPath
	n.begin(StepBuild, text)
	if n.tools.BuildWaitsFor != nil {
		n.stopWaiting()
		n.waiting = remind(func() string { return joined(text, n.tools.BuildWaitsFor(n.node)) }, n.note)
	}
	return n.tools.Build(ctx, n.node, n.output)
}

// push copies the closure through the host's one connection: nix talks to a
// unix socket here, whose other end is nix-daemon on the host.
func (n *nodeRun) push(ctx context.Context) error {
	n.begin(StepPush, "copying "+n.node.Toplevel.OutPath)
	// Of its own, as whoever reaches the socket is root on the host.
	dir, remove, err := scratch.Dir()
	if err != nil {
		return err
	}
	defer remove()
	socket, stop, err := n.host.Forward(ctx, dir, "nix-daemon --stdio")
	if err != nil {
		return err
	}
	return errors.Join(n.tools.Copy(ctx, n.node.Toplevel.OutPath, socket, n.output), stop())
}

func (n *nodeRun) activate(ctx context.Context, keys *keySet) (activation.Outcome, error) {
	n.begin(StepActivate, "activating: "+string(n.opts.Goal))
	request := activation.Request{Goal: n.opts.Goal, Toplevel: n.node.Toplevel.OutPath, WaitFor: keys.units()}
	var wanted sync.WaitGroup
	followed, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	// The upload may outlive the switch, which ends as soon as the key is there.
	defer wanted.Wait()
	return activation.Run(followed, n.host, request, activation.Hooks{
		Output: n.output,
		Note:   n.note,
		KeyWanted: func(unit string) {
			n.note(unit + " is waited for: uploading the post-activation keys now")
			wanted.Go(func() {
				if err := keys.sendEarly(ctx, n); err != nil {
					giveUp(fmt.Errorf("the switch waits for %s, but: %w; mend that and run upload-keys: the switch then goes on by itself", unit, err))
				}
			})
		},
	})
}

// begin enters a step; text "" re-enters one to blame it.
func (n *nodeRun) begin(step Step, text string) {
	n.mu.Lock()
	if n.step != step {
		n.step, n.tail = step, nil
	}
	n.mu.Unlock()
	if text != "" {
		n.emit(EventBegin, text)
		n.waitFor(text)
	}
}

// tailLines is how much of a failed step's output a result keeps.
const tailLines = 20

func (n *nodeRun) output(line string) {
	n.mu.Lock()
	n.tail = append(n.tail, line)
	if len(n.tail) > tailLines {
		n.tail = n.tail[1:]
	}
	n.mu.Unlock()
	n.emit(EventOutput, line)
}

func (n *nodeRun) note(text string) { n.emit(EventNote, text) }
func (n *nodeRun) warn(text string) { n.emit(EventWarn, text) }

func (n *nodeRun) emit(kind EventKind, text string) {
	n.mu.Lock()
	step := n.step
	n.mu.Unlock()
	n.sink.Emit(Event{Node: n.node.Name, Step: step, Kind: kind, Text: text})
}
