package report

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/printable"
	"github.com/colmena-go/colmena-go/pkg/view"
)

// boarded is a board of so many nodes, of which each ninth is one of those of statuses.
func boarded(n int, at time.Time) *Board {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("n%03d", i))
	}
	b := NewBoard("colmena-go status", "q to quit", false, names)
	for i, name := range names {
		s := statuses()[i%9]
		s.Node = name
		b.Tell(s, at)
	}
	return b
}

func TestABoardStaysWithinItsWindow(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, n := range []int{0, 1, 9, 300} {
		b := boarded(n, at)
		for _, size := range []view.Size{{Columns: 1, Rows: 1}, {Columns: 2, Rows: 3}, {Columns: 40, Rows: 15}, {Columns: 80, Rows: 24}, {Columns: 120, Rows: 40}, {Columns: 500, Rows: 400}} {
			lines := b.Lines(size, at)
			if len(lines) > max(0, size.Rows-1) {
				t.Errorf("%d nodes in %v: %d lines", n, size, len(lines))
			}
			for _, line := range lines {
				if printable.Width(line) >= size.Columns {
					t.Errorf("%d nodes in %v: %q has %d columns", n, size, line, printable.Width(line))
				}
			}
		}
	}
}

func TestWhatIsWrongComesFirstWhereNotAllHaveRoom(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	b := boarded(9, at)
	got := strings.Join(b.Lines(view.Size{Columns: 80, Rows: 11}, at.Add(90*time.Second)), "\n")
	want := `colmena-go status · 03:05:35 · q to quit
7 of 9 hosts answer, 2 as configured, 1 differs, 1 at next boot, 1 boots other…

NODE  SYSTEM         REBOOT                  KEYS              UNITS
n002  for 90s: unreachable: refused
n003  as configured  -                       1 missing: "a b"  ok
n007  differs        -                       -                 7 failed: a.ser…
n000  at next boot   kernel 6.6.30 → 6.6.31  -                 ok
… 5 more`
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := b.Lines(view.Size{Columns: 200, Rows: 24}, at); len(got) != 13 || !strings.HasPrefix(got[4], "n000") || !strings.HasPrefix(got[12], "n008") {
		t.Errorf("%q", got)
	}
	// Of many that are well it is said that nothing is wrong with the rest.
	well := NewBoard("x", "y", false, nil)
	for i := range 50 {
		s := statuses()[8]
		s.Node = fmt.Sprintf("n%d", i)
		well.names = append(well.names, s.Node)
		well.Tell(s, at)
	}
	if got := well.Lines(view.Size{Columns: 80, Rows: 20}, at); got[len(got)-1] != "… 37 more, nothing wrong" {
		t.Errorf("%q", got)
	}
}

func TestTheTimesOfABoardGoOn(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	b := NewBoard("x", "y", false, []string{"b", "a"})
	if b.Asked() {
		t.Error("nobody was asked yet")
	}
	if got := b.List(at); len(got) != 2 || got[0].Node != "a" || got[0].State != nil {
		t.Errorf("%+v", got)
	}
	s := statuses()[8]
	s.Node = "a"
	b.Tell(s, at)
	failed := Status{Result: event.Result{Node: "b", Status: event.Failed, Step: plan.Connect, Err: errors.New("no route")}}
	b.Tell(failed, at)
	b.Tell(failed, at.Add(5*time.Second))
	if !b.Asked() || b.List(at.Add(time.Hour))[0].State.Now != s.State.Now.Add(time.Hour) {
		t.Errorf("%+v", b.List(at))
	}
	if got := b.Lines(view.Size{Columns: 200, Rows: 24}, at.Add(10*time.Second)); !strings.Contains(got[5], "for 10s: unreachable: no route") {
		t.Errorf("%q", got)
	}
}
