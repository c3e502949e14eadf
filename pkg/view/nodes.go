package view

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/printable"
	"github.com/colmena-go/colmena-go/pkg/record"
)

// nodes are the lines of nodes, so many at most: what failed, what takes longest, what
// waits, and what is done.
func (p *picture) nodes(rows int) []string {
	if rows < 1 {
		return nil
	}
	last := p.last()
	if len(last) > rows {
		return last[:rows]
	}
	rows -= len(last)
	failed := p.failed
	if most := max(1, rows/2); len(failed) > most && len(failed)+len(p.lines) > rows {
		failed = failed[:max(0, most-1)]
	}
	rest := rows - len(failed)
	if len(failed) < len(p.failed) {
		rest--
	}
	shown := p.lines
	others := len(p.waiting) > 0
	if len(shown) > rest || others {
		shown = shown[:max(0, min(len(shown), rest-1))]
	}
	p.fitNames(append(append([]*record.Node{}, failed...), shown...))

	var lines []string
	for _, n := range failed {
		lines = append(lines, p.failure(n))
	}
	if more := p.failed[len(failed):]; len(more) > 0 {
		lines = append(lines, p.list("✗", fmt.Sprintf("%d more failed", len(more)), more, red))
	}
	for _, n := range shown {
		lines = append(lines, p.work(n))
	}
	if more := p.more(p.hidden(shown)); more != "" {
		lines = append(lines, more)
	}
	lines = append(lines, last...)
	return lines[:min(len(lines), rows+len(last))]
}

// gather leaves one line for all nodes that wait for the same builds.
func (p *picture) gather() {
	first := map[string]*record.Node{}
	p.alike = map[*record.Node]int{}
	for _, n := range p.working {
		s := n.Step()
		same := s.Kind == plan.Build && !s.Ended() && strings.HasPrefix(s.At, "waits ")
		switch {
		case same && first[s.At] != nil:
			p.alike[first[s.At]]++
			continue
		case same:
			first[s.At] = n
		}
		p.lines = append(p.lines, n)
	}
	slices.SortStableFunc(p.lines, func(a, b *record.Node) int { return cmp.Compare(p.alike[a], p.alike[b]) })
}

// hidden is how many nodes are at work that have no line, nor are counted in one.
func (p *picture) hidden(shown []*record.Node) int {
	hidden := len(p.working)
	for _, n := range shown {
		hidden -= 1 + p.alike[n]
	}
	return hidden
}

// name is how a node is called in its line, with those that are in it, too.
func (p *picture) name(n *record.Node) string {
	name := clean(n.Name)
	if others := p.alike[n]; others > 0 {
		name += fmt.Sprintf(" +%d", others)
	}
	return name
}

// last is the line of those that are done.
func (p *picture) last() []string {
	if len(p.done) == 0 {
		return nil
	}
	return []string{p.list("✓", fmt.Sprintf("%d done", len(p.done)), p.done, green)}
}

// list names as many nodes as fit.
func (p *picture) list(mark, text string, nodes []*record.Node, c colourCode) string {
	line, left := mark+" "+text, p.Columns-printable.Width(mark+" "+text)
	for i, n := range nodes {
		name := clean(n.Name)
		sep := " "
		if i == 0 {
			sep = ": "
		}
		end := 0
		if i < len(nodes)-1 {
			end = 2 // for what says that there are more
		}
		if left -= printable.Width(sep + name); left < end {
			if i > 0 && left+printable.Width(sep+name) >= 2 {
				line += " …"
			}
			break
		}
		line += sep + name
	}
	line = printable.Fit(line, p.Columns)
	if strings.HasPrefix(line, mark) {
		return p.paint(c, mark) + line[len(mark):]
	}
	return line
}

// more is the line of those that are not shown, "" for none.
func (p *picture) more(working int) string {
	var parts []string
	if working > 0 {
		parts = append(parts, fmt.Sprintf("%d more working", working))
	}
	var texts []string
	waiting := map[string]int{}
	for _, n := range p.waiting {
		text := n.Step().Text
		if waiting[text] == 0 {
			texts = append(texts, text)
		}
		waiting[text]++
	}
	for _, text := range texts {
		parts = append(parts, fmt.Sprintf("%d waiting for %s", waiting[text], clean(text)))
	}
	if len(parts) == 0 {
		return ""
	}
	return printable.Fit("  … "+strings.Join(parts, ", "), p.Columns)
}

// fitNames gives the names of nodes a column, and their steps: in a wide window that of all names, so that
// nothing moves aside when others are shown.
func (p *picture) fitNames(shown []*record.Node) {
	p.steps = stepColumns
	if p.Columns < wide {
		p.steps = 0
	}
	for _, n := range shown {
		p.names = max(p.names, printable.Width(p.name(n)))
		p.steps = max(p.steps, len(stepOf(n)))
	}
	if p.Columns >= wide {
		others := ""
		if p.record.Builds != nil {
			others = fmt.Sprintf(" +%d", len(p.record.Nodes)-1)
		}
		for _, n := range p.record.Nodes {
			p.names = max(p.names, printable.Width(clean(n.Name)+others))
		}
	}
	part := 4
	if p.Columns < wide {
		part = 3
	}
	p.names = min(p.names, max(4, p.Columns/part))
}

