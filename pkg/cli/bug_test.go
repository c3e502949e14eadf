package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/report"
)

// where says, to the test binary itself, where it shall panic.
const where = "COLMENA_GO_TEST_PANIC"

// buggy is the program with a bug.
func buggy(args []string) int {
	app := newApp(os.Stdout, report.NewTerminal(os.Stderr))
	for _, command := range app.Commands {
		command.Action = func(c *cli.Context) error {
			if c.IsSet("report") {
				if err := new(deployment).recorded(c); err != nil {
					return err
				}
			}
			if os.Getenv(where) == "runtime" {
				new(sync.Mutex).Unlock() // which nothing recovers from
			}
			if os.Getenv(where) == "goroutine" {
				go crash.Guarded(func() { panic("hunter2") })()
				<-c.Context.Done() // which never comes
			}
			panic("hunter2")
		}
	}
	return start(app, &output{to: os.Stdout}, args)
}

func TestABugNeverLooksLikeAnotherEnd(t *testing.T) {
	if os.Getenv(where) != "" {
		os.Exit(buggy(append([]string{"colmena-go"}, strings.Fields(os.Getenv("ARGS"))...)))
	}
	// What the runtime itself ends is told from wrong usage as well.
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), where+"=runtime", "ARGS=build")
	var ended *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &ended) || ended.Sys().(syscall.WaitStatus).Signal() != syscall.SIGABRT || ended.Sys().(syscall.WaitStatus).CoreDump() {
		t.Errorf("a fatal error: %v", err)
	}
	for _, place := range []string{"main", "goroutine"} {
		for args, stack := range map[string]bool{"build": false, "build -p 2 -v": true, "build --log-format json": false} {
			cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
			cmd.Env = append(os.Environ(), where+"="+place, "ARGS="+args)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 70 {
				t.Errorf("%s in %s: %v", args, place, err)
			}
			text := string(out)
			if !strings.Contains(text, "this is a bug of colmena-go (string)") || strings.Contains(text, "hunter2") ||
				strings.Contains(text, "bug_test.go") != stack || !stack && strings.Count(text, "\n") != 1 {
				t.Errorf("%s in %s:\n%s", args, place, text)
			}
			if strings.Contains(args, "json") && !strings.HasPrefix(text, `{"level":"error"`) {
				t.Errorf("not JSON: %s", text)
			}
		}
	}
}

func TestABugLeavesWhatIsKnownOfTheRun(t *testing.T) {
	for _, place := range []string{"main", "goroutine"} {
		page := filepath.Join(t.TempDir(), "report.html")
		cmd := exec.Command(os.Args[0], "-test.run=^TestABugNeverLooksLikeAnotherEnd$")
		cmd.Env = append(os.Environ(), where+"="+place, "ARGS=build --json-events --report "+page)
		events, err := cmd.Output()
		if err == nil || cmd.ProcessState.ExitCode() != ExitBug {
			t.Errorf("%s: %v", place, err)
		}
		if !strings.Contains(string(events), `"event":"summary",`) || !strings.Contains(string(events), `"status":"bug","error":"this is a bug`) {
			t.Errorf("%s: %s", place, events)
		}
		if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "this is a bug of colmena-go") || strings.Contains(string(text), "hunter2") {
			t.Errorf("%s: %v, %s", place, err, text)
		}
	}
}

func TestANodesBugIsNoOrdinaryFailure(t *testing.T) {
	bug := fmt.Errorf("the step: %w", &crash.Error{What: "x"})
	for want, results := range map[int][]event.Result{
		ExitBug:         {{Status: event.Failed, Err: bug}, {Status: event.Cancelled, Err: context.Canceled}},
		ExitFailed:      {{Status: event.Failed, Err: errors.New("x")}, {Status: event.Succeeded}},
		ExitInterrupted: {{Status: event.Failed, Err: errors.New("x")}, {Status: event.Cancelled}},
		ExitOK:          {{Status: event.Succeeded}, {Status: event.Skipped}},
	} {
		if got := exitCode(verdict(results)); got != want {
			t.Errorf("%+v: %d, want %d", results, got, want)
		}
	}
}
