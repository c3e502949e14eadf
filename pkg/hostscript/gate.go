package hostscript

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/colmena-go/colmena-go/pkg/printable"
)

// ErrShell: the host did not run our program; the error is a [*ShellError].
// Nothing was sent to it.
var ErrShell = errors.New("the login shell on the host does not run commands")

// ShellError is what a host does in place of running our program.
type ShellError struct {
	Why  error
	Said string // by its login shell, or what stands before the command; bounded and printable
}

func (e *ShellError) Error() string {
	return fmt.Sprintf("%v: %v; it says: %s", ErrShell, e.Why, e.Said)
}

// Unwrap gives the reason.
func (e *ShellError) Unwrap() error { return e.Why }

// Is makes errors.Is(err, ErrShell) true.
func (e *ShellError) Is(target error) bool { return target == ErrShell }

// ErrMute: the host said the mark, as if sh ran there, and then neither ran the
// script that it was sent nor answered the question. No more than that was sent.
var ErrMute = errors.New("the host says that it runs our program, and does not")

// How long the host may take until sh runs: to open a session at all, where
// others may be before us, then to get through its shell's start-up files, and to
// read a script or answer a question.
var (
	sessionLimit = time.Minute
	shellLimit   = 15 * time.Second
	readLimit    = 30 * time.Second
)

const startUp = "see what its start-up files, such as .bashrc or config.fish, do where nobody types"

// noiseSize is how much of what comes before the mark is kept.
const noiseSize = 2 << 10 // bytes

// gate stands between a call and the host until the host has said the mark:
// nothing goes in before it, and nothing that comes out before it counts. A login
// shell can know the mark, as it is in the command: the proof, if one is expected, is
// not. What comes in its place is passed on, but not for long.
type gate struct {
	first, second string // halves of the mark
	cancel        context.CancelCauseFunc
	open          chan struct{} // closed at the mark
	over          chan struct{} // closed at the end
	started       sync.Once
	timer         *time.Timer
	shellLimit    time.Duration
	readLimit     time.Duration
	proof         *string // nil: none; "": the end of the command

	mu     sync.Mutex
	isOpen bool
	proven bool
	other  bool   // something else came where the proof was to be
	out    []byte // what came before the mark, or the proof, of stdout
	err    []byte // and of stderr
}

func newGate(id string, cancel context.CancelCauseFunc) *gate {
	half := len(id) / 2
	g := &gate{
		first: "colmena-go-" + id[:half], second: id[half:], cancel: cancel,
		open: make(chan struct{}), over: make(chan struct{}), shellLimit: shellLimit, readLimit: readLimit,
	}
	g.timer = time.AfterFunc(sessionLimit, g.tooLate)
	return g
}

// expect makes the gate wait for a proof behind the mark. It is called before the
// command is run.
func (g *gate) expect(proof string) { g.proof = &proof }

// settle is told that the end of the command's part that is waited for has come.
func (g *gate) settle() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.proven, g.out = true, nil
	g.timer.Stop()
}

// errLate is the cause that ends a command whose host does not get to it.
var errLate = errors.New("no answer in time")

func (g *gate) tooLate() {
	g.mu.Lock()
	late := !g.isOpen || g.proof != nil && !g.proven
	g.mu.Unlock()
	if late {
		g.cancel(errLate)
	}
}

func (g *gate) end() {
	g.timer.Stop()
	close(g.over)
}

// explain is the error of a command that ended: its own, once it was run.
func (g *gate) explain(err error) error {
	g.mu.Lock()
	open, said := g.isOpen, string(g.out)+" "+string(g.err)
	g.mu.Unlock()
	if said = printable.Said(said, 500); said == "" {
		said = "nothing"
	}
	if open {
		if errors.Is(err, errLate) {
			return fmt.Errorf("%w within %s (%s); it says: %s", ErrMute, g.readLimit, startUp, said)
		}
		return err
	}
	var exit interface{ ExitStatus() int }
	switch {
	case errors.Is(err, errLate):
		return &ShellError{fmt.Errorf("none within %s (%s)", g.shellLimit, startUp), said}
	case err == nil:
		return &ShellError{fmt.Errorf("it ended at once (%s)", startUp), said}
	case errors.As(err, &exit):
		return &ShellError{err, said}
	}
	return err
}

// --- what goes in -------------------------------------------------------------

type gatedReader struct {
	*gate
	next io.Reader
}

func (g *gate) stdin(next io.Reader) io.Reader { return gatedReader{g, next} }

func (g *gate) sessionOpened() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.isOpen { // a quick host may have said the mark before
		g.timer.Reset(g.shellLimit)
	}
}

// Read waits for the mark, unless there is nothing to come: what asks before our
// program runs is not to wait for an answer. That it is called tells that the
// session is open.
func (r gatedReader) Read(p []byte) (int, error) {
	r.started.Do(r.sessionOpened)
	if r.next == nil {
		return 0, io.EOF
	}
	select {
	case <-r.open:
		return r.next.Read(p)
	case <-r.over:
		return 0, io.ErrClosedPipe
	}
}

// --- what comes out -----------------------------------------------------------

type gatedStdout struct {
	*gate
	next io.Writer
}

func (g *gate) stdout(next io.Writer) io.Writer { return gatedStdout{g, orDiscard(next)} }

func (w gatedStdout) Write(p []byte) (int, error) {
	rest, open := w.pass(p)
	if open && len(rest) > 0 {
		if _, err := w.next.Write(rest); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// pass returns what of p comes after the mark.
func (g *gate) pass(p []byte) (rest []byte, open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.isOpen {
		return g.behind(p), true
	}
	mark := []byte(g.first + g.second + "\n")
	g.out = append(g.out, p...)
	at := bytes.Index(g.out, mark)
	if at < 0 {
		g.out = last(g.out, noiseSize)
		return nil, false
	}
	rest = bytes.Clone(g.out[at+len(mark):])
	g.out = nil
	g.isOpen = true
	if g.proof == nil {
		g.timer.Stop()
	} else {
		g.timer.Reset(g.readLimit)
	}
	close(g.open)
	return g.behind(rest), true
}

// behind takes the proof off what comes behind the mark.
func (g *gate) behind(p []byte) []byte {
	if g.proof == nil || g.proven {
		return p
	}
	g.out = append(g.out, p...)
	proof := []byte(*g.proof + "\n")
	switch {
	case *g.proof == "" || g.other:
		g.out = last(g.out, noiseSize)
		return p
	case bytes.HasPrefix(g.out, proof):
		rest := bytes.Clone(g.out[len(proof):])
		g.proven, g.out = true, nil
		g.timer.Stop()
		return rest
	case bytes.HasPrefix(proof, g.out):
		return nil
	}
	g.other = true
	return bytes.Clone(g.out)
}

type gatedStderr struct {
	*gate
	next io.Writer
}

func (g *gate) stderr(next io.Writer) io.Writer { return gatedStderr{g, orDiscard(next)} }

func (w gatedStderr) Write(p []byte) (int, error) {
	w.mu.Lock()
	open := w.isOpen
	if !open || w.proof != nil && !w.proven {
		w.err = last(append(w.err, p...), noiseSize)
	}
	w.mu.Unlock()
	if !open {
		return len(p), nil
	}
	return w.next.Write(p)
}

func orDiscard(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}

// last is the end of a text, in memory of its own.
func last(text []byte, size int) []byte {
	if extra := len(text) - size; extra > 0 {
		return bytes.Clone(text[extra:])
	}
	return text
}
