package report

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/printable"
)

// Plain prints prefixed lines, one node's name before each. It is a
// [event.Sink]; lines of different nodes never mix.
type Plain struct {
	t       *Terminal
	output  io.Writer    // may lose lines
	width   atomic.Int64 // of the longest node name
	verbose bool
	told    plan.StepKind // see [View]
	tabled  bool
	live    bool // a picture says what goes on
	style   Style
	begin   time.Time // zero: lines do not tell when they are
	clock   bool      // they tell it as clocks do
}

// NewPlain returns a Plain. verbose also prints what programs print.
func NewPlain(t *Terminal, verbose bool, style Style) *Plain {
	return &Plain{t: t, output: t.Output(), verbose: verbose, style: style}
}

// Expect makes room for the names of nodes, before the first event of one.
func (p *Plain) Expect(nodes []string) {
	for _, node := range nodes {
		p.width.Store(max(p.width.Load(), int64(printable.Width(label(node)))))
	}
}

// End prints the text.
func (p *Plain) End(_ []event.Result, text string, _ time.Duration) { p.t.Print(text) }

// since is how long the run had lasted, or the time of the day, as lines begin with.
func (p *Plain) since(now time.Time) string {
	if p.clock {
		return p.style.paint(dim, now.Format(time.DateTime)) + " "
	}
	if p.begin.IsZero() || p.live {
		return ""
	}
	return p.style.paint(dim, fmt.Sprintf("%-7s", fmt.Sprintf("+%.1fs", now.Sub(p.begin).Seconds()))) + " "
}

// Emit implements [event.Sink].
func (p *Plain) Emit(e event.Event) {
	if e.Kind == event.Diagnostic || e.Kind == event.Debug {
		p.t.diagnose(e, p.style, p.since(e.Time))
		return
	}
	out := io.Writer(p.t)
	if e.Kind == event.Output || e.Kind == event.Private {
		out = p.output
	}
	if text := p.lines(e); text != "" {
		io.WriteString(out, text)
	}
}

// inPicture reports whether a live view says it: what begins, goes on, or was copied.
func inPicture(e event.Event) bool {
	return e.Kind == event.Begin || e.Kind == event.Still || e.Kind == event.Note && e.Total > 0
}

// lines is what is shown of a node's event, "" for nothing.
func (p *Plain) lines(e event.Event) string {
	if e.Silent() || p.tabled && e.Kind == event.End || p.live && inPicture(e) || e.Kind == event.Output && !p.verbose && (p.told == "" || e.Step != p.told) {
		return ""
	}
	text, color := printable.Text(e.Text), none
	switch e.Kind {
	case event.Output, event.Private:
		color = dim
	case event.Warn:
		text, color = "warning: "+text, yellow
	case event.End:
		color = green
		if r := e.Result; r != nil && (r.Status == event.Failed || r.Status == event.Cancelled) {
			color = red
			if p.live {
				text, _, _ = strings.Cut(text, "\n") // the end has all of it
			}
		}
	}
	prefix := p.since(e.Time) + p.style.paint(cyan, printable.PaddedLeft(label(e.Node), int(p.width.Load())))
	var lines strings.Builder
	for _, line := range strings.Split(text, "\n") {
		fmt.Fprintf(&lines, "%s | %s\n", prefix, p.style.paint(color, line))
	}
	return lines.String()
}
