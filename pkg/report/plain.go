package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/colmena-go/colmena-go/pkg/deploy"
)

// Plain prints prefixed lines, one node's name before each. It is a
// [deploy.Sink]; lines of different nodes never mix.
type Plain struct {
	out, output io.Writer // output may lose lines
	width       int       // of the longest node name
	verbose     bool
	style       Style
}

// NewPlain returns a Plain for the nodes. verbose also prints what programs
// print.
func NewPlain(t *Terminal, nodes []string, verbose bool, style Style) *Plain {
	p := &Plain{out: t, output: t.Output(), verbose: verbose, style: style}
	for _, node := range nodes {
		p.width = max(p.width, utf8.RuneCountInString(label(node)))
	}
	return p
}

// Emit implements [deploy.Sink].
func (p *Plain) Emit(e deploy.Event) {
	if e.Silent() {
		return
	}
	text, color, out := printable(e.Text), none, p.out
	switch e.Kind {
	case deploy.EventOutput:
		if !p.verbose {
			return
		}
		color, out = dim, p.output
	case deploy.EventPrivate:
		color, out = dim, p.output
	case deploy.EventWarn:
		text, color = "warning: "+text, yellow
	case deploy.EventEnd:
		color = green
		if r := e.Result; r != nil && (r.Status == deploy.Failed || r.Status == deploy.Cancelled) {
			color = red
		}
	}
	prefix := p.style.paint(cyan, fmt.Sprintf("%*s", p.width, label(e.Node)))
	var lines strings.Builder
	for _, line := range strings.Split(text, "\n") {
		fmt.Fprintf(&lines, "%s | %s\n", prefix, p.style.paint(color, line))
	}
	io.WriteString(out, lines.String())
}
