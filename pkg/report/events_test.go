package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/record"
)

// noon is when runs in these tests begin.
var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// recorded is a run of two nodes: one waits for a slot, is copied to and done, the
// other's build fails.
func recorded(tell func(event.Event)) *record.Record {
	r := &record.Record{Command: "apply", Goal: hive.Switch, Version: "1.0", Begin: noon}
	r.Expect([]string{"web", `d"b\`}, noon.Add(time.Second))
	broken := errors.New("builder failed:\nno luck")
	for i, e := range []event.Event{
		{Kind: event.Diagnostic, Text: `{"level":"warn","node":"web","message":"look"}`},
		{Kind: event.Debug, Text: `{"level":"debug","message":"for who looks for a fault"}`},
		{Node: "web", Step: plan.Evaluate, Kind: event.Over, Status: event.Succeeded},
		{Node: `d"b\`, Step: plan.Evaluate, Kind: event.Over, Status: event.Succeeded},
		{Node: `d"b\`, Step: plan.Build, Kind: event.Begin, Text: "building it"},
		{Node: `d"b\`, Step: plan.Build, Kind: event.Output, Text: "cc"},
		{Node: `d"b\`, Step: plan.Build, Kind: event.Over, Status: event.Failed, Err: broken},
		{Node: `d"b\`, Step: plan.Build, Kind: event.End, Result: &event.Result{Node: `d"b\`, Status: event.Failed, Step: plan.Build, Err: broken, Elapsed: 6 * time.Second}},
		{Node: "web", Step: plan.Push, Kind: event.Wait, Text: "a free slot"},
		{Node: "web", Step: plan.Push, Kind: event.Begin},
		{Node: "web", Step: plan.Push, Kind: event.Progress, Done: 7, Total: 10, Paths: 2},
		{Node: "web", Step: plan.Push, Kind: event.Warn, Text: "slow"},
		{Node: "web", Step: plan.Resolve, Kind: event.Private, Text: "hunter2"},
		{Node: "web", Step: plan.Push, Kind: event.Over, Status: event.Succeeded},
		{Node: "web", Step: plan.Push, Kind: event.End, Text: "switch done", Result: &event.Result{Node: "web", Status: event.Succeeded, Elapsed: 12 * time.Second,
			Keys: []event.KeyResult{{Name: "a", Path: "/run/keys/a", Change: plan.Changed}}}},
	} {
		e.Time = noon.Add(time.Duration(i+1) * time.Second)
		r.Add(e)
		if tell != nil {
			tell(e)
		}
	}
	r.Close(noon.Add(20*time.Second), record.NotAllDone, nil)
	return r
}

func TestEventsAreTheRunLineByLine(t *testing.T) {
	var out bytes.Buffer
	r := &record.Record{Command: "apply", Goal: hive.Switch, Version: "1.0", Begin: noon}
	events := NewEvents(&out, r)
	events.expect([]string{"web", `d"b\`}, noon)
	nodes := &record.Record{}
	ended := recorded(func(e event.Event) {
		nodes.Add(e)
		events.tell(e, nodes.Node(e.Node))
	})
	events.Summary(ended)
	if !events.Close(t.Context()) {
		t.Fatal("not everything was written")
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		var e struct {
			Event, Node, Step, Status, Text, Error string
			Time                                   time.Time
			Done, Total                            int
			Result                                 *resultJSON
			Counts                                 map[string]int
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Time.Before(noon) {
			t.Fatalf("%q: %v", line, err)
		}
		text := strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s %s %s", e.Event, e.Node, e.Step, e.Status, e.Text, e.Error)), " ")
		if e.Total > 0 {
			text += fmt.Sprintf(" %d/%d", e.Done, e.Total)
		}
		if e.Result != nil {
			text += fmt.Sprintf(" with %d steps", len(e.Result.Steps))
		}
		if e.Counts != nil {
			text += fmt.Sprintf(" %v", e.Counts)
		}
		got = append(got, text)
	}
	want := `run
nodes
message web look
done web evaluate succeeded
done d"b\ evaluate succeeded
begin d"b\ build running building it
output d"b\ build running cc
done d"b\ build failed builder failed: no luck
end d"b\ build failed builder failed: no luck with 1 steps
wait web push waiting a free slot
begin web push running
progress web push running 7/10
warning web push running slow
done web push succeeded
end web succeeded with 1 steps
summary failed map[cancelled:0 failed:1 left:0 skipped:0 succeeded:1]`
	if all := strings.Join(got, "\n"); all != want {
		t.Errorf("got\n%s\nwant\n%s", all, want)
	}
	if strings.Contains(out.String(), "hunter2") || strings.Contains(out.String(), "looks for a fault") {
		t.Error("what is for the terminal alone is told")
	}
}

func TestNodesThatWereLeftHaveAnEndAllTheSame(t *testing.T) {
	var out bytes.Buffer
	r := &record.Record{Goal: hive.Switch, Begin: noon}
	events := NewEvents(&out, r)
	r.Expect([]string{"changing", "waiting"}, noon)
	r.Add(event.Event{Time: noon, Node: "changing", Step: plan.Activate, Kind: event.Begin})
	r.Close(noon.Add(time.Second), record.Interrupted, nil)
	events.Summary(r)
	events.Close(t.Context())
	for _, want := range []string{`"event":"end",.*"node":"changing"`, `"left":1`, `"cancelled":1`, `"status":"interrupted"`} {
		want, _, _ = strings.Cut(want, ".*")
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s\nlacks %s", out.String(), want)
		}
	}
	if n := strings.Count(out.String(), `"event":"end"`); n != 2 {
		t.Errorf("%d nodes ended", n)
	}
}

// Hosts print faster than anybody reads: they go on, and what is missing is counted.
func TestNobodyWaitsForWhoReadsEvents(t *testing.T) {
	r, w := io.Pipe()
	events := NewEvents(w, &record.Record{})
	const lines = 10_000
	output := event.Event{Node: "web", Step: plan.Build, Kind: event.Output, Text: strings.Repeat("x", 1000)}
	for range lines {
		events.tell(output, nil)
	}
	events.tell(event.Event{Node: "web", Step: plan.Build, Kind: event.Note, Text: "the end"}, nil)
	read := make(chan []byte)
	go func() {
		text, _ := io.ReadAll(r)
		read <- text
	}()
	if !events.Close(t.Context()) {
		t.Fatal("not everything was written")
	}
	w.Close()
	text := string(<-read)
	var lost struct {
		Event string
		Lines int
	}
	shown, whole := strings.Count(text, `"event":"output"`), false
	for line := range strings.Lines(text) {
		if strings.Contains(line, `"event":"lost"`) {
			if err := json.Unmarshal([]byte(line), &lost); err != nil {
				t.Fatal(err)
			}
		}
		whole = strings.Contains(line, "the end")
	}
	if lost.Lines == 0 || shown+lost.Lines != lines || !whole {
		t.Errorf("%d shown, %d lost of %d; the last is whole: %t", shown, lost.Lines, lines, whole)
	}
}
