// Package cli is the command line: it turns arguments into options, runs the
// other packages in order and turns what they return into an exit code.
package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/ask"
	"github.com/colmena-go/colmena-go/pkg/askpass"
	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/remote"
	"github.com/colmena-go/colmena-go/pkg/report"
	"github.com/colmena-go/colmena-go/pkg/version"
)

// Main runs the program and returns its exit code.
func Main(args []string) int {
	// An ssh of ours starts us for what it lacks.
	if status, passes := remote.PassWay(args); passes {
		return status
	}
	if status, asks := askpass.Main(args); asks {
		return status
	}
	defer keepHeapFloor()()
	stdout := &output{to: os.Stdout}
	return start(newApp(stdout, report.NewTerminal(os.Stderr)), stdout, args)
}

func start(app *cli.App, stdout *output, args []string) int {
	app.Metadata[asking] = ask.New(screen(app), func(text string) { screen(app).Tell(zerolog.InfoLevel, text) })
	endsWithBugs(app, args)
	ctx, stop := interruptible(app)
	defer stop()
	defer giveTerminalBack(app)
	err := stdout.verdict(run(ctx, app, args))
	err = writeDocuments(app, err)
	if events := eventsOf(app); events != nil {
		finish(ctx, events)
		err = stdout.verdict(err)
	}
	var bug *crash.Error
	if errors.As(err, &bug) {
		tellBug(app, bug, args)
	} else {
		tellError(err, app)
	}
	screen(app).Resume()
	finish(ctx, screen(app))
	return exitCode(err)
}

// run does what args say. A panic is its error.
func run(ctx context.Context, app *cli.App, args []string) (err error) {
	defer crash.Recover(&err)
	words, err := arrange(app, args)
	if err == nil {
		return app.RunContext(ctx, words)
	}
	if asksForJSON(args) {
		screen(app).UseJSON()
	}
	return err
}

const description = `Hives and flakes written for Colmena work as they are. Without --config, the
hive is the flake.nix or hive.nix of the working directory or of the nearest
one above it. Flags may stand anywhere, but before exec's command.

Exit codes: 0 all done, 1 something failed, 2 wrong usage, 3 (of plan and diff)
something would change or differs, 70 a bug of colmena-go, 130 interrupted.`

func newApp(stdout, stderr io.Writer) *cli.App {
	cli.VersionFlag = &cli.BoolFlag{Name: "version", Aliases: []string{"V"}, Usage: "print the version"} // -v is --verbose
	app := &cli.App{
		Name:        "colmena-go",
		Usage:       "deploy NixOS to many hosts and deliver their secrets",
		UsageText:   "colmena-go [flags] COMMAND [arguments]",
		Description: description,
		Version:     version.Get().Short(),
		Writer:      stdout,
		ErrWriter:   stderr,
		Flags:       globalFlags(),
		Commands: []*cli.Command{
			applyCommand(), applyLocalCommand(), buildCommand(), uploadKeysCommand(), planCommand(), diffCommand(), statusCommand(), keysCommand(), listCommand(), rebootCommand(), execCommand(), evalCommand(), replCommand(), nixInfoCommand(), completionCommand(), manCommand(), versionCommand(), completeCommand(),
		},
		Before:         prepare,
		Action:         func(c *cli.Context) error { return cli.ShowAppHelp(c) },
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError:   onUsageError,
		Metadata:       map[string]any{running: new(atomic.Pointer[report.Run]), leaving: new(atomic.Pointer[documents])},
	}
	printOwnHelp(app)
	app.Setup() // which adds the flags for help and version
	app.Command("help").Usage = "list the commands, or show the help of one"
	return app
}

func onUsageError(_ *cli.Context, err error, _ bool) error { return usage("%v", err) }

// tellError prints an error, unless the table or a note has told it already, or it is
// no news: a reader that went away, as in `| head`, has seen what it wanted.
func tellError(err error, app *cli.App) {
	told := errors.Is(err, errNodesFailed) || errors.Is(err, errChanges) || errors.Is(err, errInterrupted) || errors.Is(err, errBug) || errors.Is(err, errUnwritten)
	gone := errors.Is(err, errOutput) && errors.Is(err, syscall.EPIPE)
	if err != nil && !told && !gone {
		screen(app).Tell(zerolog.ErrorLevel, err.Error())
	}
}

// asksForJSON reads --log-format where the flags as a whole cannot be read.
func asksForJSON(args []string) bool {
	return slices.Contains(args, "--log-format=json") || strings.Contains(strings.Join(args, "\x00"), "\x00--log-format\x00json")
}

// prepare checks the global flags once the app has read them.
func prepare(c *cli.Context) error {
	switch format := c.String("log-format"); format {
	case "text":
	case "json":
		screen(c.App).UseJSON()
	default:
		return usage("--log-format is text or json, not %q", format)
	}
	switch when := c.String("color"); when {
	case "auto", "always", "never":
	default:
		return usage("--color is auto, always or never, not %q", when)
	}
	return nil
}

// newLog is the log for diagnostics from a level on, which go into the sink.
func newLog(sink event.Sink, level zerolog.Level) zerolog.Logger { return report.Logger(sink, level) }

// levelFor is from where on diagnostics are told.
func levelFor(c *cli.Context) zerolog.Level {
	switch {
	case c.Bool("verbose"):
		return zerolog.DebugLevel
	case c.Bool("quiet"):
		return zerolog.WarnLevel
	}
	return zerolog.InfoLevel
}

// plainLog is the log of a command that deploys nothing.
func plainLog(c *cli.Context) zerolog.Logger {
	return newLog(report.NewSink(report.View{Screen: screen(c.App), Style: style(c)}), zerolog.InfoLevel)
}
