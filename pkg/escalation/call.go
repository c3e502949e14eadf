package escalation

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/colmena-go/colmena-go/pkg/secret"
)

// ErrRefused: the program does not take the password.
var ErrRefused = errors.New("the password was refused")

// Call is one command that a program makes root's with a password. Nothing is sent
// before the program has asked, in words that only it can have made of what it was
// called with; and the command's own input not before the command runs. A second
// question is a refusal: there is no second try. A program that asks on a terminal has
// no words of ours to ask with: there, what looks like a question behind a mark is one.
type Call struct {
	// Words are to stand before the words of the command.
	Words []string

	password []byte
	prompt   []byte // what it asks with; of one that asks on a terminal, what is shown there before
	granted  []byte // what is printed as root before the command runs
	typed    bool   // it asks on a terminal
	silent   []byte // the last that is shown there
	user     string // that becomes root, if it may have to be told

	mu       sync.Mutex
	ended    bool
	asked    int
	hopeless bool   // what it asks cannot be answered
	queue    []byte // what goes in before the input
	root     bool   // granted was printed
	quiet    bool   // silent was shown
	open     bool
	changed  chan struct{} // closed, and made anew, with each change of these
	over     chan struct{}
	streams  []*stream
}

// Call returns a call for a program that takes a password. Close it when the command
// has ended.
func (p Program) Call(password secret.Secret) *Call {
	var id [16]byte
	rand.Read(id[:]) // never fails (crypto/rand)
	a, b := hex.EncodeToString(id[:8]), hex.EncodeToString(id[8:])
	c := &Call{
		password: bytes.Clone(password.Reveal()), typed: p.kind != sudo, user: p.user,
		// sudo makes one % of two (sudo(8), -p), and so does printf(1), so that a shell
		// which shows what it runs has not asked; and the two halves of the others become one.
		prompt: []byte("colmena-go-asks-" + a + "%" + b), granted: []byte("colmena-go-root-" + a + b + "\n"), silent: []byte("colmena-go-then-" + a + b),
		changed: make(chan struct{}), over: make(chan struct{}),
	}
	mark, root := "colmena-go-asks-"+a+"%%"+b, "echo colmena-go-root-"+a+`""`+b+"; "
	switch p.kind {
	case doas:
		c.Words = onTerminal(mark, p.words)
	case run0:
		c.Words = onTerminal(mark, slices.Concat([]string{"sh", "-c", withAgent, "sh", "env", "LC_ALL=C"}, p.words))
	default:
		c.Words = append(p.with("-S", "-p", mark), "sh", "-c", root+`exec "$@"`, "sh")
		return c
	}
	root = "printf colmena-go-then-" + a + `""` + b + ` >"$1"; shift; ` + root
	c.Words = append(c.Words, "sh", "-c", root+`exec "$@"`, "sh", terminalWord)
	return c
}

// Ended is to be called when the program has ended by itself, with a status.
func (c *Call) Ended() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
}

// Refused reports whether the password was.
func (c *Call) Refused() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	once := c.typed && c.ended && c.asked == 1 // doas(1) does not ask again
	return (c.asked > 1 || once) && !c.open
}

// Close hands on what was held back of the output, ends a Read that waits, and
// overwrites the password. The command has ended.
func (c *Call) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.over)
	clear(c.password)
	clear(c.queue)
	for _, s := range c.streams {
		if !s.shown || !c.open {
			s.next.Write(s.held)
		}
		s.held = nil
	}
}

func (c *Call) change() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// send has something go in ahead of the input. It and those below are called with mu.
func (c *Call) send(parts ...[]byte) {
	before := c.queue
	c.queue = slices.Concat(append([][]byte{before}, parts...)...)
	clear(before)
	c.change()
}

// question is told that the password is asked for. It is given once.
func (c *Call) question() {
	c.asked++
	switch {
	case c.asked > 1:
		c.change()
	case c.typed:
		c.send([]byte(typedPass), c.password, []byte("\n"))
	default:
		c.send(c.password, []byte("\n"))
	}
}

// begins is told that the command does.
func (c *Call) begins() {
	c.open = true
	if c.typed {
		c.send([]byte(typedEnd))
	}
	c.change()
}

// Stdin is the password, if it is asked for, and then next, which may be nil.
func (c *Call) Stdin(next io.Reader) io.Reader { return &input{c, next} }

type input struct {
	*Call
	next io.Reader
}

func (in *input) Read(p []byte) (int, error) {
	for {
		in.mu.Lock()
		open, refused, changed := in.open, in.asked > 1 || in.hopeless, in.changed
		n := copy(p, in.queue)
		clear(in.queue[:n])
		in.queue = in.queue[n:]
		in.mu.Unlock()
		switch {
		case n > 0:
			return n, nil
		case open && in.next == nil:
			return 0, io.EOF
		case open:
			return in.next.Read(p)
		case refused:
			return 0, io.EOF // it shall ask no more
		}
		select {
		case <-changed:
		case <-in.over:
			return 0, io.ErrClosedPipe
		}
	}
}

// Stdout passes on what is printed but for the marks.
func (c *Call) Stdout(next io.Writer) io.Writer { return c.stream(next, true) }

// Stderr does, too.
func (c *Call) Stderr(next io.Writer) io.Writer { return c.stream(next, false) }

func (c *Call) stream(next io.Writer, grants bool) io.Writer {
	if next == nil {
		next = io.Discard
	}
	s := &stream{call: c, next: next, grants: grants}
	c.streams = append(c.streams, s)
	return s
}

// stream is one of the two that come back.
type stream struct {
	call   *Call
	next   io.Writer
	grants bool   // here it is said that the command runs
	held   []byte // what may be the beginning of a mark

	shown    bool // the mark of a terminal
	answered int  // how much of held was before the last answer
}

func (s *stream) Write(p []byte) (int, error) {
	c := s.call
	c.mu.Lock()
	pass := s.sift(p)
	c.mu.Unlock()
	if len(pass) > 0 {
		if _, err := s.next.Write(pass); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// sift takes marks out. It is called with mu.
func (s *stream) sift(p []byte) []byte {
	c := s.call
	switch {
	case c.typed && !c.open:
		return s.siftTyped(p)
	case s.shown: // what is held is the terminal's
		return p
	case c.open && len(s.held) == 0:
		return p
	}
	text := append(s.held, p...)
	s.held = nil
	var pass []byte
	for !c.open {
		asked, granted := bytes.Index(text, c.prompt), -1
		if s.grants {
			granted = bytes.Index(text, c.granted)
		}
		switch {
		case granted >= 0 && (asked < 0 || granted < asked):
			pass, text = append(pass, text[:granted]...), text[granted+len(c.granted):]
			c.begins()
		case asked >= 0:
			pass, text = append(pass, text[:asked]...), text[asked+len(c.prompt):]
			c.question()
		default:
			keep := max(begun(text, c.prompt), begun(text, c.granted))
			s.held = bytes.Clone(text[len(text)-keep:])
			return append(pass, text[:len(text)-keep]...)
		}
	}
	return append(pass, text...)
}

// begun is how many bytes at the end of a text are the beginning of a mark.
func begun(text, mark []byte) int {
	for n := min(len(text), len(mark)-1); n > 0; n-- {
		if bytes.HasPrefix(mark, text[len(text)-n:]) {
			return n
		}
	}
	return 0
}
