// Package view draws a run that goes on: what it is at as a whole, and the nodes that
// matter most, within a window. It is pure: what is drawn follows from the record, the
// size and the time, and nothing here reads a clock or writes anywhere.
package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/printable"
	"github.com/colmena-go/colmena-go/pkg/record"
)

// Size is a window's, in characters.
type Size struct{ Columns, Rows int }

// Look is what a terminal can show.
type Look struct {
	Colour bool
	ASCII  bool // nothing but that
}

// widest is how many columns are used at most: eyes have to find the line's end.
const widest = 120

// enough is how many rows of a window are: one can be empty above the picture, which keeps
// it apart from the lines.
const enough = 20

// Room is how much of a window a picture may take. Its last column stays free, since
// terminals do not agree on what happens behind it; and some of its rows, for what was
// told before.
func Room(window Size) Size {
	rows := window.Rows * 2 / 3
	if window.Rows <= 12 {
		rows = window.Rows - 2
	}
	return Size{Columns: min(window.Columns-1, widest), Rows: max(0, rows)}
}

// Lines is the picture of a run: no more lines than the window has room for, and none
// that is wider. Where there is no room, there are none.
func (m *Meter) Lines(r *record.Record, window Size, look Look, now time.Time) []string {
	room := Room(window)
	if room.Columns < 1 || room.Rows < 1 {
		return nil
	}
	p := &picture{record: r, meter: m, look: look, now: now, Size: room}
	p.sort()
	lines := []string{p.header()}
	for _, line := range []string{p.fleet(), p.counts()} {
		if line != "" {
			lines = append(lines, line)
		}
	}
	if window.Rows >= enough {
		lines = append([]string{""}, lines...)
	}
	if len(lines) > room.Rows {
		return lines[:room.Rows]
	}
	if nodes := p.nodes(room.Rows - len(lines) - 1); len(nodes) > 0 {
		lines = append(append(lines, ""), nodes...)
	}
	if look.ASCII {
		for i, line := range lines {
			lines[i] = inASCII.Replace(line)
		}
	}
	return lines
}

// inASCII has a sign of one column for each of ours.
var inASCII = strings.NewReplacer("█", "#", "░", ".", "✗", "x", "▸", ">", "✓", "+", "·", "-", "…", "~")

// picture is one that is being drawn.
type picture struct {
	record *record.Record
	meter  *Meter
	look   Look
	now    time.Time
	Size

	evaluating, working, waiting, failed, cancelled, done []*record.Node

	lines []*record.Node       // those at work that have a line
	alike map[*record.Node]int // how many others wait for the same build, and have no line
	names int                  // columns of names
	steps int                  // and of steps
}

// sort puts every node where it belongs, those first that are to be shown first.
func (p *picture) sort() {
	for _, n := range p.record.Nodes {
		list := &p.working
		switch s := n.Step(); {
		case n.Ended() && n.Result.Status == event.Failed:
			list = &p.failed
		case isDoomed(n):
			list = &p.failed
		case n.Ended() && n.Result.Status == event.Cancelled:
			list = &p.cancelled
		case n.Ended():
			list = &p.done
		case s == nil, s.Kind == plan.Evaluate:
			list = &p.evaluating
		case s.State == record.Waiting:
			list = &p.waiting
		}
		*list = append(*list, n)
	}
	slices.SortStableFunc(p.working, func(a, b *record.Node) int { return since(a).Compare(since(b)) })
	p.gather()
	slices.SortStableFunc(p.done, func(a, b *record.Node) int { return cmp.Compare(a.Name, b.Name) })
}

// since is when what a node does began.
func since(n *record.Node) time.Time {
	s := n.Step()
	if s.Ended() {
		return s.End // between two steps
	}
	return s.Began()
}

// --- the run -------------------------------------------------------------------

// header says what runs, for how long, and how long that takes still, if there is
// something measured to tell that from.
func (p *picture) header() string {
	left := "colmena-go " + p.title()
	if n := len(p.record.Nodes); n > 0 {
		left += " · " + count(n, "node")
	}
	right := Clock(p.now.Sub(p.record.Begin))
	if rest, known := p.meter.left(p.record, p.now); known {
		right += "   about " + Clock(rest) + " left"
	}
	return p.ends(left, right, bold)
}

