package record

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// at is so many seconds after noon.
func at(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

// tell is a record that was told of the node web, at these seconds.
func tell(events map[float64][]event.Event, order ...float64) *Record {
	r := &Record{Command: "apply", Goal: hive.Switch, Begin: noon}
	r.Expect([]string{"web"}, noon)
	for _, second := range order {
		for _, e := range events[second] {
			e.Time, e.Node = at(second), "web"
			r.Add(e)
		}
	}
	return r
}

// steps are a node's steps as one reads them: kind, state, when it began to wait and to
// be done, when it ended, and how far it came.
func steps(n *Node) string {
	var lines []string
	since := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return fmt.Sprintf("%g", t.Sub(noon).Seconds())
	}
	for _, s := range n.Steps {
		line := fmt.Sprintf("%s %s %s %s %s", s.Kind, s.State, since(s.Queued), since(s.Begin), since(s.End))
		if s.Total > 0 {
			line += fmt.Sprintf(" %d/%d/%d", s.Done, s.Total, s.Paths)
		}
		if s.Err != nil {
			line += " " + s.Err.Error()
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "; ")
}

func TestEventsMakeSteps(t *testing.T) {
	broken := errors.New("broken")
	ended := func(status event.Status, err error) event.Event {
		return event.Event{Kind: event.End, Result: &event.Result{Node: "web", Status: status, Err: err}}
	}
	begin := func(kind plan.StepKind) event.Event { return event.Event{Step: kind, Kind: event.Begin} }
	over := func(kind plan.StepKind, err error) event.Event {
		e := event.Event{Step: kind, Kind: event.Over, Status: event.Succeeded}
		if err != nil {
			e.Status, e.Err = event.Failed, err
		}
		return e
	}
	for name, c := range map[string]struct {
		events map[float64][]event.Event
		order  []float64
		want   string
	}{
		"a node that is being evaluated": {nil, nil, "evaluate running - 0 -"},
		"one that cannot be": {map[float64][]event.Event{3: {over(plan.Evaluate, broken), ended(event.Failed, broken)}}, []float64{3},
			"evaluate failed - 0 3 broken"},
		"one step after the other": {map[float64][]event.Event{
			1: {over(plan.Evaluate, nil), begin(plan.Connect)}, 2: {over(plan.Connect, nil)}, 3: {begin(plan.Inspect)},
		}, []float64{1, 2, 3}, "evaluate succeeded - 0 1; connect succeeded - 1 2; inspect running - 3 -"},
		"a step that waits": {map[float64][]event.Event{
			1: {over(plan.Evaluate, nil), {Step: plan.Push, Kind: event.Wait, Text: "a free slot"}}, 4: {begin(plan.Push)},
		}, []float64{1, 4}, "evaluate succeeded - 0 1; push running 1 4 -"},
		"an interrupt while it waits": {map[float64][]event.Event{
			1: {over(plan.Evaluate, nil), {Step: plan.Push, Kind: event.Wait}}, 4: {ended(event.Cancelled, broken)},
		}, []float64{1, 4}, "evaluate succeeded - 0 1; push cancelled 1 - 4"},
		"an interrupt of a step": {map[float64][]event.Event{
			1: {over(plan.Evaluate, nil), begin(plan.Build)}, 4: {{Step: plan.Build, Kind: event.Over, Status: event.Cancelled}, ended(event.Cancelled, broken)},
		}, []float64{1, 4}, "evaluate succeeded - 0 1; build cancelled - 1 4"},
		"a copy": {map[float64][]event.Event{
			1: {over(plan.Evaluate, nil), begin(plan.Push)},
			2: {{Step: plan.Push, Kind: event.Progress, Done: 10, Total: 100, Paths: 3}},
			3: {{Step: plan.Push, Kind: event.Note, Text: "copied", Done: 90, Total: 90, Paths: 2}, over(plan.Push, nil)},
		}, []float64{1, 2, 3}, "evaluate succeeded - 0 1; push succeeded - 1 3 90/90/2"},
		"a step that goes on over another connection": {map[float64][]event.Event{
			1: {over(plan.Evaluate, nil), begin(plan.Push)}, 2: {begin(plan.Push)}, 3: {over(plan.Push, nil)},
		}, []float64{1, 2, 3}, "evaluate succeeded - 0 1; push succeeded - 1 3"},
		"two steps of a kind": {map[float64][]event.Event{
			1: {over(plan.Evaluate, nil), begin(plan.Upload), over(plan.Upload, nil)}, 2: {begin(plan.Upload), over(plan.Upload, nil)},
		}, []float64{1, 2}, "evaluate succeeded - 0 1; upload succeeded - 1 1; upload succeeded - 2 2"},
		"a failure that others follow": {map[float64][]event.Event{
			1: {over(plan.Evaluate, nil), begin(plan.Activate)}, 2: {over(plan.Activate, broken), begin(plan.Upload)}, 3: {over(plan.Upload, nil), ended(event.Failed, broken)},
		}, []float64{1, 2, 3}, "evaluate succeeded - 0 1; activate failed - 1 2 broken; upload succeeded - 2 3"},
		"what comes after the end": {map[float64][]event.Event{1: {over(plan.Evaluate, nil), ended(event.Succeeded, nil), begin(plan.Connect)}}, []float64{1},
			"evaluate succeeded - 0 1"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := steps(tell(c.events, c.order...).Node("web")); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestWhatIsSaidIsKeptWithItsBounds(t *testing.T) {
	r := &Record{}
	for i := range 200 {
		r.Add(event.Event{Node: "web", Kind: event.Warn, Text: fmt.Sprint(i)})
		r.Add(event.Event{Kind: event.Diagnostic, Text: fmt.Sprint(i)})
		r.Add(event.Event{Kind: event.Debug, Text: "debug"})
		r.Add(event.Event{Node: "web", Kind: event.Private, Text: "hunter2"})
		r.Add(event.Event{Node: "web", Step: plan.Upload, Kind: event.Begin})
		r.Add(event.Event{Node: "web", Step: plan.Upload, Kind: event.Over})
	}
	r.Add(event.Event{Node: "web", Kind: event.Output, Text: strings.Repeat("é", 1<<20) + "\x1b[31mend"})
	web := r.Node("web")
	for what, got := range map[string]int{"warnings": len(web.Said), "diagnostics": len(r.Said)} {
		if got != mostSaid {
			t.Errorf("%d %s, want %d", got, what, mostSaid)
		}
	}
	if web.Said[mostSaid-1].Text != "199" || len(web.Last) > lineSize+10 || !strings.HasSuffix(web.Last, "éend") || strings.Contains(web.Last, "\x1b") {
		t.Errorf("%q, %q", web.Said[mostSaid-1].Text, web.Last)
	}
	if len(web.Steps) != mostSteps || web.Dropped != 100 {
		t.Errorf("%d steps, and %d dropped", len(web.Steps), web.Dropped)
	}
	if strings.Contains(fmt.Sprintf("%+v %+v", r, web), "hunter2") {
		t.Error("a line for the terminal alone is kept")
	}
}

func TestWhoLeavesIsToldOfHostsThatAreBeingChanged(t *testing.T) {
	r := &Record{Goal: hive.Switch}
	r.Expect([]string{"done", "changing", "queued", "building", "late"}, noon)
	r.Add(event.Event{Node: "done", Kind: event.End, Result: &event.Result{Node: "done", Status: event.Succeeded}})
	r.Add(event.Event{Node: "changing", Time: at(1), Step: plan.Activate, Kind: event.Begin})
	r.Add(event.Event{Node: "queued", Time: at(1), Step: plan.Upload, Kind: event.Wait})
	r.Add(event.Event{Node: "building", Time: at(1), Step: plan.Build, Kind: event.Begin})
	var got []string
	for _, result := range r.Results(at(5)) {
		got = append(got, fmt.Sprintf("%s %s %s", result.Node, result.Status, result.Elapsed))
	}
	want := "done succeeded 0s, changing left 5s, queued cancelled 5s, building cancelled 5s, late cancelled 5s"
	if all := strings.Join(got, ", "); all != want {
		t.Errorf("got  %s\nwant %s", all, want)
	}
}

func TestACloneDoesNotChange(t *testing.T) {
	r := &Record{}
	r.Expect([]string{"web"}, noon)
	clone := r.Clone()
	r.Add(event.Event{Node: "web", Time: at(1), Step: plan.Evaluate, Kind: event.Over})
	r.Add(event.Event{Node: "db", Time: at(1), Step: plan.Connect, Kind: event.Begin})
	if got := steps(clone.Node("web")); got != "evaluate running - 0 -" || clone.Node("db") != nil || len(clone.Nodes) != 1 {
		t.Errorf("%s, %d nodes", got, len(clone.Nodes))
	}
}

func TestAStepLastsWithoutWhatItWaited(t *testing.T) {
	s := Step{State: Running, Queued: at(0), Begin: at(3), Waited: 3 * time.Second}
	if got := s.Took(at(5)); got != 2*time.Second || s.Began() != at(0) {
		t.Errorf("it took %s since %s", got, s.Began())
	}
	if s.State, s.End = Succeeded, at(4); s.Took(at(9)) != time.Second {
		t.Errorf("it took %s", s.Took(at(9)))
	}
}

// A node that is rebooted has a step of some kinds twice.
func TestStepsOfAKindAreAddedUp(t *testing.T) {
	n := &Node{Steps: []Step{
		{Kind: plan.Build, State: Succeeded, Begin: at(0), End: at(4), Done: 7, Total: 7, Paths: 7},
		{Kind: plan.Push, State: Succeeded, Queued: at(4), Begin: at(5), End: at(8), Waited: time.Second, Done: 100, Total: 100, Paths: 2},
		{Kind: plan.Upload, State: Succeeded, Begin: at(8), End: at(9)},
		{Kind: plan.Push, State: Running, Queued: at(10), Begin: at(12), Waited: 2 * time.Second, Done: 50, Total: 80, Paths: 1},
	}}
	got := fmt.Sprintf("%+v", n.Sum(at(15)))
	if want := "{Took:map[build:4s push:6s upload:1s] Waited:map[push:3s] Bytes:150 Paths:3 Builds:7}"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
