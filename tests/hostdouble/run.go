// Package hostdouble has programs of this machine stand in for a host: tests run what
// would reach one over SSH, in the way of [hostscript.Runner].
package hostdouble

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
)

// ExitError is a command that ended without success; it has the method that
// pkg/remote's has.
type ExitError struct{ *exec.ExitError }

// ExitStatus is the command's exit status.
func (e ExitError) ExitStatus() int { return e.ExitCode() }

func (e ExitError) Unwrap() error { return e.ExitError }

// Streams are the command's, and who stands in between.
type Streams struct {
	In       io.Reader // nil: it ends at once
	Out, Err io.Writer
	Started  func(*os.Process) // may be nil
	// HangUp: where ctx ends, the input does, and the command learns of it from that
	// alone, as from a connection that is gone. Otherwise it is killed.
	HangUp bool
}

// Run runs a command that was made with ctx. It fails with an [ExitError], or with the
// cause of ctx.
func Run(ctx context.Context, cmd *exec.Cmd, s Streams) error {
	cmd.Stdout, cmd.Stderr = s.Out, s.Err
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if s.HangUp {
		cmd.Cancel = in.Close
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if s.Started != nil {
		s.Started(cmd.Process)
	}
	go func() {
		if s.In != nil {
			io.Copy(in, s.In)
		}
		in.Close()
	}()
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &exit) && exit.Exited():
		return ExitError{exit}
	}
	return err
}
