package remote

import (
	"errors"
	"fmt"
	"io"

	"github.com/melbahja/goph"
	"golang.org/x/crypto/ssh"

	"github.com/colmena-go/colmena-go/pkg/printable"
)

// Conn is an authenticated connection to a host, over which sessions run. Its
// methods may be used from many goroutines, and end when it is closed or lost.
type Conn interface {
	// Session asks the host for a session for a command, which means what the login
	// shell takes it for. It fails with [errRefused] where the host opens no further.
	Session(command string) (Session, error)
	// Probe returns nil once the host has shown that it is there.
	Probe() error
	// Wait waits until the connection is gone.
	Wait()
	Close() error
}

// Session is a command that is about to run.
type Session interface {
	// Start begins it. What it prints is written until Wait returns; neither is nil.
	Start(stdout, stderr io.Writer) (stdin io.WriteCloser, err error)
	// Wait returns nil, an [*ExitError] or [ErrConnectionLost].
	Wait() error
	// Close has the host end the command, if that goes on.
	Close() error
}

// errRefused: the host refuses to open another session.
var errRefused = errors.New("the host refuses to open another session")

// native is a connection of our own client.
type native struct {
	client *goph.Client
	forwarding
}

func (n native) Session(command string) (Session, error) {
	cmd, err := n.client.Command(command)
	var refused *ssh.OpenChannelError
	switch {
	case errors.As(err, &refused):
		return nil, fmt.Errorf("%w (%s)", errRefused, printable.Said(err.Error(), 200))
	case err != nil:
		return nil, inOurWords(err)
	}
	if err := n.forwarding.ask(cmd.Session); err != nil {
		cmd.Close()
		return nil, inOurWords(err)
	}
	return &nativeSession{cmd}, nil
}

func (n native) Probe() error {
	_, _, err := n.client.SendRequest("keepalive@openssh.com", true, nil)
	return err
}

func (n native) Wait()        { n.client.Wait() }
func (n native) Close() error { return n.client.Client.Close() }

type nativeSession struct{ cmd *goph.Cmd }

func (s *nativeSession) Start(stdout, stderr io.Writer) (io.WriteCloser, error) {
	s.cmd.Stdout, s.cmd.Stderr = stdout, stderr
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	return stdin, inOurWords(s.cmd.Start())
}

func (s *nativeSession) Wait() error  { return inOurWords(s.cmd.Wait()) }
func (s *nativeSession) Close() error { return s.cmd.Close() }

// inOurWords gives the ways a session can end names of our own.
func inOurWords(err error) error {
	var exit *ssh.ExitError
	var missing *ssh.ExitMissingError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit):
		return &ExitError{Status: exit.ExitStatus(), Signal: printable.Said(exit.Signal(), 20)}
	case errors.As(err, &missing), errors.Is(err, io.EOF):
		return ErrConnectionLost
	}
	// x/crypto quotes what the host says in such an error.
	return fmt.Errorf("%w: %s", ErrConnectionLost, printable.Said(err.Error(), 200))
}
