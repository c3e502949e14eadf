// Package report shows a deployment to people and to programs: events while it
// runs, a table or JSON at its end. Nothing else prints.
package report

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/colmena-go/colmena-go/pkg/deploy"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// Plain prints prefixed lines, one node's name before each. It is a
// [deploy.Sink]; lines of different nodes never mix.
type Plain struct {
	out     io.Writer
	width   int // of the longest node name
	verbose bool
	style   Style
	mu      sync.Mutex
}

// NewPlain returns a Plain for the nodes. verbose also prints what programs
// print.
func NewPlain(out io.Writer, nodes []string, verbose bool, style Style) *Plain {
	p := &Plain{out: out, verbose: verbose, style: style}
	for _, node := range nodes {
		p.width = max(p.width, len(printable(node)))
	}
	return p
}

// Emit implements [deploy.Sink].
func (p *Plain) Emit(e deploy.Event) {
	text, color := printable(e.Text), none
	switch e.Kind {
	case deploy.EventOutput:
		if !p.verbose {
			return
		}
		color = dim
	case deploy.EventPrivate:
		color = dim
	case deploy.EventWarn:
		text, color = "warning: "+text, yellow
	case deploy.EventEnd:
		color = green
		if e.Status == deploy.Failed || e.Status == deploy.Cancelled {
			color = red
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range strings.Split(text, "\n") {
		fmt.Fprintf(p.out, "%s | %s\n", p.style.paint(cyan, fmt.Sprintf("%*s", p.width, printable(e.Node))), p.style.paint(color, line))
	}
}

// Table prints how every node ended, and the last output of those that failed.
func Table(out io.Writer, results []deploy.Result, style Style) {
	for _, r := range results {
		if r.Status != deploy.Failed || len(r.Tail) == 0 {
			continue
		}
		fmt.Fprintf(out, "\n%s: the last output of %s:\n", printable(r.Node), r.Step)
		for _, line := range r.Tail {
			fmt.Fprintf(out, "  %s\n", style.paint(dim, printable(line)))
		}
	}
	fmt.Fprintln(out)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tRESULT\tKEYS\tTIME")
	for _, r := range results {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", printable(r.Node), outcome(r), keys(r.Keys), r.Elapsed.Round(10*time.Millisecond))
	}
	table.Flush()
	fmt.Fprintln(out, summary(results))
}

// outcome is a node's result in a few words.
func outcome(r deploy.Result) string {
	switch {
	case r.Status == deploy.Failed:
		return fmt.Sprintf("failed (%s)", r.Step)
	case r.RebootNeeded:
		return "reboot needed"
	}
	return string(r.Status)
}

// keys counts what became of a node's keys.
func keys(list []deploy.KeyResult) string {
	if len(list) == 0 {
		return "-"
	}
	count := map[plan.Change]int{}
	for _, key := range list {
		count[key.Change]++
	}
	var parts []string
	for _, change := range []plan.Change{plan.Changed, plan.Mended, plan.Unchanged, plan.Skipped} {
		if count[change] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[change], change))
		}
	}
	return strings.Join(parts, ", ")
}

// summary is the clear last line.
func summary(results []deploy.Result) string {
	count := map[deploy.Status]int{}
	for _, r := range results {
		count[r.Status]++
	}
	text := fmt.Sprintf("%d of %d nodes succeeded", count[deploy.Succeeded], len(results))
	for _, status := range []deploy.Status{deploy.Failed, deploy.SkippedNode, deploy.Cancelled} {
		if count[status] > 0 {
			text += fmt.Sprintf(", %d %s", count[status], status)
		}
	}
	return text
}
