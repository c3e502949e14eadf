package deploy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/colmena-go/colmena-go/pkg/activation"
	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/printable"
)

// nodeRun is one node on its way to the goal. What it does next is decided by
// [plan.Steps] alone, from what is known.
type nodeRun struct {
	*deployment
	node     hive.Node
	known    plan.Facts
	host     Host // nil before it is connected, and while it reboots
	had      activation.State
	boot     activation.Boot // the one that a reboot ends
	outlook  *plan.Outlook   // of a dry run; or nil
	booted   closure.System  // what the host booted, for it
	keys     keySet          // empty before they are resolved
	jobs     unitJobs        // due since keys changed
	roots    []string        // store paths that the host keeps for us
	places   plan.Places     // where the keys of the phases so far went
	held     *Limit
	result   event.Result
	failures []failure

	mu       sync.Mutex // output arrives from several goroutines
	step     plan.StepKind
	tail     []string // the last lines of output of the step
	waiting  func()   // stops what tells that the step takes long; nil before the first
	changing bool     // the host is being changed: no turning back
}

// failure is a step that failed.
type failure struct {
	step plan.StepKind
	err  error
	tail []string
}

// deploy takes one node to the goal and tells how it went.
func (d *deployment) deploy(ctx context.Context, a Arrival) event.Result {
	begin, node := time.Now().Add(-a.Took), a.Node
	n := &nodeRun{deployment: d, node: node, places: plan.Places{}, step: plan.Evaluate}
	defer n.leave() // nobody waits for that
	n.result = event.Result{Node: node.Name, Goal: d.opts.Goal, Status: event.Succeeded}
	if node.Toplevel != nil {
		n.result.Toplevel = node.Toplevel.OutPath
	}
	if node.Target != nil {
		n.result.Host = node.Target.Host
	}
	if d.opts.DryRun {
		n.outlook = &plan.Outlook{Goal: d.opts.Goal}
	}
	for _, warning := range node.Warnings {
		n.warn(warning)
	}
	n.over(ctx, a.Err)
	switch {
	case a.Err != nil:
		n.fail(a.Err)
	case d.opts.Skips(node):
		n.result.Status = event.Skipped
	default:
		n.run(ctx)
	}
	n.judge(ctx)
	n.result.Replaced = n.result.Status == event.Succeeded && n.replaced()
	if n.result.Status == event.Succeeded {
		n.result.Outlook = n.outlook
	}
	n.result.Elapsed = time.Since(begin)
	result := n.result
	n.send(event.Event{Kind: event.End, Text: summary(result), Result: &result})
	return result
}

// run does what is left for the node, one step after the other, until nothing is
// or one fails.
func (n *nodeRun) run(ctx context.Context) {
	defer n.letGo()
	for {
		left := plan.Steps(n.node, n.opts.Want, n.known)
		if len(left) == 0 {
			return
		}
		if err := n.do(ctx, left[0]); err != nil {
			n.fail(err)
			return
		}
		n.known.Learn(left[0])
	}
}

// leave tidies up on the host, and ends the connection.
func (n *nodeRun) leave() {
	if n.host != nil {
		n.release()
		n.host.Close()
	}
}

