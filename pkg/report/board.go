package report

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/printable"
	"github.com/colmena-go/colmena-go/pkg/view"
)

// Board is how hosts are from moment to moment: a [Picture] that is drawn from what was
// told last of each.
type Board struct {
	title string
	style Style
	hint  string // stands at the end of the first line

	mu    sync.Mutex
	names []string // sorted
	nodes map[string]told
}

// told is what was told of a node, and when.
type told struct {
	Status
	at    time.Time
	since time.Time // of the same failure
}

// NewBoard returns a Board on which no node has been told of yet.
func NewBoard(title, hint string, style Style, names []string) *Board {
	return &Board{title: title, hint: hint, style: style, names: slices.Sorted(slices.Values(names)), nodes: map[string]told{}}
}

// Tell puts what was found of a node on the board.
func (b *Board) Tell(s Status, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := told{Status: s, at: now, since: now}
	if before, was := b.nodes[s.Node]; was && before.State == nil && s.State == nil {
		t.since = before.since
	}
	b.nodes[s.Node] = t
}

// List is what was told last of every node; the times of those that answered go on.
func (b *Board) List(now time.Time) []Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]Status, len(b.names))
	for i, name := range b.names {
		t, known := b.nodes[name]
		if !known {
			list[i] = Status{Result: event.Result{Node: name, Status: event.Cancelled}}
			continue
		}
		if list[i] = t.Status; t.State != nil {
			state := *t.State
			state.Now = state.Now.Add(now.Sub(t.at))
			list[i].State = &state
		}
	}
	return list
}

// Asked reports whether every node was told of.
func (b *Board) Asked() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.nodes) == len(b.names)
}

// Lines implements [Picture]. Where not all nodes have room, those come first that want
// somebody's attention.
func (b *Board) Lines(window view.Size, now time.Time) []string {
	columns, rows := window.Columns-1, window.Rows-2 // terminals do not agree on what is behind the last column
	if columns < 1 || rows < 1 {
		return nil
	}
	list := b.List(now)
	lines := []string{printable.Fit(fmt.Sprintf("%s · %s · %s", b.title, now.Format(time.TimeOnly), b.hint), columns), printable.Fit(statusSummary(list), columns), ""}
	room := rows - len(lines) - 2 // the head of the table, and how many more there are
	more := ""
	if len(list) > room+1 {
		slices.SortStableFunc(list, func(x, y Status) int { return urgency(y) - urgency(x) })
		hidden := list[max(0, room):]
		list = list[:max(0, room)]
		more = fmt.Sprintf("… %d more", len(hidden))
		if len(hidden) > 0 && urgency(hidden[0]) == 0 {
			more += ", nothing wrong"
		}
	}
	table := strings.TrimSuffix(gridWithin(b.rows(list, now), b.style, columns), "\n")
	lines = append(lines, strings.Split(table, "\n")...)
	if more != "" {
		lines = append(lines, printable.Fit(more, columns))
	}
	return lines[:min(len(lines), rows)]
}

// rows are those of the table; that of a host that fails says for how long.
func (b *Board) rows(list []Status, now time.Time) [][]cell {
	rows := statusRows(list)
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, s := range list {
		if t, known := b.nodes[s.Node]; known && s.State == nil && now.Sub(t.since) >= time.Second {
			last := &rows[i+1][len(rows[i+1])-1]
			last.text = fmt.Sprintf("for %s: %s", age(now, t.since), last.text)
		}
	}
	return rows
}

// urgency is how much a host wants to be looked at: 0 for not at all.
func urgency(s Status) int {
	switch {
	case s.State == nil && s.Result.Status == event.Failed:
		return 4
	case s.State == nil:
		return 1
	case s.State.Units > 0 || keysCell(s.Keys).color == red:
		return 3
	case s.stands() != configured && s.stands() != unasked || s.State.RebootReason() != "":
		return 2
	}
	return 0
}
