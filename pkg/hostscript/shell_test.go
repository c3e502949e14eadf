package hostscript

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// keeping is a host that keeps a shell, and counts sessions.
type keeping struct {
	local
	shell    *Shell
	sessions atomic.Int32
}

func (k *keeping) Run(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) error {
	k.sessions.Add(1)
	return k.local.Run(ctx, command, stdin, stdout, stderr)
}

func (k *keeping) KeepShell(s *Shell) { k.shell = s }

func (k *keeping) TakeShell() *Shell {
	s := k.shell
	k.shell = nil
	return s
}

// asked is a host that has answered a question.
func asked(t *testing.T, login local, program string) (*keeping, string) {
	t.Helper()
	host, out := &keeping{local: login}, &strings.Builder{}
	if err := Ask(t.Context(), host, Call{Program: program, Stdout: out}); err != nil || host.shell == nil {
		t.Fatalf("%s: %v", login.shell, err)
	}
	return host, out.String()
}

func TestAScriptRunsInTheSessionThatAnsweredAQuestion(t *testing.T) {
	for _, shell := range []string{"sh", "bash", "fish", "zsh"} {
		if _, err := exec.LookPath(shell); err != nil {
			continue
		}
		for _, limit := range []time.Duration{0, time.Minute} {
			host, answer := asked(t, local{shell, "echo welcome; echo hello >&2"}, "for i in a b; do echo $i; done; printf colmena-go-")
			if answer != "a\nb\ncolmena-go-" {
				t.Errorf("%s: the answer is %q", shell, answer)
			}
			out, err := run(t, host, script, limit, List("one", `a"b`), []byte("data"))
			if want := `[4][one][a"b][.]data`; err != nil || out != want || host.sessions.Load() != 1 {
				t.Errorf("%s, %v: %q, %v in %d sessions; want %q", shell, limit, out, err, host.sessions.Load(), want)
			}
			// It is used up: the next has a session of its own.
			if out, err = run(t, host, script, 0, List("two")); err != nil || out != "[3][two][.]" || host.sessions.Load() != 2 {
				t.Errorf("%s: then %q, %v", shell, out, err)
			}
		}
	}
}

func TestTheStatusAndTheErrorsOfAScriptInAKeptShellAreItsOwn(t *testing.T) {
	host, _ := asked(t, local{}, "echo answer")
	var stderr strings.Builder
	err := Run(t.Context(), host, Call{Script: []byte("{\necho no >&2\nexit 7\n}\n"), Stderr: &stderr})
	var exit interface{ ExitStatus() int }
	if !errors.As(err, &exit) || exit.ExitStatus() != 7 || stderr.String() != "no\n" {
		t.Errorf("%v, %q", err, stderr.String())
	}
	host, _ = asked(t, local{}, "echo answer")
	if _, err := run(t, host, "{\nsleep 30\nexit\n}\n", time.Second); !errors.As(err, &exit) || exit.ExitStatus() != 124 {
		t.Errorf("over its limit: %v", err)
	}
	host, _ = asked(t, local{}, "echo answer")
	why := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(100*time.Millisecond, func() { cancel(why) })
	if err := Run(ctx, host, Call{Script: []byte("{\nsleep 30\nexit\n}\n")}); !errors.Is(err, why) {
		t.Errorf("interrupted: %v", err)
	}
}

func TestAQuestionThatFailsLeavesNoShell(t *testing.T) {
	before := shellLimit
	shellLimit = 300 * time.Millisecond
	defer func() { shellLimit = before }()
	for program, startup := range map[string]string{"exit 3": "", "echo answer": "exit 3"} {
		host := &keeping{local: local{"bash", startup}}
		err := Ask(t.Context(), host, Call{Program: program})
		var exit interface{ ExitStatus() int }
		if !errors.As(err, &exit) || exit.ExitStatus() != 3 || host.shell != nil || errors.Is(err, ErrShell) != (startup != "") {
			t.Errorf("%s: %v", program, err)
		}
	}
	host := &keeping{local: local{"bash", "exec sleep 20"}}
	if err := Ask(t.Context(), host, Call{Program: "echo answer"}); !errors.Is(err, ErrShell) {
		t.Errorf("a shell that runs nothing: %v", err)
	}
	host = &keeping{}
	why := errors.New("too much")
	if err := Ask(t.Context(), host, Call{Program: "while :; do echo y; done", Stdout: full{why}}); !errors.Is(err, why) {
		t.Errorf("an answer that nobody takes: %v", err)
	}
}

// full takes nothing.
type full struct{ why error }

func (f full) Write([]byte) (int, error) { return 0, f.why }

func TestAKeptShellThatIsClosedOrGoneRunsNothing(t *testing.T) {
	host, _ := asked(t, local{}, "echo answer")
	shell := host.shell
	shell.Close()
	<-shell.Ended()
	if out, err := run(t, host, script, 0, List("one")); err != nil || out != "[3][one][.]" || host.sessions.Load() != 2 {
		t.Errorf("%q, %v in %d sessions", out, err, host.sessions.Load())
	}
}

// What a host sends unasked is held back, and bounded.
func TestAKeptShellThatTalksIsEnded(t *testing.T) {
	host, _ := asked(t, local{}, "(sleep 0.2; head -c 1000000 /dev/zero) & echo answer")
	shell := host.shell
	<-shell.Ended()
	if !errors.Is(shell.err, errUnasked) {
		t.Errorf("it ended with %v", shell.err)
	}
}

// A script that is cut short while it is sent to a kept shell runs nothing.
func TestAKeptShellRunsNoPartOfAScript(t *testing.T) {
	text := []byte("echo proof\n{\necho one\necho two\nexit\n}\n")
	program := asking("echo answer", newGate(ID(), func(error) {}))
	for n := range len(text) - 1 { // without the last newline it is whole
		cmd := exec.Command("sh", "-c", program)
		cmd.Stdin = io.MultiReader(strings.NewReader(fmt.Sprintf("0 %d\n", len(text))), bytes.NewReader(text[:n]))
		if out, _ := cmd.Output(); bytes.Contains(out, []byte("one")) {
			t.Errorf("cut after byte %d: %q", n, out)
		}
	}
}

// A host that answers and goes has answered.
func TestAnAnswerCountsWhereNoShellStays(t *testing.T) {
	for _, program := range []string{"echo answer; exit", "printf %s long-enough-to-be-held-back; exit"} {
		var out strings.Builder
		host := &keeping{}
		if err := Ask(t.Context(), host, Call{Program: program, Stdout: &out}); err != nil || host.shell != nil || !strings.Contains(program, strings.TrimSpace(out.String())) || out.Len() == 0 {
			t.Errorf("%s: %q, %v", program, out.String(), err)
		}
	}
}
