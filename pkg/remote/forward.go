package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
)

// maxSocketPath is what fits into sockaddr_un with its final NUL (unix(7)).
const maxSocketPath = 107

// forward listens on a unix socket in dir, which must be a directory of mode
// 0700: whoever reaches the socket is root on the host. Every connection to it
// becomes a channel that runs command, a program with its arguments,
// with the connection's bytes as its input and output. A command that stands
// still is ended with [ErrStalled]. stop ends all of it, waits, and returns what
// went wrong on the host, with the last it said on stderr.
func (h *Host) forward(ctx context.Context, dir, command string) (socket string, stop func() error, err error) {
	socket = filepath.Join(dir, "s")
	if len(socket) > maxSocketPath {
		return "", nil, fmt.Errorf("the path of the socket %s is too long: set TMPDIR to a shorter one", socket)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	f := &forward{host: h, command: command}
	f.tasks.Go(crash.Guarded(func() { f.serve(ctx, listener) }))
	return socket, func() error {
		cancel(errStopped)
		listener.Close()
		f.tasks.Wait()
		f.mu.Lock()
		defer f.mu.Unlock()
		return errors.Join(f.errs...)
	}, nil
}

// errStopped is the cause of an end that the caller asked for.
var errStopped = errors.New("stopped")

type forward struct {
	host    *Host
	command string
	tasks   sync.WaitGroup
	mu      sync.Mutex
	errs    []error
}

func (f *forward) serve(ctx context.Context, listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		f.tasks.Go(func() {
			defer crash.Guard()
			if err := f.pipe(ctx, conn); err != nil {
				f.mu.Lock()
				f.errs = append(f.errs, err)
				f.mu.Unlock()
			}
		})
	}
}

// pipe connects one connection with one channel. The channel's end closes the
// connection, so that neither side waits for the other.
func (f *forward) pipe(ctx context.Context, conn net.Conn) (err error) {
	defer conn.Close()
	defer crash.Recover(&err)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	moving := flow{traffic: &f.host.traffic}
	f.tasks.Go(crash.Guarded(func() { moving.watch(ctx, cancel) }))
	said := &tail{}
	err = hostscript.Run(ctx, f.host, hostscript.Call{
		Program: "exec " + f.command, Stdin: moving.in(conn), Stdout: moving.out(connWriter{conn}), Stderr: said,
	})
	if errors.Is(err, errStopped) {
		return nil
	}
	if err != nil && said.String() != "" {
		return fmt.Errorf("%s: %w: %s", f.command, err, hostscript.Said(said.String(), tailSize))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.command, err)
	}
	return nil
}

// connWriter hides net.Conn's ReadFrom, which x/crypto would use and which
// waits for more after the connection is gone.
type connWriter struct{ io.Writer }

// tail keeps the last part of what a command says on stderr.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 1000

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	size := len(p)
	p = p[max(0, size-tailSize):]
	if extra := len(t.text) + len(p) - tailSize; extra > 0 {
		t.text = t.text[:copy(t.text, t.text[extra:])] // moved, so that the memory is used again
	}
	t.text = append(t.text, p...)
	return size, nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}

// after is what was said behind some words, or nothing at all.
func (t *tail) after(words string) string {
	said := hostscript.Said(t.String(), 160)
	if said == "" {
		return ""
	}
	return words + said
}
