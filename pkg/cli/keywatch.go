package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/deploy"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/keywatch"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/remote"
)

const keyWatchDescription = `With --watch, the program stays: it keeps a connection to each host, and when a host has rebooted, its keys are resolved and uploaded again. Hosts that are away are looked for, however long that takes; keys that cannot be had are tried again.

Exit codes of --watch: 130 after ^C, SIGTERM or SIGHUP, which is how it ends; 1 where the hive cannot be evaluated, or no host is left to watch.`

func keyWatchFlag() cli.Flag {
	return &cli.BoolFlag{Name: "watch", Aliases: []string{"w"}, Usage: "stay until ^C, and upload the keys of each host again after it has rebooted"}
}

// keyWatching reports whether hosts are watched for reboots.
func keyWatching(c *cli.Context) bool {
	return c.Command.Name == "upload-keys" && c.Bool("watch")
}

// withoutWatch are the flags about what a run leaves at its end, which a watch has not.
var withoutWatch = []string{"dry-run", "ask", "json", "json-events", "report", "metrics", "trace"}

// keyWatch is a watch of hosts that may reboot.
type keyWatch struct {
	*deployment
	tools deploy.Tools
	sink  event.Sink // keeps nothing: a watch may last for years
}

// runKeyWatch uploads keys now, and after each reboot.
func runKeyWatch(c *cli.Context) error {
	if c.IsSet("root") {
		return usage("--root and --watch contradict each other: a system that is being installed does not reboot")
	}
	for _, name := range withoutWatch {
		if c.IsSet(name) {
			return usage("--%s and --watch contradict each other: a watch never ends, so there are no results to show (with --log-format json each line is a JSON object)", name)
		}
	}
	d, err := newDeployment(c, hive.Keys)
	if err != nil {
		return err
	}
	if !c.IsSet("parallel") { // of all that come back together none waits for another
		d.Schedule = deploy.Schedule{}
	}
	return d.drive(c, d.request(), func(s started) error {
		w := &keyWatch{deployment: d, tools: s.tools, sink: d.report.Telling(s.nodes.Names)}
		return w.watch(c.Context, s.nodes)
	})
}

// Emit passes on all but that a host is connected to, which is told in another way.
func (w *keyWatch) Emit(e event.Event) {
	if e.Step != plan.Connect || e.Kind != event.Begin {
		w.sink.Emit(e)
	}
}

// watch watches the host of each node as soon as that is evaluated, until ctx is done or
// nothing is left to watch.
func (w *keyWatch) watch(ctx context.Context, nodes deploy.Nodes) error {
	watcher := &keywatch.Watcher{
		Open:    w.openAgain,
		Vain:    remote.Vain,
		Refused: func(err error) bool { return errors.Is(err, remote.ErrHostKey) },
		Bring:   w.bring, Tell: w.tell,
	}
	var all sync.WaitGroup
	watched := 0
	for a := range nodes.Arrivals {
		switch {
		case ctx.Err() != nil:
		case a.Err != nil || a.Node.Target == nil:
			w.upload(ctx, a, w.tools) // tells why nothing is
		case len(a.Node.Keys) == 0:
			w.note(a.Node.Name, event.Note, "it has no keys, and is not watched")
		default:
			for _, warning := range a.Node.Warnings { // once for all uploads
				w.note(a.Node.Name, event.Warn, warning)
			}
			a.Node.Warnings = nil
			watched++
			all.Go(crash.Guarded(func() { watcher.Watch(ctx, a.Node) }))
		}
	}
	if watched > 0 && ctx.Err() == nil {
		w.tool.Log.Info().Msgf("watching %s: keys are uploaded again after each reboot (^C to end)", hosts(watched))
	}
	all.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	w.tool.Log.Error().Msg("no host is left to watch")
	return errNodesFailed
}

// upload takes one node to its keys.
func (w *keyWatch) upload(ctx context.Context, a deploy.Arrival, tools deploy.Tools) event.Result {
	one := deploy.Nodes{Names: []string{a.Node.Name}, Arrivals: func(yield func(deploy.Arrival) bool) { yield(a) }}
	return deploy.Run(ctx, one, w.Options, tools, w)[0]
}

// bring uploads a node's keys over a connection that there is.
func (w *keyWatch) bring(ctx context.Context, node hive.Node, line *keywatch.Line) error {
	tools := w.tools
	tools.Open = func(ctx context.Context, _ hive.Node, _ func(string)) (deploy.Host, error) { return line.Lend(ctx) }
	return w.upload(ctx, deploy.Arrival{Node: node}, tools).Err
}

// tell tells what happened to a node's host.
func (w *keyWatch) tell(node string, news keywatch.News) {
	kind := event.Note
	if news.Bad() {
		kind = event.Warn
	}
	w.note(node, kind, news.String())
}

func (w *keyWatch) note(node string, kind event.Kind, text string) {
	w.sink.Emit(event.Event{Time: time.Now(), Node: node, Step: plan.Connect, Kind: kind, Text: text})
}

func hosts(n int) string {
	if n == 1 {
		return "1 host"
	}
	return fmt.Sprintf("%d hosts", n)
}