// do does one step. Once the host is being changed, ctx is obeyed no more: an
// interrupt must not leave it half-way. A bug that a node brings to light fails
// that node.
func (n *nodeRun) do(ctx context.Context, step plan.Step) (err error) {
	defer crash.Recover(&err)
	defer n.stopWaiting()
	if n.changing {
		ctx = context.WithoutCancel(ctx)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := n.hold(ctx, step); err != nil {
		return err
	}
	n.enter(step)
	return n.persist(ctx, step)
}

// persist does a step that was entered, again where a lost connection has ended it and
// it may be.
func (n *nodeRun) persist(ctx context.Context, step plan.Step) (err error) {
	before := len(n.failures)
	defer func() {
		failed := err
		if err == nil && len(n.failures) > before { // it failed, and others may follow all the same
			failed = n.failures[before].err
		}
		n.over(ctx, failed)
	}()
	defer crash.Recover(&err)
	err = n.begun(ctx, step)
	for range retries {
		if err == nil || !repeatable(step) || !n.lost(err) {
			return err
		}
		if late := n.reconnect(ctx); late != nil {
			return fmt.Errorf("%w; %w", err, late)
		}
		err = n.begun(ctx, step)
	}
	return err
}

// begun does a step that was entered, once.
func (n *nodeRun) begun(ctx context.Context, step plan.Step) error {
	switch {
	case step.Kind == plan.Resolve && step.Look:
		return n.lookForSources(ctx)
	case step.Held:
		return n.lookForHeld(ctx, step)
	case step.Kind == plan.Connect:
		return n.connect(ctx)
	case step.Kind == plan.Inspect:
		return n.inspect(ctx)
	case step.OnHost:
		return n.buildThere(ctx)
	case step.Kind == plan.Build:
		return n.build(ctx)
	case step.Kind == plan.Cache:
		return n.toCache(ctx, step)
	case step.Kind == plan.Compare && n.opts.DryRun:
		return n.compare(ctx, step)
	case step.Kind == plan.Push:
		return n.push(ctx, step)
	case step.Kind == plan.Resolve:
		return n.resolve(ctx, step)
	case step.Stale:
		return n.prune(ctx)
	case step.Kind == plan.Upload:
		return n.upload(ctx, step)
	case step.Kind == plan.UnitJobs:
		return n.tellUnits(ctx)
	case step.Kind == plan.Activate:
		return n.activate(ctx)
	case step.Kind == plan.Reboot && step.Look:
		return n.seeOutdated(ctx)
	case step.Kind == plan.Reboot:
		return n.reboot(ctx)
	case step.Kind == plan.Await:
		return n.await(ctx)
	case step.Kind == plan.Exec:
		return n.exec(ctx)
	case step.Kind == plan.Compare, step.Kind == plan.Status:
		return n.look(ctx)
	}
	return fmt.Errorf("the step %s is not supported yet", step)
}

// enter makes a step the one that events and failures belong to.
func (n *nodeRun) enter(step plan.Step) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.step, n.tail = step.Kind, nil
}

// fail records that the step failed. Whether others follow is for the plan to say.
func (n *nodeRun) fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.failures = append(n.failures, failure{n.step, err, n.tail})
}

// judge makes the result of the failures. All count, but what failed first is to
// be mended first.
func (n *nodeRun) judge(ctx context.Context) {
	switch {
	case len(n.failures) == 0:
	case ctx.Err() != nil && !n.changing:
		n.result.Status, n.result.Err = event.Cancelled, context.Cause(ctx)
	default:
		first, err := n.failures[0], n.failures[0].err
		for _, later := range n.failures[1:] {
			err = errors.Join(err, later.err)
		}
		n.result.Status, n.result.Err, n.result.Step, n.result.Tail = event.Failed, err, first.step, first.tail
	}
}

// over says that the step ended, and how.
func (n *nodeRun) over(ctx context.Context, err error) {
	e := event.Event{Kind: event.Over, Status: event.Succeeded}
	switch {
	case err != nil && ctx.Err() != nil && !n.changing:
		e.Status = event.Cancelled
	case err != nil:
		e.Status, e.Err = event.Failed, err
	}
	n.send(e)
}

// begin says what the step does, once and again while that takes long.
func (n *nodeRun) begin(text string) {
	n.emit(event.Begin, text)
	n.waitFor(text)
}

// quietly is begin for what is worth telling only if it takes long.
func (n *nodeRun) quietly(text string) {
	n.emit(event.Begin, "")
	n.waitFor(text)
}

// How much of a failed step's output a result keeps.
const (
	tailLines = 20
	tailWidth = 500 // bytes of each
)

func (n *nodeRun) output(line string) {
	n.mu.Lock()
	tail := append(n.tail, printable.Said(line, tailWidth))
	n.tail = tail[max(0, len(tail)-tailLines):]
	n.mu.Unlock()
	n.emit(event.Output, line)
}

func (n *nodeRun) note(text string)  { n.emit(event.Note, text) }
func (n *nodeRun) still(text string) { n.emit(event.Still, text) }
func (n *nodeRun) warn(text string)  { n.emit(event.Warn, text) }

func (n *nodeRun) emit(kind event.Kind, text string) { n.send(event.Event{Kind: kind, Text: text}) }

// send tells of the node's step, unless the event names another.
func (n *nodeRun) send(e event.Event) {
	if e.Step == "" {
		n.mu.Lock()
		e.Step = n.step
		n.mu.Unlock()
	}
	e.Time, e.Node = time.Now(), n.node.Name
	n.sink.Emit(e)
}
