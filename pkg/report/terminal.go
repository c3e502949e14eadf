package report

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/view"
)

// Terminal is the one way to what people read, or the program that reads it for
// them. A single goroutine writes; nobody else ever waits for the reader. What
// a terminal would obey is taken out on the way.
type Terminal struct {
	out  io.Writer
	size func() (window view.Size, ours bool)
	json atomic.Bool
	lost func(lines int) string // tells of lines that were dropped; nil for a message

	area  area      // of who writes alone
	drawn time.Time // when a picture was drawn last

	commands sync.Mutex
	word     string // that ends the time in which no command is obeyed; "" while they are

	mu      sync.Mutex
	picture Picture       // that stands below the lines; nil for none
	shown   bool          // one does
	anew    bool          // what stands there is not to be touched
	hurry   int           // so many wait for the lines
	queue   []byte        // whole lines
	busy    bool          // something is being written
	missing int           // lines that were dropped and not told of yet
	held    int           // so many keep it from being written
	over    bool          // nothing is taken any more
	moved   chan struct{} // closed, and made anew, with everything that gets out
	wake    chan struct{}
	ended   chan struct{}
}

const (
	// room is how many bytes wait for the reader before output is dropped.
	room = 4 << 20
	// piece is how much is written at once, so that a slow reader can be told
	// from one that has stopped.
	piece = 4 << 10
)

// NewTerminal returns a Terminal for text. Close ends its goroutine.
func NewTerminal(out io.Writer) *Terminal {
	t := &Terminal{out: out, moved: make(chan struct{}), wake: make(chan struct{}, 1), ended: make(chan struct{})}
	t.size = t.window
	go crash.Guarded(t.print)()
	return t
}

// UseJSON says that everything is one JSON object a line from now on.
func (t *Terminal) UseJSON() { t.json.Store(true) }

// InJSON reports whether it is.
func (t *Terminal) InJSON() bool { return t.json.Load() }

// Print takes whole lines, which are never dropped, and does not wait.
func (t *Terminal) Print(text string) { t.put(text, false) }

// Write is [Terminal.Print] for those who know only an io.Writer.
func (t *Terminal) Write(p []byte) (int, error) {
	t.Print(string(p))
	return len(p), nil
}

// Output returns a writer of whole lines that are dropped, and counted, while
// too much waits for the reader.
func (t *Terminal) Output() io.Writer { return lossy{t} }

type lossy struct{ t *Terminal }

func (w lossy) Write(p []byte) (int, error) {
	w.t.put(string(p), true)
	return len(p), nil
}

func (t *Terminal) put(text string, mayDrop bool) {
	if t.InJSON() {
		text = escapedJSON(text)
	} else {
		text = screened(text)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.over:
		return
	case mayDrop && len(t.queue)+len(text) > room:
		t.missing += bytes.Count([]byte(text), []byte("\n"))
		return
	}
	t.tellMissing()
	t.queue = append(t.queue, text...)
	t.signal()
}

// tellMissing says at its place that something was dropped. It is called with mu.
func (t *Terminal) tellMissing() {
	if t.missing == 0 {
		return
	}
	t.queue = append(t.queue, t.lostLines(t.missing)...)
	t.missing = 0
}

// lostLines says how many lines were dropped.
func (t *Terminal) lostLines(lines int) string {
	if t.lost != nil {
		return t.lost(lines)
	}
	what := "lines"
	if lines == 1 {
		what = "line"
	}
	return t.message(levelWarn, fmt.Sprintf("… %d %s not shown: output comes faster than it is read", lines, what))
}

func (t *Terminal) signal() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// print writes what is put until Close, and the picture below it.
func (t *Terminal) print() {
	defer close(t.ended)
	for {
		todo := t.next()
		switch {
		case len(todo.text) > 0:
			t.write(t.lifted(todo.text))
		case todo.draw:
			t.frame(todo.picture)
		case todo.over:
			return
		default:
			t.await(todo.picture)
		}
	}
}

