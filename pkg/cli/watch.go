package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/deploy"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/remote"
	"github.com/colmena-go/colmena-go/pkg/report"
	"github.com/colmena-go/colmena-go/pkg/status"
)

const (
	watchDefault = 5 * time.Second
	watchLeast   = time.Second
)

// watchEvery reads the flags of --watch; 0 is for one look.
func watchEvery(c *cli.Context) (time.Duration, error) {
	every, err := duration(c, "every")
	switch {
	case err != nil:
		return 0, err
	case !c.Bool("watch") && every > 0:
		return 0, usage("--every goes with --watch")
	case !c.Bool("watch"):
		return 0, nil
	case c.Bool("keys"):
		return 0, usage("--keys cannot be combined with --watch: keys are resolved only once")
	case every == 0:
		return watchDefault, nil
	case every < watchLeast:
		return 0, usage("--every is %q: hosts are asked once a second at most", c.String("every"))
	}
	return every, nil
}

// watching is a status that goes on.
type watching struct {
	*deployment
	board *report.Board
	every time.Duration
}

// errSeenEnough is the cause of a watch's end when the user has pressed q.
var errSeenEnough = errors.New("seen enough")

// watch asks the hosts until the user has seen enough.
func (d *deployment) watch(c *cli.Context, nodes deploy.Nodes, every time.Duration) error {
	live := onTerminal(c) && !d.json && screen(c.App).CanShow() && moves(os.Getenv)
	w := &watching{deployment: d, every: every, board: report.NewBoard("colmena-go status", fmt.Sprintf("every %s · q to quit", every), style(c), nodes.Names)}
	ctx, end := context.WithCancelCause(c.Context)
	defer end(nil)
	onlyLooks.Store(true)
	defer onlyLooks.Store(false)
	var all sync.WaitGroup
	hide := func() {}
	if live {
		hide = w.showBoard(c, ctx, end, &all)
	} else {
		all.Go(crash.Guarded(func() { w.print(ctx, c, end) }))
	}
	w.ask(ctx, c, nodes, &all)
	<-ctx.Done()
	all.Wait()
	hide()
	if live {
		if err := report.Statuses(c.App.Writer, w.board.List(time.Now()), stdoutStyle(c), stdoutColumns(c)); err != nil {
			return err
		}
	}
	if err := context.Cause(ctx); !errors.Is(err, errSeenEnough) {
		return err
	}
	return nil
}

// showBoard has the board stand on the terminal, and q end the watch.
func (w *watching) showBoard(c *cli.Context, ctx context.Context, end context.CancelCauseFunc, all *sync.WaitGroup) (hide func()) {
	hideBoard, release := screen(c.App).Show(w.board), w.stoppable(c)
	all.Go(crash.Guarded(func() {
		if asker(c.App).AwaitKey(ctx, "qQ") == nil { // ^C ends it all the same
			end(errSeenEnough)
		}
	}))
	return func() {
		release()
		hideBoard()
	}
}

// ask begins to ask each node as soon as it is evaluated.
func (w *watching) ask(ctx context.Context, c *cli.Context, nodes deploy.Nodes, all *sync.WaitGroup) {
	watcher := &status.Watcher{
		Every: w.every, Tell: w.tell,
		Vain: func(err error) bool { return remote.Vain(err) || errors.Is(err, remote.ErrHostKey) },
		Open: func(ctx context.Context, node hive.Node) (status.Host, error) { return w.openAgain(ctx, node) },
	}
	if most, err := count(c, "parallel"); err == nil && most > 0 { // it was looked at before
		watcher.Slots = make(chan struct{}, most)
	}
	for a := range nodes.Arrivals {
		if ctx.Err() != nil {
			return
		}
		switch {
		case a.Err != nil:
			w.failed(a.Node, plan.Evaluate, a.Err)
		case a.Node.Target == nil:
			w.board.Tell(report.Status{Result: event.Result{Node: a.Node.Name, Status: event.Skipped}}, time.Now())
		default:
			all.Go(crash.Guarded(func() { watcher.Watch(ctx, a.Node) }))
		}
	}
}

// tell puts an answer on the board.
func (w *watching) tell(a status.Answer) {
	switch {
	case a.Err == nil:
		result := event.Result{Node: a.Node.Name, Status: event.Succeeded, Toplevel: outPath(a.Node)}
		w.board.Tell(report.Status{Result: result, State: a.State, Keys: a.State.Keys(a.Node.Keys)}, time.Now())
	case a.Connected:
		w.failed(a.Node, plan.Status, a.Err)
	case a.Last:
		w.failed(a.Node, plan.Connect, fmt.Errorf("%w (it is not tried again)", a.Err))
	default:
		w.failed(a.Node, plan.Connect, a.Err)
	}
}

func (w *watching) failed(node hive.Node, step plan.StepKind, err error) {
	w.board.Tell(report.Status{Result: event.Result{Node: node.Name, Status: event.Failed, Step: step, Err: err, Toplevel: outPath(node)}}, time.Now())
}

func outPath(node hive.Node) string {
	if node.Toplevel == nil {
		return ""
	}
	return node.Toplevel.OutPath
}

// print prints the board once all were asked, and every so often from then on.
func (w *watching) print(ctx context.Context, c *cli.Context, end context.CancelCauseFunc) {
	const look = 50 * time.Millisecond
	for next := time.Duration(0); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(next, look)):
		}
		if !w.board.Asked() {
			next = look
			continue
		}
		next = w.every
		var err error
		if list := w.board.List(time.Now()); w.json {
			err = report.StatusesLine(c.App.Writer, list)
		} else {
			err = report.Statuses(c.App.Writer, list, stdoutStyle(c), stdoutColumns(c))
		}
		if err != nil {
			end(err)
			return
		}
	}
}
