// Package ask asks people for what only they know: passphrases, passwords, whether
// to trust a host. One question is asked at a time, on the terminal or through an
// askpass program, and the terminal is left as it was, however a question ends.
package ask

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/colmena-go/colmena-go/pkg/printable"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrNobody: there is neither a terminal nor a program to ask with.
	ErrNobody = errors.New("nobody can be asked")
	// ErrNoAnswer: who was asked gave none: ^D, a program that failed, or not in time.
	ErrNoAnswer = errors.New("no answer was given")
)

// Kind says which askpass program may answer in the place of the terminal.
type Kind int

// Kinds of questions.
const (
	Login     Kind = iota // SSH_ASKPASS
	Root                  // SUDO_ASKPASS
	Agreement             // none: only who sees the terminal knows what it is about
)

func (k Kind) variable() string {
	switch k {
	case Root:
		return "SUDO_ASKPASS"
	case Agreement:
		return ""
	}
	return "SSH_ASKPASS"
}

// Question is one thing to ask. Its texts are shown on one line each, without what
// a terminal would obey, and no longer than [MaxText].
type Question struct {
	Kind  Kind
	Who   string // that asks: a node, or several; "" for the program itself
	Text  string // what for, without a colon: "passphrase of /root/.ssh/id_ed25519"
	Heard string // what a host says to it, if it is the host that asks
	Echo  bool   // what is typed may be seen
}

// MaxText is how many bytes of each text of a [Question] are shown.
const MaxText = 300

// AnswerLimit is how long people have for one answer.
const AnswerLimit = 5 * time.Minute

// Screen is who writes to the terminal otherwise, and does not while it is held.
type Screen interface {
	// Hold returns when nothing is written any more, or ctx is done.
	Hold(ctx context.Context) (release func())
}

// Asker asks one question at a time. Its methods may be used from many goroutines.
type Asker struct {
	screen Screen
	note   func(string)
	getenv func(string) string
	open   func() (*os.File, error) // the terminal
	turn   chan struct{}
	typed  atomic.Bool // a question is on the terminal
	waits  atomic.Pointer[func(who, what string)]

	waiting atomic.Int64 // for a turn

	lifetime context.Context
	end      context.CancelCauseFunc

	guarding sync.Mutex
	jobs     int    // that are behind the terminal
	unguard  func() // once there is none any more; nil

	neighbours map[int]bool // visitors of the terminal that were there before
	visiting   sync.Mutex
	looked     time.Time // when visitor was found out
	visitor    bool      // there is one more
}

// errClosed is why nothing is asked any more.
var errClosed = errors.New("the program ends")

// New returns an Asker for this process' terminal and the askpass programs that its
// environment names. note is told of what keeps a question from being asked; it may
// be nil.
func New(screen Screen, note func(string)) *Asker {
	a := &Asker{screen: screen, note: note, getenv: os.Getenv, open: openTerminal, turn: make(chan struct{}, 1)}
	if a.note == nil {
		a.note = func(string) {}
	}
	a.lifetime, a.end = context.WithCancelCause(context.Background())
	return a
}

// Watch has f be told who waits for an answer from now on, and with "" that nothing is
// waited for any more.
func (a *Asker) Watch(f func(who, what string)) { a.waits.Store(&f) }

// Can says whether a question of the kind could be asked: nil, or [ErrNobody] with
// the reason. A nil Asker can ask nothing.
func (a *Asker) Can(kind Kind) error {
	if a == nil {
		return ErrNobody
	}
	_, _, err := a.source(kind)
	return err
}

