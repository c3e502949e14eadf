package report

import (
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/printable"
)

// Actions shows a run in the log of a workflow of GitHub: the lines of each node in a
// group, once it has ended, and an error for each failure. It is a [event.Sink].
//
// The runner obeys lines of the log that are commands (`::set-output …`, `##[…]`), whoever
// wrote them. So it is told first to obey none before it reads a word that nobody can know
// (`::stop-commands::`), another each time; ours stand between such words. A host's lines
// are obeyed at no time.
type Actions struct {
	*Plain
	t *Terminal

	mu    sync.Mutex
	nodes map[string]*group
}

// group is what was told of a node.
type group struct {
	lines   []string
	size    int
	dropped int
}

// groupSize is how many bytes of a node's lines are kept: the last of them.
const groupSize = 1 << 20

// NewActions returns Actions, for whose Terminal commands are stopped from now on.
func NewActions(t *Terminal, plain *Plain) *Actions {
	t.Stop()
	return &Actions{Plain: plain, t: t, nodes: map[string]*group{}}
}

// Emit implements [event.Sink].
func (a *Actions) Emit(e event.Event) {
	if e.Node == "" || e.Kind == event.Still || e.Kind == event.Warn {
		a.Plain.Emit(e) // what cannot wait, or is of no node
		return
	}
	text := a.Plain.lines(e)
	if text == "" && e.Kind != event.End {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.nodes[e.Node]
	if g == nil {
		g = &group{}
		a.nodes[e.Node] = g
	}
	g.add(text)
	if e.Kind == event.End {
		delete(a.nodes, e.Node)
		a.t.Commands(g.text(e))
	}
}

func (g *group) add(text string) {
	if text == "" {
		return
	}
	g.lines, g.size = append(g.lines, text), g.size+len(text)
	for g.size > groupSize && len(g.lines) > 1 {
		g.size -= len(g.lines[0])
		g.lines, g.dropped = g.lines[1:], g.dropped+1
	}
}

// text is a node's group: its heading is what can be seen when it is closed.
func (g *group) text(e event.Event) (parts []part) {
	title := label(e.Node)
	if e.Result != nil {
		title += ": " + outcome(*e.Result)
	}
	body := strings.Join(g.lines, "")
	if g.dropped > 0 {
		body = fmt.Sprintf("… %d lines before these are not shown\n", g.dropped) + body
	}
	return []part{{command: "group", text: title}, {text: body}, {command: "endgroup"}}
}

// End prints the text, and tells the runner of failures.
func (a *Actions) End(results []event.Result, text string, took time.Duration) {
	a.Plain.End(results, text, took)
	a.errors(results)
}

// errors tells the runner of each node that failed. It shows ten, so no more are told.
func (a *Actions) errors(results []event.Result) {
	var parts []part
	for _, r := range results {
		if r.Status != event.Failed || r.Err == nil {
			continue
		}
		if len(parts) == 9 {
			parts = append(parts, part{command: "error", title: "more nodes failed", text: fmt.Sprintf("%d nodes failed; the end of the log says why", countOf(results)[event.Failed])})
			break
		}
		parts = append(parts, part{command: "error", title: fmt.Sprintf("%s: %s", label(r.Node), outcome(r)), text: strings.Join(firstLines(r.Err.Error()), "\n")})
	}
	if len(parts) > 0 {
		a.t.Commands(parts)
	}
}

// --- commands ------------------------------------------------------------------

// part is a command, or text that is none.
type part struct{ command, title, text string }

// inCommand and inTitle write what would end a command's text or title.
var (
	inCommand = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	inTitle   = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func (p part) String() string {
	title := ""
	if p.title != "" {
		title = " title=" + inTitle.Replace(printable.Text(p.title))
	}
	return "::" + p.command + title + "::" + inCommand.Replace(printable.Text(p.text)) + "\n"
}

// Stop has a runner of workflows obey nothing in the log but [Terminal.Commands], until
// [Terminal.Resume].
func (t *Terminal) Stop() {
	t.commands.Lock()
	defer t.commands.Unlock()
	if t.word == "" {
		t.Print(t.stopping())
	}
}

// stopping is the command that stops others, with a word that is new.
func (t *Terminal) stopping() string {
	t.word = rand.Text()
	return "::stop-commands::" + t.word + "\n"
}

// Commands prints commands, which are obeyed, and texts between them, which are not.
func (t *Terminal) Commands(parts []part) {
	t.commands.Lock()
	defer t.commands.Unlock()
	var b strings.Builder
	for _, p := range parts {
		if p.command == "" {
			b.WriteString(p.text)
			continue
		}
		b.WriteString("::" + t.word + "::\n" + p.String())
		b.WriteString(t.stopping())
	}
	t.Print(b.String())
}

// Resume is for the end: who writes to the same log afterwards is obeyed again.
func (t *Terminal) Resume() {
	t.commands.Lock()
	defer t.commands.Unlock()
	if t.word != "" {
		io.WriteString(t, "::"+t.word+"::\n")
		t.word = ""
	}
}
