package keysource

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/term"

	"github.com/colmena-go/colmena-go/pkg/ask"
	"github.com/colmena-go/colmena-go/pkg/crash"
)

// Terminal lends the terminal to commands that ask there; [ask.Asker] is one.
type Terminal interface {
	Guard() (undo func())
	Attend(ctx context.Context, j ask.Job) error
}

// asking is a command that may ask.
type asking struct {
	terminal  Terminal // nil: it cannot
	node, key string
	wait      func()
	begin     func(tty io.Writer)
	fail      func(error) // ends the command
	had       *bool       // it had the terminal
}

// attend has the command get the terminal when it asks. ended is to be called when it
// has ended, and returns when the terminal was given back.
func (a asking) attend(ctx context.Context, pid int) (ended func()) {
	if a.terminal == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer crash.Guard()
		defer close(done)
		err := a.terminal.Attend(ctx, ask.Job{
			Who: a.node, Text: fmt.Sprintf("the keyCommand of key %q asks:", a.key),
			Group: pid, Ended: over, Wait: a.wait, Begin: a.begin,
		})
		if err != nil && ctx.Err() == nil {
			a.fail(err) // or it would wait for ever
		}
	}()
	return func() {
		close(over)
		cancel()
		<-done
	}
}

// hear passes on that the command was interrupted: while it has the terminal, ^C is
// heard by it alone.
func (a asking) hear(cmd *exec.Cmd) {
	if a.terminal == nil || cmd.ProcessState == nil || !*a.had {
		return
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && (status.Signaled() && status.Signal() == syscall.SIGINT || status.ExitStatus() == interrupted) {
		syscall.Kill(os.Getpid(), syscall.SIGINT)
	}
}

// interrupted is the exit status of a shell whose program was.
const interrupted = 128 + int(syscall.SIGINT)

// withTTY tells gpg the name of the terminal, which it cannot find out by itself
// behind pipes (gpg-agent(1), GPG_TTY).
func withTTY(environment []string) []string {
	for _, variable := range environment {
		if strings.HasPrefix(variable, "GPG_TTY=") {
			return environment
		}
	}
	for _, file := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		if !term.IsTerminal(int(file.Fd())) {
			continue
		}
		if name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", file.Fd())); err == nil {
			return append(environment, "GPG_TTY="+name)
		}
	}
	return environment
}
