package view

import (
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// copying has nodes copy so many bytes of a whole in steps of a second.
func (r *run) copying(node string, from, to, perSecond, total int64) {
	r.at(float64(from), node, plan.Push, "copying")
	for s := from; s <= to; s++ {
		r.tell(float64(s), event.Event{Node: node, Step: plan.Push, Kind: event.Progress, Done: min(total, (s-from)*perSecond), Total: total})
	}
}

func TestHowLongItTakesStillIsToldFromWhatWasMeasuredOnly(t *testing.T) {
	building := func(r *run, seconds float64, done, expected int) {
		r.tell(seconds, event.Event{Kind: event.Building, Builds: &event.Builds{Done: done, Expected: expected}})
	}
	fails := func(r *run, seconds float64, node string) {
		r.tell(seconds, event.Event{Node: node, Step: plan.Push, Kind: event.Over, Status: event.Failed})
	}
	for name, c := range map[string]struct {
		happens func(r *run)
		now     float64
		want    time.Duration // 0 for nothing
	}{
		"nothing is counted":                {func(r *run) { r.at(1, "a", plan.Activate, "") }, 60, 0},
		"a copy":                            {func(r *run) { r.copying("a", 0, 10, 10e6, 400e6) }, 10, 30 * time.Second},
		"two at once":                       {func(r *run) { r.copying("a", 0, 10, 5e6, 200e6); r.copying("b", 0, 10, 5e6, 200e6) }, 10, 30 * time.Second},
		"one that has just begun":           {func(r *run) { r.copying("a", 0, 2, 10e6, 400e6) }, 2, 0},
		"one that stands":                   {func(r *run) { r.copying("a", 0, 10, 10e6, 400e6) }, 60, 0},
		"one that is done":                  {func(r *run) { r.copying("a", 0, 10, 40e6, 400e6) }, 10, 0},
		"builds":                            {func(r *run) { building(r, 0, 0, 40); building(r, 20, 10, 40) }, 20, time.Minute},
		"builds of which few are":           {func(r *run) { building(r, 0, 0, 40); building(r, 20, 2, 40) }, 20, 0},
		"builds that began with small ones": {func(r *run) { building(r, 0, 0, 40); building(r, 20, 9, 40) }, 20, 0},
		"builds that are all done":          {func(r *run) { building(r, 0, 0, 40); building(r, 20, 40, 40) }, 20, 0},
		"what takes longer of both":         {func(r *run) { r.copying("a", 0, 10, 10e6, 400e6); building(r, 0, 0, 20); building(r, 10, 5, 20) }, 10, 30 * time.Second},
		"more than is worth telling":        {func(r *run) { r.copying("a", 0, 10, 1, 1<<60) }, 10, 0},
		"one beside one that failed":        {func(r *run) { r.copying("a", 0, 10, 5e6, 200e6); fails(r, 10, "a"); r.copying("b", 0, 10, 5e6, 200e6) }, 10, 15 * time.Second},
		"builds of which some failed": {func(r *run) {
			building(r, 0, 0, 40)
			r.tell(20, event.Event{Kind: event.Building, Builds: &event.Builds{Done: 10, Failed: 10, Expected: 40}})
		}, 20, 40 * time.Second},
	} {
		r := newRun("a", "b")
		c.happens(r)
		if got, known := r.left(r.Record, at(c.now)); got != c.want || known != (c.want > 0) {
			t.Errorf("%s: %s (%v), want %s", name, got, known, c.want)
		}
	}
}

// Of a minute at 1 MB/s and ten seconds at 10 MB/s, the latter is how fast it is.
func TestARateIsThatOfTheLastSeconds(t *testing.T) {
	r := newRun("a")
	r.at(0, "a", plan.Push, "copying")
	var sent int64
	for s := range 71 {
		r.tell(float64(s), event.Event{Node: "a", Step: plan.Push, Kind: event.Progress, Done: sent, Total: 1e9})
		if sent += 1e6; s >= 60 {
			sent += 9e6
		}
	}
	if got := r.rate(at(70)); got < 8e6 || got > 10.1e6 {
		t.Errorf("%.0f bytes a second", got)
	}
	if got := r.rate(at(100)); got > 1 {
		t.Errorf("half a minute after the last byte: %.0f bytes a second", got)
	}
}

// Over another connection a copy counts anew, and what went over the first was sent.
func TestACopyThatBeginsAgainIsNoSlowerForThat(t *testing.T) {
	r := newRun("a")
	r.copying("a", 0, 10, 1e6, 1e9)
	r.copying("a", 10, 15, 1e6, 1e9)
	if got := r.rate(at(15)); got < 0.9e6 || got > 1.1e6 {
		t.Errorf("%.0f bytes a second", got)
	}
}
