package deploy

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/colmena-go/colmena-go/pkg/activation"
	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
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

	delivery sync.Mutex // one upload at a time

	mu       sync.Mutex // output arrives from several goroutines
	step     Step
	tails    map[Step][]string // the last lines of output of each step
	waiting  func()            // stops what tells that the step takes long; nil before the first
	changing bool              // the host is being changed: no turning back
}

// goal goes through the steps, in the order of the design: what can fail
// without touching the host comes first. While a node is dialled or waits for
// its build it holds no slot.
func (n *nodeRun) goal(ctx context.Context) error {
	goal := n.opts.Goal
	if goal.NeedsHost() && n.node.Target == nil {
		n.result.Status = SkippedNode
		return nil
	}
	if err := n.checkSources(ctx); err != nil {
		return err
	}
	var has activation.State
	if goal.NeedsHost() {
		if err := n.dial(ctx); err != nil {
			return err
		}
		defer n.host.Close()
		if goal.NeedsToplevel() {
			var err error
			if has, err = n.inspect(ctx); err != nil {
				return err
			}
		}
	}
	there := n.node.Toplevel != nil && has.Has(n.node.Toplevel.OutPath)
	if goal.NeedsToplevel() && (!there || n.opts.AlwaysBuild) {
		if err := n.build(ctx); err != nil {
			return err
		}
	}
	if goal == hive.Build {
		return nil
	}
	n.waitFor("waiting for a free slot (--parallel)")
	release, err := n.slots.take(ctx)
	n.stopWaiting()
	if err != nil {
		return err
	}
	defer release()
	if goal.NeedsToplevel() && !there {
		if err := n.push(ctx); err != nil {
			return err
		}
	}
	if goal == hive.Push {
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
	if errors.Is(activateErr, activation.ErrGoesOn) && len(keys.due().items) > 0 {
		return fmt.Errorf("%w; keys that come after it are not sent yet: run upload-keys when it has ended", activateErr)
	}
	if activateErr != nil {
		return activateErr
	}
	n.result.RebootNeeded = outcome.RebootNeeded()
	if outcome.RebootNeeded() {
		keys.waitForReboot(n)
	}
	if outcome.TookEffect() {
		if _, err := n.upload(ctx, keys.due()); err != nil {
			// Both count, but the step that failed first is the one to mend first.
			return errors.Join(outcome.Err(), err)
		}
	}
	if err := outcome.Err(); err != nil {
		n.blame(StepActivate)
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
	return nil
}

// inspect asks the host which systems it has, and stops where one of them is not
// ours to replace.
func (n *nodeRun) inspect(ctx context.Context) (activation.State, error) {
	n.begin(StepInspect, "")
	n.waitFor("asking the host what it runs")
	has, err := activation.Inspect(ctx, n.host)
	if err == nil && n.opts.Goal.Activates() && !n.node.ReplaceUnknownProfiles && !n.opts.ForceReplaceUnknownProfiles {
		err = n.refuseUnknown(ctx, has)
	}
	return has, err
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
	text := "building " + n.node.Toplevel.OutPath
	n.begin(StepBuild, text)
	if n.tools.BuildWaitsFor != nil {
		n.stopWaiting()
		n.waiting = remind(func() string { return joined(text, n.tools.BuildWaitsFor(n.node)) }, n.note)
	}
	// The error has the lines that matter, others concern other nodes as well.
	return n.tools.Build(ctx, n.node, func(line string) { n.emit(EventOutput, line) })
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
	err = n.tools.Copy(ctx, n.node.Toplevel.OutPath, socket, n.output)
	// What went wrong on the host is why Nix here lost its connection.
	return errors.Join(stop(), err)
}

func (n *nodeRun) activate(ctx context.Context, keys *keySet) (activation.Outcome, error) {
	n.begin(StepActivate, "activating: "+string(n.opts.Goal))
	request := activation.Request{Goal: n.opts.Goal, Toplevel: n.node.Toplevel.OutPath, WaitFor: keys.units(),
		Keyless: n.opts.NoKeys || !n.opts.Goal.UploadsKeys()}
	if n.opts.NoKeys {
		for _, key := range n.node.Keys {
			request.WaitFor = append(request.WaitFor, key.Unit())
		}
	}
	var wanted sync.WaitGroup
	followed, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	// The upload may outlive the switch, which ends as soon as the key is there.
	defer wanted.Wait()
	return activation.Run(followed, n.host, request, activation.Hooks{
		Output: n.output,
		Note:   n.note,
		KeyWanted: func(unit string) {
			if n.opts.NoKeys {
				giveUp(fmt.Errorf("the switch waits for %s, whose key --no-keys leaves out: run upload-keys, and the switch goes on by itself", unit))
				return
			}
			n.note("the switch waits for " + unit + ": uploading the post-activation keys now")
			wanted.Go(func() {
				defer crash.Guard()
				if err := keys.sendEarly(ctx, n); err != nil {
					giveUp(fmt.Errorf("the switch waits for %s, but: %w; mend that and run upload-keys: the switch then goes on by itself", unit, err))
				}
			})
		},
	})
}

// begin enters a step, in silence if there is nothing to say of it.
func (n *nodeRun) begin(step Step, text string) {
	n.blame(step)
	n.emit(EventBegin, text)
	if text != "" {
		n.waitFor(text)
	}
}

// blame makes a step the one that fails if anything does.
func (n *nodeRun) blame(step Step) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.step = step
}

// How much of a failed step's output a result keeps.
const (
	tailLines = 20
	tailWidth = 500 // bytes of each
)

func (n *nodeRun) output(line string) {
	n.mu.Lock()
	tail := append(n.tails[n.step], hostscript.Said(line, tailWidth))
	n.tails[n.step] = tail[max(0, len(tail)-tailLines):]
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
