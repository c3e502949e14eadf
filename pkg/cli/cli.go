// Package cli is the command line: it turns arguments into options, runs the
// other packages in order and turns what they return into an exit code.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/report"
)

// Version is the program's.
const Version = "0.1.0"

// Main runs the program and returns its exit code.
func Main(args []string) int {
	stdout := &output{to: os.Stdout}
	app := newApp(stdout, os.Stderr)
	ctx, stop := interruptible(func(text string) { tell(app, zerolog.WarnLevel, text) })
	defer stop()
	words, err := arrange(app, args)
	if err == nil {
		err = stdout.verdict(app.RunContext(ctx, words))
	} else if asksForJSON(args) {
		setJSON(app)
	}
	show(err, app)
	return exitCode(err)
}

const description = `Hives and flakes written for Colmena work as they are. Without --config, the
hive is the flake.nix or hive.nix of the working directory or of the nearest
one above it. Flags may stand anywhere.

Exit codes: 0 all done, 1 something failed, 2 wrong usage, 130 interrupted.`

func newApp(stdout, stderr io.Writer) *cli.App {
	cli.VersionFlag = &cli.BoolFlag{Name: "version", Aliases: []string{"V"}, Usage: "print the version"} // -v is --verbose
	app := &cli.App{
		Name:        "colmena-go",
		Usage:       "deploy NixOS to many hosts and deliver their secrets",
		UsageText:   "colmena-go [flags] COMMAND [arguments]",
		Description: description,
		Version:     Version,
		Writer:      stdout,
		ErrWriter:   stderr,
		Flags:       globalFlags(),
		Commands: append([]*cli.Command{
			applyCommand(), buildCommand(), uploadKeysCommand(), listCommand(),
		}, unsupportedCommands()...),
		Before:         prepare,
		Action:         func(c *cli.Context) error { return cli.ShowAppHelp(c) },
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError:   onUsageError,
		Metadata:       map[string]any{jsonLog: new(atomic.Bool)},
	}
	for _, command := range app.Commands {
		if !command.Hidden {
			command.Description = strings.TrimSpace(command.Description + "\n\nGlobal flags such as --config may stand here, too: see `colmena-go --help`.")
		}
	}
	app.Setup() // which adds the flags for help and version
	for _, flags := range append(commandFlags(app), app.Flags) {
		for _, flag := range flags {
			if b, ok := flag.(*cli.BoolFlag); ok {
				b.DisableDefaultText = true
			}
		}
	}
	return app
}

func onUsageError(_ *cli.Context, err error, _ bool) error { return usage("%v", err) }

// unsupportedCommands are Colmena's that are not there yet.
func unsupportedCommands() []*cli.Command {
	var commands []*cli.Command
	for _, name := range []string{"apply-local", "exec", "eval", "introspect", "repl", "nix-info", "gen-completions"} {
		commands = append(commands, &cli.Command{
			Name: name, Usage: "not supported yet", Hidden: true, SkipFlagParsing: true, HideHelp: true,
			Action: func(*cli.Context) error { return fmt.Errorf("%s is not supported yet", name) },
		})
	}
	return commands
}

// oneSignal is within which time signals are one: timeout(1) and others send
// theirs to the process and to its group.
const oneSignal = 500 * time.Millisecond

// interruptible is done after the first SIGINT, SIGTERM or SIGHUP; the second ends the
// program at once. What runs on a host by then goes on by itself.
func interruptible(tell func(string)) (context.Context, func()) {
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
		var first time.Time
		for {
			select {
			case <-done:
				return
			case <-signals:
			}
			if !first.IsZero() {
				if time.Since(first) < oneSignal {
					continue
				}
				tell("left at once: an activation that runs goes on by itself; on its host, journalctl -u 'colmena-go-activate-*' tells how it ends")
				os.Exit(ExitInterrupted)
			}
			first = time.Now()
			tell("interrupted: nothing new begins, hosts that are being changed are finished; once more to leave at once")
			cancel(errInterrupted)
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}

// show prints an error, unless the table or a note has told it already.
func show(err error, app *cli.App) {
	if err != nil && !errors.Is(err, errNodesFailed) && !errors.Is(err, errInterrupted) {
		tell(app, zerolog.ErrorLevel, err.Error())
	}
}

// tell says what concerns the whole run.
func tell(app *cli.App, level zerolog.Level, text string) {
	if inJSON(app) {
		log := zerolog.New(app.ErrWriter).With().Timestamp().Logger()
		log.WithLevel(level).Msg(text)
		return
	}
	report.Message(app.ErrWriter, text)
}

// jsonLog is the name, in the app's metadata, of whether all on stderr is JSON.
// A signal may come while flags are read, so it is atomic.
const jsonLog = "json log"

func inJSON(app *cli.App) bool { return app.Metadata[jsonLog].(*atomic.Bool).Load() }

func setJSON(app *cli.App) { app.Metadata[jsonLog].(*atomic.Bool).Store(true) }

// asksForJSON reads --log-format where the flags as a whole cannot be read.
func asksForJSON(args []string) bool {
	return slices.Contains(args, "--log-format=json") || strings.Contains(strings.Join(args, "\x00"), "\x00--log-format\x00json")
}

// prepare checks the global flags once the app has read them.
func prepare(c *cli.Context) error {
	switch format := c.String("log-format"); format {
	case "text":
	case "json":
		setJSON(c.App)
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

// newLog is the log for diagnostics; verbose makes it tell everything.
func newLog(c *cli.Context, verbose bool) zerolog.Logger {
	level := zerolog.InfoLevel
	if verbose {
		level = zerolog.DebugLevel
	}
	if inJSON(c.App) {
		return zerolog.New(c.App.ErrWriter).Level(level).With().Timestamp().Logger()
	}
	console := zerolog.ConsoleWriter{Out: c.App.ErrWriter, NoColor: !bool(style(c)), PartsExclude: []string{zerolog.TimestampFieldName}}
	return zerolog.New(console).Level(level)
}