// todo is what is to be written next.
type todo struct {
	text    []byte
	draw    bool // the picture, or nothing in its place
	picture Picture
	over    bool
}

// next decides what that is.
func (t *Terminal) next() (do todo) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.anew {
		t.anew, t.shown, t.area = false, false, area{}
	}
	do.over = t.over
	if do.picture = t.picture; t.held > 0 || t.over {
		do.picture = nil
	}
	due := do.picture == nil || t.hurry > 0 || time.Since(t.drawn) >= frameGap
	if due && (t.held == 0 || t.over) {
		do.text, t.queue = t.queue, nil
	}
	do.draw = len(do.text) == 0 && (t.shown && do.picture == nil || do.picture != nil && time.Since(t.drawn) >= frameGap)
	t.busy = len(do.text) > 0 || do.draw
	return do
}

// write writes a batch in pieces that end with a line, if they can. What is left
// when somebody holds it goes back to the others that wait.
func (t *Terminal) write(batch []byte) {
	for len(batch) > 0 {
		next := batch[:min(piece, len(batch))]
		if i := bytes.LastIndexByte(next, '\n'); i >= 0 {
			next = next[:i+1]
		}
		batch = batch[len(next):]
		t.out.Write(next) // a reader who went away misses it
		t.mu.Lock()
		if t.held > 0 && !t.over {
			t.queue, batch = append(batch, t.queue...), nil
		}
		t.shown, t.busy = len(t.area.lines) > 0, len(batch) > 0
		close(t.moved)
		t.moved = make(chan struct{})
		t.mu.Unlock()
	}
}

// Hold keeps everything from being written, so that something else can be on the
// screen, until release is called. It returns when nothing is being written any
// more, or ctx is done. What comes meanwhile waits as it does for a slow reader.
func (t *Terminal) Hold(ctx context.Context) (release func()) {
	t.mu.Lock()
	t.held++
	t.mu.Unlock()
	t.signal()
	for {
		t.mu.Lock()
		busy, moved := t.busy || t.shown, t.moved
		t.mu.Unlock()
		if busy {
			select {
			case <-moved:
				continue
			case <-ctx.Done():
			}
		}
		return sync.OnceFunc(func() {
			t.mu.Lock()
			t.held--
			close(t.moved) // for those beside
			t.moved = make(chan struct{})
			t.mu.Unlock()
			t.signal()
		})
	}
}

// Beside is w for what may be the same screen, such as standard output: a Write waits
// while that is held.
func (t *Terminal) Beside(w io.Writer) io.Writer { return beside{t, w} }

type beside struct {
	t    *Terminal
	next io.Writer
}

func (w beside) Write(p []byte) (int, error) {
	for {
		w.t.mu.Lock()
		held, moved := w.t.held > 0 && !w.t.over, w.t.moved
		w.t.mu.Unlock()
		if !held {
			return w.next.Write(p)
		}
		<-moved
	}
}

// Settle waits until everything is written and reports whether it is. It gives
// up when ctx is done.
func (t *Terminal) Settle(ctx context.Context) bool {
	t.hurried(1)
	defer t.hurried(-1)
	for {
		t.mu.Lock()
		t.tellMissing()
		t.signal()
		empty, moved := len(t.queue) == 0 && !t.busy && (t.picture != nil || !t.shown), t.moved
		t.mu.Unlock()
		if empty {
			return true
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return false
		}
	}
}

// hurried has lines not wait for the next picture while somebody waits for them.
func (t *Terminal) hurried(more int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hurry += more
}

// Close settles, takes nothing any more and ends the goroutine, as soon as the
// write it is in ends.
func (t *Terminal) Close(ctx context.Context) bool {
	settled := t.Settle(ctx)
	t.mu.Lock()
	t.over = true
	if !settled {
		t.queue = nil
	}
	t.mu.Unlock()
	t.signal()
	if settled {
		<-t.ended
	}
	return settled
}

// File is what is written to, nil if that is no file.
func (t *Terminal) File() *os.File {
	file, _ := t.out.(*os.File)
	return file
}
