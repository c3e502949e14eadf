package report

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/printable"
)

// Streams is where goes what a user's own command prints on many hosts.
type Streams interface {
	// Of is where the standard output and error of one node's command go, each of
	// which is written from one goroutine. end is called once nothing more comes.
	Of(node string) (stdout, stderr io.Writer, end func())
}

// Prefixed are [Streams] that are shown as they come, line by line, with the node's
// name before each: standard output on ours, and standard error as events.
type Prefixed struct {
	Out    io.Writer  // gets whole lines
	Sink   event.Sink // gets the lines of standard error
	Filter bool       // Out is a terminal: what it would obey is left out
	Style  Style      // of Out

	mu    sync.Mutex
	width int // of the longest name
}

// Expect makes room for the names of nodes.
func (p *Prefixed) Expect(nodes []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, node := range nodes {
		p.width = max(p.width, printable.Width(label(node)))
	}
}

// Of implements [Streams].
func (p *Prefixed) Of(node string) (stdout, stderr io.Writer, end func()) {
	p.mu.Lock()
	prefix := p.Style.paint(cyan, printable.PaddedLeft(label(node), p.width)) + " | "
	p.mu.Unlock()
	out := &lines{tell: func(whole []byte) error {
		var text bytes.Buffer
		for line := range bytes.Lines(whole) {
			line = bytes.TrimSuffix(line, []byte("\n"))
			if p.Filter {
				line = []byte(printable.Text(string(line)))
			}
			text.WriteString(prefix)
			text.Write(line)
			text.WriteByte('\n')
		}
		_, err := p.Out.Write(text.Bytes())
		return err
	}}
	errs := telling(p.Sink, node, event.Stderr)
	return out, errs, func() { out.flush(); errs.flush() }
}

// Told are [Streams] of which every line is an event.
type Told struct{ Sink event.Sink }

// Of implements [Streams].
func (t Told) Of(node string) (stdout, stderr io.Writer, end func()) {
	out, errs := telling(t.Sink, node, event.Stdout), telling(t.Sink, node, event.Stderr)
	return out, errs, func() { out.flush(); errs.flush() }
}

// telling tells the lines of a stream as events.
func telling(sink event.Sink, node string, stream event.Stream) *lines {
	return &lines{tell: func(whole []byte) error {
		for line := range strings.Lines(string(whole)) {
			sink.Emit(event.Event{Time: time.Now(), Node: node, Step: plan.Exec, Kind: event.Output, Stream: stream, Text: strings.TrimRight(line, "\r\n")})
		}
		return nil
	}}
}

// longestLine is where a line is cut that does not end, in bytes.
const longestLine = 64 << 10

// lines tells whole lines, as many as there are.
type lines struct {
	tell func(whole []byte) error
	rest []byte // of a line that has not ended
}

func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	end := bytes.LastIndexByte(l.rest, '\n') + 1
	if end == 0 && len(l.rest) < longestLine {
		return len(p), nil
	}
	if end == 0 {
		l.rest, end = append(l.rest, '\n'), len(l.rest)+1
	}
	err := l.tell(l.rest[:end])
	l.rest = append(l.rest[:0], l.rest[end:]...)
	return len(p), err
}

func (l *lines) flush() {
	if len(l.rest) > 0 {
		l.tell(append(l.rest, '\n'))
		l.rest = nil
	}
}
