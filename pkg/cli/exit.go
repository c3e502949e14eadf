package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/event"
)

// Exit codes. Scripts rely on them: they do not change.
const (
	ExitOK          = 0   // everything asked for was done
	ExitFailed      = 1   // something failed: the hive, or at least one node
	ExitUsage       = 2   // the command line is wrong; nothing was begun
	ExitChanges     = 3   // of what only looks: there are differences
	ExitBug         = 70  // a bug of ours showed: EX_SOFTWARE of sysexits.h
	ExitInterrupted = 130 // ended by ^C, SIGTERM or SIGHUP before everything was done
)

// errNodesFailed is returned after the table, which has told everything.
var errNodesFailed = errors.New("not every node succeeded")

// errInterrupted is the cause of a context that a signal ended.
var errInterrupted = errors.New("interrupted")

// usageError is a command line that cannot be understood or makes no sense.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usage(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

func exitCode(err error) int {
	var wrong *usageError
	var bug *crash.Error
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &bug), errors.Is(err, errBug):
		return ExitBug
	case errors.As(err, &wrong):
		return ExitUsage
	case errors.Is(err, errChanges):
		return ExitChanges
	case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled):
		return ExitInterrupted
	}
	return ExitFailed
}

// errBug is returned after the table, when a node's error was a bug of ours.
var errBug = errors.New("a node brought a bug to light")

// verdict turns the results of a deployment into its error.
func verdict(results []event.Result) error {
	if len(bugs(results)) > 0 {
		return errBug
	}
	var err error
	for _, r := range results {
		switch {
		case r.Status == event.Cancelled:
			return errInterrupted
		case r.Status == event.Failed:
			err = errNodesFailed
		case err == nil && r.Outlook != nil && r.Outlook.Changes():
			err = errChanges
		}
	}
	return err
}
