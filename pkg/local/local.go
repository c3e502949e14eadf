// Package local makes this machine a host like any other: what pkg/remote runs over
// SSH runs here as a process, as root.
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/escalation"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// Host is this machine. Its methods may be used from many goroutines.
type Host struct {
	program  escalation.Program // before every command; none for root
	password *secret.Secret     // that it is told; nil: none
	asking   *asking            // who has it ask before; nil where it does not

	tasks     sync.WaitGroup
	mu        sync.Mutex
	processes map[int]bool // groups that have not ended
}

// ExitError is a command that ended without success.
type ExitError struct{ *exec.ExitError }

// ExitStatus is the command's exit status.
func (e *ExitError) ExitStatus() int { return e.ExitCode() }

func (e *ExitError) Error() string { return "the command ended with " + e.ExitError.Error() }

// Run runs a command as root, with sh, and returns when it has ended and its output
// is written. nil stdin is an empty one, nil stdout or stderr discards. It fails
// with an [*ExitError], with [ErrEscalation], with [escalation.ErrRefused] or with the
// cause of ctx; and with the error of a Write. Who ends before its command does so as a connection does that
// is lost: the command sees the end of its input, and is not killed in the middle
// of what it does. stdin is read once the command runs; if it blocks in Read, the
// caller must close it afterwards.
func (h *Host) Run(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) error {
	if err := h.asking.again(ctx, h.program.Words()); err != nil {
		return err
	}
	words := []string{"sh", "-c", command}
	if h.password == nil {
		return h.run(ctx, slices.Concat(h.program.Silent(), words), stdin, stdout, stderr)
	}
	call := h.program.Call(*h.password)
	defer call.Close()
	err := h.run(ctx, append(call.Words, words...), call.Stdin(stdin), call.Stdout(stdout), call.Stderr(stderr))
	if exit := (*ExitError)(nil); errors.As(err, &exit) {
		call.Ended()
	}
	if err != nil && ctx.Err() == nil && call.Refused() {
		return escalation.ErrRefused
	}
	return err
}

func (h *Host) run(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = "/"
	// ^C is ours to hear: what changes the machine is ended in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	errs, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	h.note(cmd.Process.Pid, true)
	go func() { // ends with stdin, which the caller closes
		defer crash.Guard()
		if stdin != nil {
			io.Copy(in, stdin)
		}
		in.Close()
	}()
	var copied sync.WaitGroup
	copied.Go(crash.Guarded(func() { pass(stdout, out, giveUp) }))
	copied.Go(crash.Guarded(func() { pass(stderr, errs, giveUp) }))
	ended := make(chan error, 1)
	h.tasks.Go(func() {
		defer crash.Guard()
		copied.Wait()
		ended <- cmd.Wait()
		h.note(cmd.Process.Pid, false)
	})
	select {
	case err = <-ended:
	case <-ctx.Done():
		for _, end := range []io.Closer{in, out, errs} {
			end.Close()
		}
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil: // even a success may be that of a command cut short
		return context.Cause(ctx)
	case errors.As(err, &exit):
		return &ExitError{exit}
	}
	return err
}

// pass copies what a command prints. A Write that fails ends it.
func pass(to io.Writer, from io.Reader, giveUp context.CancelCauseFunc) {
	if to == nil {
		to = io.Discard
	}
	var failed error
	io.Copy(crash.Writer(writer(func(p []byte) (int, error) {
		n, err := to.Write(p)
		failed = err
		return n, err
	})), from)
	if failed != nil {
		giveUp(failed)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func (h *Host) note(process int, runs bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.processes == nil {
		h.processes = map[int]bool{}
	}
	if runs {
		h.processes[process] = true
	} else {
		delete(h.processes, process)
	}
}

// endLimit is how long commands that were given up may take to end.
var endLimit = 10 * time.Second

// Close waits for what still runs, and kills what does not end.
func (h *Host) Close() error {
	ended := make(chan struct{})
	go func() {
		defer crash.Guard()
		h.tasks.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-time.After(endLimit):
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for process := range h.processes {
		if err := syscall.Kill(-process, syscall.SIGKILL); err != nil {
			return fmt.Errorf("process %d does not end: %w", process, err) // one of root's
		}
	}
	return nil
}