// Ask returns what was answered, which may be empty; [secret.Secret.Wipe] it when it
// was used. It waits until the questions before it are answered. It fails with
// [ErrNobody], with [ErrNoAnswer], or with the cause of ctx.
func (a *Asker) Ask(ctx context.Context, q Question) (answer secret.Secret, err error) {
	if a == nil {
		return answer, ErrNobody
	}
	program, tty, err := a.source(q.Kind)
	if err != nil {
		return answer, err
	}
	if tell := a.waits.Load(); tell != nil && q.Who != "" {
		(*tell)(q.Who, "waits for an answer: "+line(q.Text))
		defer (*tell)(q.Who, "")
	}
	ctx, giveBack, err := a.take(ctx)
	if err != nil {
		return answer, err
	}
	defer giveBack()
	ctx, cancel := context.WithTimeoutCause(ctx, AnswerLimit, fmt.Errorf("%w within %s", ErrNoAnswer, AnswerLimit))
	defer cancel()
	if !tty {
		return askProgram(ctx, program, q)
	}
	return a.askTerminal(ctx, q)
}

// CanLend says whether there is a terminal: nil, or [ErrNobody].
func (a *Asker) CanLend() error {
	if a == nil {
		return ErrNobody
	}
	file, err := a.open()
	if err != nil {
		return fmt.Errorf("%w: there is no terminal", ErrNobody)
	}
	return file.Close()
}

// Lend has use work on the terminal, such as by a program that asks itself: who and
// text say on a line before what asks; without a text there is none. Nobody else writes or asks until it returns,
// and the terminal is left as it was. It waits for its turn like [Asker.Ask], fails
// like it, and otherwise as use does.
func (a *Asker) Lend(ctx context.Context, who, text string, use func(ctx context.Context, tty *os.File) error) error {
	if a == nil {
		return ErrNobody
	}
	ctx, giveBack, err := a.take(ctx)
	if err != nil {
		return err
	}
	defer giveBack()
	file, err := a.open()
	if err != nil {
		return fmt.Errorf("%w: there is no terminal", ErrNobody)
	}
	defer file.Close()
	t := &terminal{file: file}
	if err := t.awaitForeground(ctx, a.note); err != nil {
		return err
	}
	defer a.hold(ctx)()
	if err := t.save(); err != nil {
		return err
	}
	defer t.restore()
	if text != "" {
		t.print(from(who) + line(text) + "\n")
	}
	return use(ctx, file)
}

// Close ends the question that is being asked, if any, and waits until the terminal
// is as it was or ctx is done. Nothing is asked any more.
func (a *Asker) Close(ctx context.Context) {
	if a == nil {
		return
	}
	a.end(errClosed)
	select {
	case a.turn <- struct{}{}: // who waits for it gives up now
		defer func() { <-a.turn }()
	case <-ctx.Done():
	}
	a.guarding.Lock()
	defer a.guarding.Unlock()
	if a.unguard != nil { // its jobs are left behind
		a.unguard()
		a.unguard = nil
	}
}

// take waits for the turn. The context that it returns is done with the Asker, too.
func (a *Asker) take(ctx context.Context) (_ context.Context, giveBack func(), err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(a.lifetime, func() { cancel(errClosed) })
	release := func() {
		stop()
		cancel(nil)
	}
	a.waiting.Add(1)
	defer a.waiting.Add(-1)
	select {
	case a.turn <- struct{}{}:
	case <-ctx.Done():
		defer release()
		return nil, nil, context.Cause(ctx)
	}
	if ctx.Err() != nil {
		<-a.turn
		defer release()
		return nil, nil, context.Cause(ctx)
	}
	return ctx, func() {
		<-a.turn
		release()
	}, nil
}

func (a *Asker) hold(ctx context.Context) (release func()) {
	if a.screen == nil {
		return func() {}
	}
	return a.screen.Hold(ctx)
}

// from is how a line says who asks, as lines of nodes begin.
func from(who string) string {
	if who == "" {
		return "colmena-go: "
	}
	return line(who) + " | "
}

// heard is a line with what a host says, which ends where the quotes do.
func heard(q Question) string {
	return from(q.Who) + `the host says: "` + strings.ReplaceAll(line(q.Heard), `"`, "'") + "\"\n"
}

func line(text string) string { return printable.Said(text, MaxText) }