// Columns of a node's line, besides the name, and of a window that has room: for more than
// names, and for what a builder says besides what it builds.
const (
	wide        = 60
	roomy       = 100
	stepColumns = 8
	timeColumns = 5
)

// line is one about a node: what it is at, what that does, and since when.
func (p *picture) line(mark string, c colourCode, n *record.Node, text, time string) string {
	line := p.paint(c, mark) + " " + printable.Padded(p.name(n), min(p.names, max(0, p.Columns-2)))
	if p.Columns < 2 {
		return p.paint(c, mark)
	}
	if rest := p.Columns - printable.Width(line) - 2; rest >= p.steps {
		line += "  " + printable.Padded(stepOf(n), p.steps)
	}
	rest := p.Columns - printable.Width(line) - 2
	if time != "" {
		rest -= timeColumns + 1
	}
	if rest >= 4 {
		line += "  " + printable.Padded(text, rest)
	}
	if gap := p.Columns - printable.Width(line) - timeColumns; time != "" && gap >= 1 {
		line += strings.Repeat(" ", gap+max(0, timeColumns-len(time))) + p.paint(dim, time)
	}
	return strings.TrimRight(line, " ")
}

// failedAlready begins what a node is at whose build cannot succeed any more, and that
// ends only with the others.
const failedAlready = "failed: "

// isDoomed reports whether a node is at work of which nothing can come.
func isDoomed(n *record.Node) bool {
	s := n.Step()
	return s != nil && !n.Ended() && s.Kind == plan.Build && strings.HasPrefix(s.At, failedAlready)
}

// inStore is what says little of a path in the store, and takes most of its columns.
var inStore = regexp.MustCompile(`/nix/store/[0-9a-z]{32}-`)

// ofBuilder is how Nix names what failed to build; of all the line, people need that name.
var ofBuilder = regexp.MustCompile(`^builder for '([^']+)\.drv' failed`)

// failure is the line of a node that failed.
func (p *picture) failure(n *record.Node) string {
	if s := n.Step(); isDoomed(n) {
		return p.line("✗", red, n, clean(strings.TrimPrefix(s.At, failedAlready)), "")
	}
	why := ""
	if n.Result.Err != nil {
		why, _, _ = strings.Cut(n.Result.Err.Error(), "\n")
		why = ofBuilder.ReplaceAllString(inStore.ReplaceAllString(why, ""), "$1 failed")
	}
	return p.line("✗", red, n, clean(why), "")
}

// work is the line of a node that is at work.
func (p *picture) work(n *record.Node) string {
	return p.line("▸", cyan, n, p.does(n), Clock(p.now.Sub(since(n))))
}

// does says what a node does in its step.
func (p *picture) does(n *record.Node) string {
	s := n.Step()
	switch {
	case s.Kind == plan.Push && s.Total > 0 && s.Done >= s.Total && !s.Ended():
		return event.Size(s.Total) + " sent, the host stores it"
	case s.Kind == plan.Push && s.Total > 0 && !s.Ended():
		return p.bar(s.Done, s.Total, max(0, min(12, p.Columns-60))) + sizes(s.Done, s.Total)
	case s.At != "" && s.Kind == plan.Build && p.Columns < wide:
		return clean(strings.TrimPrefix(s.At, "waits for "))
	case s.At != "" && s.Kind == plan.Build && p.Columns >= roomy && n.Last != "" && !s.Ended():
		return clean(s.At) + ": " + clean(n.Last)
	case s.At != "":
		return clean(s.At)
	case s.Kind == plan.Connect:
		return clean(strings.TrimPrefix(s.Text, "connecting to "))
	case n.Last != "" && !s.Ended():
		return clean(n.Last)
	case s.Kind == plan.Activate, s.Kind == plan.Push:
		return "" // it will say something
	}
	return clean(short(s.Text))
}

// stepOf is what people call the step that a node is at, or failed in.
func stepOf(n *record.Node) string {
	if n.Ended() {
		return stepName(n.Result.Step)
	}
	return stepName(n.Step().Kind)
}

// stepName is what people call a step.
func stepName(kind plan.StepKind) string {
	switch kind {
	case plan.Push, plan.Cache:
		return "copy"
	case plan.Await:
		return "reboot"
	}
	return string(kind)
}

// short is what a step said that it does: of a store path its name alone.
func short(text string) string {
	_, name, found := strings.Cut(text, "/nix/store/")
	if !found {
		return text
	}
	if name = path.Base(name); len(name) > 33 && name[32] == '-' {
		name = name[33:]
	}
	return name
}

// sizes says how much of how much, in the unit of the whole.
func sizes(done, total int64) string {
	all := event.Size(total)
	number, unit, _ := strings.Cut(all, " ")
	scale := map[string]float64{"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[unit]
	form := "%.0f"
	if strings.Contains(number, ".") {
		form = "%.1f"
	}
	return fmt.Sprintf(form+"/%s", float64(done)/scale, all)
}
