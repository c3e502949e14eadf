package cli

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/ask"
	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/report"
)

// screen is where all goes but documents; nobody waits for who reads it.
func screen(app *cli.App) *report.Terminal { return app.ErrWriter.(*report.Terminal) }

// asking is the name, in the app's metadata, of the one who asks people.
const asking = "asking"

// asker asks people what a command must know.
func asker(app *cli.App) *ask.Asker { return app.Metadata[asking].(*ask.Asker) }

// giveTerminalBack ends what asks there, before the program ends at once.
func giveTerminalBack(app *cli.App) {
	ctx, cancel := context.WithTimeout(context.Background(), atOnce)
	defer cancel()
	asker(app).Close(ctx)
}

// running is the name, in the app's metadata, of the deployment that is shown,
// for whom a signal finds there.
const running = "running"

func current(app *cli.App) *atomic.Pointer[report.Run] {
	return app.Metadata[running].(*atomic.Pointer[report.Run])
}

const (
	// oneSignal is within which time signals are one: timeout(1) and others send
	// theirs to the process and to its group.
	oneSignal = 500 * time.Millisecond
	// How long all that is left to say may take once the user wants to leave, or to
	// leave at once.
	interrupted = 2 * time.Second
	atOnce      = time.Second
)

// onlyLooks: a watch goes on, of which nothing is left to be finished at its end.
var onlyLooks atomic.Bool

// interruptible is done after the first SIGINT, SIGTERM or SIGHUP; the second ends the
// program at once. What runs on a host by then goes on by itself.
func interruptible(app *cli.App) (context.Context, func()) {
	screen, run := screen(app), current(app)
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	// A reader that goes away, as in `| head`, must not kill us while a host is
	// being changed: with somebody to hear it, SIGPIPE is only a failed write.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) { // nohup(1), and shells for what runs in the background
			signal.Notify(signals, s)
		}
	}
	done := make(chan struct{})
	go func() {
		defer crash.Guard()
		for ignored := true; ignored; {
			select {
			case <-done:
				return
			case s := <-signals:
				ignored = s == os.Interrupt && handedOver.Load()
			}
		}
		cancel(errInterrupted)
		if !onlyLooks.Load() {
			screen.Tell(zerolog.WarnLevel, "interrupted: starting nothing new"+whatGoesOn(run.Load(), ", finishing hosts that are being changed")+"; press ^C again to quit now")
		}
		first := time.NewTimer(oneSignal)
		defer first.Stop()
		select {
		case <-done:
			return
		case <-first.C:
		}
		for len(signals) > 0 { // they are the first one's
			<-signals
		}
		if r := run.Load(); r != nil && r.Now().Waiting() != "" {
			screen.Tell(zerolog.InfoLevel, "waiting for "+r.Now().Waiting())
		}
		select {
		case <-done:
		case <-signals:
			leave(app)
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}

// whatGoesOn is the text where hosts may be changed, and else nothing.
func whatGoesOn(run *report.Run, text string) string {
	if run == nil || !run.Now().ReachesHosts() {
		return ""
	}
	return text
}

// leave ends the program at once, with what is known of the deployment, if there is one.
func leave(app *cli.App) {
	screen, run := screen(app), current(app).Load()
	giveTerminalBack(app)
	if run != nil {
		run.Leave()
	}
	if run != nil && run.Now().Down() != "" {
		screen.Tell(zerolog.WarnLevel, "still rebooting: "+run.Now().Down()+"; what they booted was not checked, and keys in memory are gone: run upload-keys once they are back")
	}
	goesOn := ""
	if run != nil && run.Now().Activating() {
		goesOn = ": running activations continue on their hosts, where journalctl -u 'colmena-go-activate-*' shows how they end"
	}
	screen.Tell(zerolog.WarnLevel, "quit at once"+goesOn)
	leaveDocuments(app, errInterrupted)
	screen.Resume()
	hurried(screen, atOnce)
	os.Exit(ExitInterrupted)
}

// waited is what somebody reads.
type waited interface {
	// Settle waits until everything is written and reports whether it is. It gives up
	// when ctx is done.
	Settle(ctx context.Context) bool
	// Close settles and takes nothing any more.
	Close(ctx context.Context) bool
}

// finish waits for whoever reads, who may look at a first page for long, until the
// user wants to leave.
func finish(ctx context.Context, out waited) {
	if !out.Settle(ctx) {
		hurried(out, interrupted)
	}
	out.Close(ctx)
}

// hurried waits for them only so long.
func hurried(out waited, most time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	out.Settle(ctx)
}

// leaveDocuments writes what the run leaves where the program ends at once.
func leaveDocuments(app *cli.App, why error) {
	writeDocuments(app, why)
	if events := eventsOf(app); events != nil {
		hurried(events, atOnce)
	}
}