func (p *picture) title() string {
	switch goal := p.record.Goal; {
	case !strings.HasPrefix(p.record.Command, "apply"):
		return clean(p.record.Command)
	case goal == hive.Keys:
		return "upload-keys"
	default:
		return clean(string(goal))
	}
}

// ends is a line with a text at each end.
func (p *picture) ends(left, right string, c colourCode) string {
	if printable.Width(left)+2+printable.Width(right) > p.Columns {
		right = strings.TrimSpace(strings.Split(right, "   ")[0])
	}
	if printable.Width(left)+2+printable.Width(right) > p.Columns {
		return p.paint(c, printable.Fit(left, p.Columns))
	}
	return p.paint(c, left) + strings.Repeat(" ", p.Columns-printable.Width(left)-printable.Width(right)) + right
}

// fleet says how far evaluation, builds and copies are, as much of it as fits.
func (p *picture) fleet() string {
	for _, detail := range []detail{{12, 8, true, true}, {8, 6, true, true}, {0, 0, true, true}, {0, 0, false, true}, {0, 0, false, false}} {
		for _, parts := range [][]string{{p.evaluated(), p.built(detail), p.copied(detail)}, {p.unevaluated(), p.built(detail), p.copied(detail)}} {
			parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
			if line := "  " + strings.Join(parts, "   "); len(parts) > 0 && printable.Width(line) <= p.Columns {
				return line
			}
		}
	}
	if p.evaluated() == "" {
		return ""
	}
	return printable.Fit("  "+p.evaluated(), p.Columns)
}

// detail is how much is said of builds and copies.
type detail struct {
	buildBar, copyBar int // columns of the bars, 0 for none
	name, rate        bool
}

func (p *picture) evaluated() string {
	all := len(p.record.Nodes)
	if all == 0 {
		return "evaluating the hive"
	}
	return fmt.Sprintf("evaluate %d/%d", all-len(p.evaluating), all)
}

// unevaluated is evaluated where that is not over.
func (p *picture) unevaluated() string {
	if len(p.evaluating) == 0 {
		return ""
	}
	return p.evaluated()
}

func (p *picture) built(d detail) string {
	b := p.record.Builds
	if b == nil || b.Expected == 0 {
		return ""
	}
	text := "build " + p.bar(int64(b.Done), int64(b.Expected), d.buildBar) + fmt.Sprintf("%d/%d", b.Done, b.Expected)
	if d.name && len(b.Running) > 0 {
		text += fmt.Sprintf("  %s (%s)", printable.Fit(clean(b.Running[0].Name), 30), Clock(p.now.Sub(b.Running[0].Since)))
	}
	return text
}

func (p *picture) copied(d detail) string {
	done, total := copied(p.record)
	if total == 0 {
		return ""
	}
	if done >= total { // a bar that is full looks as if nothing went on
		return "copied " + event.Size(total)
	}
	text := "copy " + p.bar(done, total, d.copyBar) + sizes(done, total)
	if rate := p.meter.rate(p.now); d.rate && rate > 0 {
		text += "  " + event.Size(int64(rate)) + "/s"
	}
	return text
}

// copied is how much of all closures that are known was sent.
func copied(r *record.Record) (done, total int64) {
	for _, n := range r.Nodes {
		for _, s := range n.Steps {
			if s.Kind == plan.Push && s.State != record.Failed && s.State != record.Cancelled {
				done, total = done+s.Done, total+s.Total
			}
		}
	}
	return done, total
}

// counts says how many nodes are how far.
func (p *picture) counts() string {
	if len(p.record.Nodes) == 0 {
		return ""
	}
	var parts []string
	add := func(what string, n int, c colourCode) {
		if n > 0 {
			parts = append(parts, p.paint(c, fmt.Sprintf("%s %d", what, n)))
		}
	}
	add("done", len(p.done), green)
	add("working", len(p.working), cyan)
	add("waiting", len(p.waiting), none)
	add("cancelled", len(p.cancelled), yellow)
	add("failed", len(p.failed), red)
	for ; len(parts) > 0; parts = parts[1:] {
		for _, between := range []string{" · ", " "} {
			if line := "  " + strings.Join(parts, between); printable.Width(line) <= p.Columns {
				return line
			}
		}
	}
	return ""
}
