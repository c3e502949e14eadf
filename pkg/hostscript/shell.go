package hostscript

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/colmena-go/colmena-go/pkg/crash"
)

// A session costs round trips before anything runs in it. So the one in which a host has
// answered a question is left open, for the script that follows.

// Keeper is a host that has room for such a session.
type Keeper interface {
	Runner
	// KeepShell has the shell there for whoever takes it. It closes one that is there.
	KeepShell(*Shell)
	// TakeShell returns the shell that is kept, for the caller alone, or nil.
	TakeShell() *Shell
}

// Shell is an sh on a host that has answered a question and waits for a script. Nobody
// else uses it.
type Shell struct {
	question *gate
	next     *gate  // that of the script: its mark is what comes behind the answer
	mark     []byte // that mark, with the end of its line

	answered chan struct{} // closed at the end of the answer
	given    chan struct{} // closed when there is a script, or there will be none
	once     sync.Once
	input    io.Reader // the script and what follows; nil for none; to be read after given
	end      context.CancelCauseFunc
	ended    chan struct{} // closed when the session is over
	err      error         // how; to be read after ended

	mu          sync.Mutex
	begun       bool   // the script is there: all that comes is for its caller
	kept        []byte // what may be the beginning of the mark, and then what came behind it too early
	out, stderr io.Writer
}

// errUnasked ends a shell that talks although it was told nothing.
var errUnasked = errors.New("the host sent unexpected output")

// Ask is [Run] of a question, a Program without Stdin. A host that is a [Keeper] keeps
// the shell for the next script that it is to run.
func Ask(ctx context.Context, host Runner, call Call) error {
	keeper, ok := host.(Keeper)
	if !ok {
		return Run(ctx, host, call)
	}
	live, end := context.WithCancelCause(context.WithoutCancel(ctx))
	s := newShell(call, end)
	defer context.AfterFunc(ctx, func() { end(context.Cause(ctx)) })()
	go func() {
		defer crash.Guard()
		defer end(nil)
		defer close(s.ended)
		defer s.question.end()
		s.err = s.begin(live, host, call)
	}()
	select {
	case <-s.answered:
		keeper.KeepShell(s)
		return nil
	case <-s.ended: // it did not stay
	}
	if err := s.rest(); err != nil && s.err == nil {
		s.err = err
	}
	return s.question.explain(s.err)
}

// rest passes on what was held back of an answer that has no end.
func (s *Shell) rest() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.answered:
		return nil
	default:
	}
	_, err := s.out.Write(s.kept)
	return err
}

func newShell(call Call, end context.CancelCauseFunc) *Shell {
	s := &Shell{
		question: newGate(ID(), end), next: newGate(ID(), end), end: end,
		answered: make(chan struct{}), given: make(chan struct{}), ended: make(chan struct{}),
		out: orDiscard(call.Stdout), stderr: orDiscard(call.Stderr),
	}
	s.question.expect("")
	s.next.timer.Stop() // until there is a script
	s.mark = []byte(s.next.first + s.next.second + "\n")
	return s
}

// begin has the host run the session, and returns how that ends.
func (s *Shell) begin(ctx context.Context, host Runner, call Call) (err error) {
	defer crash.Recover(&err)
	g := s.question
	call.Program = asking(call.Program, s.next)
	return host.Run(ctx, command(call, g.first, g.second), g.stdin(shellIn{s}), g.stdout(shellOut{s}), g.stderr(shellErr{s}))
}

// asking is a program that answers a question and then waits for a script: a line with
// its limit in seconds, 0 for none, and its length comes first.
func asking(question string, next *gate) string {
	return fmt.Sprintf(`{ %s; } && echo %s""%s && read -r _t _n && _s=$(head -c "$_n") && if [ "$_t" = 0 ]; then eval "$_s"; else exec timeout "$_t" sh -c "$_s"; fi`,
		question, next.first, next.second)
}

// waits reports whether the shell is there for a script still.
func (s *Shell) waits() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// Close has the shell end, and does not wait for that.
func (s *Shell) Close() { s.give(nil) }

// Ended is closed when the session of the shell is over.
func (s *Shell) Ended() <-chan struct{} { return s.ended }

func (s *Shell) give(input io.Reader) {
	s.once.Do(func() {
		s.input = input
		close(s.given)
	})
}

// run runs a script there, as [Run] does.
func (s *Shell) run(ctx context.Context, call Call) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { s.end(context.Cause(ctx)) })()
	g := s.next
	defer g.end()
	word, size := call.proving()
	g.expect(word)
	s.mu.Lock()
	s.begun, s.out, s.stderr = true, g.stdout(call.Stdout), g.stderr(call.Stderr)
	_, err := s.out.Write(append(s.mark, s.kept...))
	s.mu.Unlock()
	if err != nil {
		cancel(err)
	}
	s.give(io.MultiReader(strings.NewReader(fmt.Sprintf("%d %d\n", seconds(call.Limit), size)), call.Stdin))
	<-s.ended
	if ctx.Err() != nil {
		return g.explain(context.Cause(ctx))
	}
	return g.explain(s.err)
}

// shellIn is what the host gets: nothing before there is a script.
type shellIn struct{ *Shell }

func (s shellIn) Read(p []byte) (int, error) {
	select {
	case <-s.given:
	case <-s.ended:
		return 0, io.ErrClosedPipe
	}
	if s.input == nil {
		return 0, io.EOF
	}
	return s.input.Read(p)
}

// shellOut passes the answer on as far as it cannot be the mark, and what comes behind
// that to the script's caller.
type shellOut struct{ *Shell }

func (s shellOut) Write(p []byte) (int, error) {
	s.mu.Lock()
	if s.begun {
		to := s.out
		s.mu.Unlock()
		return to.Write(p)
	}
	defer s.mu.Unlock()
	s.kept = append(s.kept, p...)
	select {
	case <-s.answered:
		if len(s.kept) > noiseSize {
			s.kept = nil
			s.end(errUnasked)
		}
	default:
		if err := s.answer(); err != nil {
			s.end(err)
		}
	}
	return len(p), nil
}

// answer passes on what there is of it, and notices its end.
func (s *Shell) answer() error {
	ready := max(0, len(s.kept)-len(s.mark))
	at := bytes.Index(s.kept, s.mark)
	if at >= 0 {
		ready = at
	}
	if _, err := s.out.Write(s.kept[:ready]); err != nil {
		return err
	}
	s.kept = bytes.Clone(s.kept[ready:])
	if at >= 0 {
		s.kept = s.kept[len(s.mark):]
		s.question.settle()
		close(s.answered)
	}
	return nil
}

// shellErr is what it says on stderr, while it answers and of the script.
type shellErr struct{ *Shell }

func (s shellErr) Write(p []byte) (int, error) {
	s.mu.Lock()
	to := s.stderr
	s.mu.Unlock()
	return to.Write(p)
}
