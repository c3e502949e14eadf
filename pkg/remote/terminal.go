package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/colmena-go/colmena-go/pkg/crash"
)

// Terminal is one that a command on a host is given.
type Terminal struct {
	Kind    string                     // TERM
	Size    func() (columns, rows int) // that of the user's own
	Resized <-chan struct{}            // Size has changed
}

// ErrNoTerminal: the host gives commands no terminal, or the connection is one of the
// ssh program, over which none is asked for.
var (
	ErrNoTerminal = errors.New("the command can be given no terminal")
	errProgram    = fmt.Errorf("%w over a connection that the ssh program makes (see docs/ssh.md): run ssh itself", ErrNoTerminal)
)

// RunOnTerminal runs a line, which the login shell reads, with a terminal of its own, and
// as root if privileges are asked for: what makes us root may ask on that terminal. It
// returns as Run does. What is typed goes to the host as it is: the user's own terminal
// must be raw. The host ends the command when ctx is done.
func (h *Host) RunOnTerminal(ctx context.Context, line string, t Terminal, stdin io.Reader, stdout io.Writer) error {
	if h.needsRoot {
		words := append(append([]string{}, h.program.Words()...), "sh", "-c", `exec "${SHELL:-sh}" -c "$1"`, "sh", line)
		line = strings.Join(quoted(words), " ")
	}
	return h.run(ctx, call{command: line, terminal: &t, stdin: stdin, stdout: stdout})
}

// withTerminal is a Session that can give its command a terminal.
type withTerminal interface {
	// Terminal is called before Start.
	Terminal(kind string, columns, rows int) error
	Resize(columns, rows int) error
}

// give gives the session's command a terminal whose size follows the user's, until stop.
func (t *Terminal) give(s Session) (stop func(), err error) {
	able, is := s.(withTerminal)
	if !is {
		return nil, errProgram
	}
	columns, rows := t.Size()
	if err := able.Terminal(t.Kind, columns, rows); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoTerminal, err)
	}
	over := make(chan struct{})
	go func() {
		defer crash.Guard()
		for {
			select {
			case <-t.Resized:
				columns, rows := t.Size()
				_ = able.Resize(columns, rows) // one that is lost is told by the command
			case <-over:
				return
			}
		}
	}()
	return func() { close(over) }, nil
}

func (s *nativeSession) Terminal(kind string, columns, rows int) error {
	return inOurWords(s.cmd.RequestPty(kind, rows, columns, ssh.TerminalModes{}))
}

func (s *nativeSession) Resize(columns, rows int) error { return s.cmd.WindowChange(rows, columns) }
