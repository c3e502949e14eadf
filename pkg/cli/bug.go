package cli

import (
	"errors"
	"os"
	"regexp"
	"runtime/debug"
	"slices"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/child"
	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/event"
)

// verboseFlag is --verbose, alone or among other short flags.
var verboseFlag = regexp.MustCompile(`^(--verbose|-[a-z]*v[a-z0-9]*)$`)

// endsWithBugs ends the program at once when a goroutine panics, with what is
// known of the deployment, and its stack if args ask for everything.
func endsWithBugs(app *cli.App, args []string) {
	// What cannot be recovered, such as two writers of one map, ends in SIGABRT
	// then, and not with the status of a wrong command line. No core is dumped.
	child.KeepPrivate()
	debug.SetTraceback("crash")
	crash.OnPanic(func(bug *crash.Error) {
		giveTerminalBack(app)
		if run := current(app).Load(); run != nil {
			run.Leave()
		}
		tellBug(app, bug, args)
		leaveDocuments(app, bug)
		screen(app).Resume()
		hurried(screen(app), atOnce)
		os.Exit(ExitBug)
	})
}

// tellBug tells of a bug of ours, in a line of its own.
func tellBug(app *cli.App, bug *crash.Error, args []string) {
	screen(app).Tell(zerolog.ErrorLevel, bug.Error())
	if slices.ContainsFunc(args, verboseFlag.MatchString) {
		screen(app).Tell(zerolog.DebugLevel, string(bug.Stack))
	}
}

// bugs are those that nodes brought to light.
func bugs(results []event.Result) (list []*crash.Error) {
	for _, r := range results {
		var bug *crash.Error
		if errors.As(r.Err, &bug) {
			list = append(list, bug)
		}
	}
	return list
}
