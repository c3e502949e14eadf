package report

import (
	"errors"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/record"
)

func succeeded(goal hive.Goal, changed ...func(*event.Result)) event.Result {
	r := event.Result{Node: "web", Goal: goal, Status: event.Succeeded}
	for _, change := range changed {
		change(&r)
	}
	return r
}

func key(change plan.Change) func(*event.Result) {
	return func(r *event.Result) { r.Keys = append(r.Keys, event.KeyResult{Name: "k", Change: change}) }
}

func TestWhatChangedIsToldInALine(t *testing.T) {
	replaced := func(r *event.Result) { r.Replaced = true }
	rebooted := func(r *event.Result) { r.Rebooted = true }
	wanting := func(r *event.Result) { r.RebootNeeded = true }
	for name, c := range map[string]struct {
		results []event.Result
		want    string
	}{
		"systems and keys": {[]event.Result{succeeded(hive.Switch, replaced, key(plan.Changed), key(plan.Changed), key(plan.Unchanged)), succeeded(hive.Switch, replaced, key(plan.Mended))},
			"2 systems switched, 2 keys changed, 1 key mended"},
		"nothing":                {[]event.Result{succeeded(hive.Switch, key(plan.Unchanged))}, "nothing changed"},
		"reboots":                {[]event.Result{succeeded(hive.Boot, replaced, rebooted), succeeded(hive.Boot, wanting)}, "1 system set for the next boot, 1 host rebooted, 1 host wants a reboot"},
		"no more than a wish":    {[]event.Result{succeeded(hive.Switch, wanting), succeeded(hive.Switch, wanting)}, "nothing changed, 2 hosts want a reboot"},
		"keys alone":             {[]event.Result{succeeded(hive.Keys, key(plan.Changed))}, "1 key changed"},
		"a goal without changes": {[]event.Result{succeeded(hive.Build), succeeded(hive.Push), succeeded(hive.DryActivate)}, ""},
		"a failure is no change": {[]event.Result{{Goal: hive.Switch, Status: event.Failed, Replaced: true}}, ""},
	} {
		if got := changes(c.results); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestARunThatWasWatchedEndsWithALineAndWhatNeedsALook(t *testing.T) {
	list := results()
	list[0].Replaced = true
	for name, c := range map[string]struct {
		results []event.Result
		want    string
	}{
		"all went well": {[]event.Result{list[0]}, `✓ 1 of 1 nodes succeeded in 1:32: 1 system switched, 1 key changed, 1 key mended
`},
		"some did not": {list, `2 of 5 nodes succeeded in 1:32: 1 system switched, 1 key changed, 1 key mended, 1 host wants a reboot

NODE  RESULT         KEYS  TIME
gate  reboot needed  -     0s
late  cancelled      -     0s

db: failed (activate):
  it broke
  the last output of activate on db:
  | starting
  | no

1 failed, 1 skipped, 1 cancelled
again: colmena-go apply --on db,late
`},
		"none did": {list[1:2], `
db: failed (activate):
  it broke
  the last output of activate on db:
  | starting
  | no

0 of 1 nodes succeeded, 1 failed
again: colmena-go apply --on db
`},
	} {
		if got := closing(c.results, View{Again: again, Live: true}, 92*time.Second); got != c.want {
			t.Errorf("%s: told\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

func TestQuietTellsOnlyWhatWentWrong(t *testing.T) {
	emit := func(screen *Terminal, list []event.Result) {
		run := NewRun(View{Screen: screen, Quiet: true, Verbose: true, Again: again}, &record.Record{Goal: hive.Switch})
		for _, r := range list {
			run.Expect([]string{r.Node})
			for kind, text := range map[event.Kind]string{event.Begin: "begins", event.Output: "output", event.Note: "noted", event.Still: "still"} {
				run.Emit(event.Event{Node: r.Node, Kind: kind, Text: text})
			}
			run.Emit(event.Event{Node: r.Node, Kind: event.End, Text: string(r.Status), Result: &r})
		}
		run.End(list)
	}
	well := []event.Result{{Node: "a", Status: event.Succeeded}, {Node: "b", Status: event.Skipped}}
	if got := printed(t, func(screen *Terminal) { emit(screen, well) }); got != "" {
		t.Errorf("all went well, and told\n%s", got)
	}
	badly := append(well, event.Result{Node: "c", Status: event.Failed, Step: plan.Connect, Err: errors.New("it broke")})
	want := "c | failed\n\nc: failed (connect):\n  it broke\n\n1 of 3 nodes succeeded, 1 failed, 1 skipped\nagain: colmena-go apply --on c\n"
	if got := printed(t, func(screen *Terminal) { emit(screen, badly) }); got != want {
		t.Errorf("told\n%s\nwant\n%s", got, want)
	}
}

func TestLinesTellHowLongTheRunHadLasted(t *testing.T) {
	begin := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	got := printed(t, func(screen *Terminal) {
		sink := NewSink(View{Screen: screen, Begin: begin})
		sink.Emit(event.Event{Time: begin.Add(300 * time.Millisecond), Node: "web", Kind: event.Note, Text: "one\ntwo"})
		sink.Emit(event.Event{Time: begin.Add(12345 * time.Millisecond), Kind: event.Diagnostic, Text: `{"level":"info","message":"evaluating"}`})
		sink.Emit(event.Event{Time: begin.Add(2 * time.Hour), Node: "web", Kind: event.End, Text: "done"})
	})
	want := "+0.3s   web | one\n+0.3s   web | two\n+12.3s  INF evaluating\n+7200.0s web | done\n"
	if got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
}

func TestBesideALiveViewOnlyWhatItDoesNotShowIsALine(t *testing.T) {
	got := printed(t, func(screen *Terminal) {
		sink := NewSink(View{Screen: screen, Live: true, Begin: time.Now()})
		for _, e := range []event.Event{
			{Kind: event.Begin, Text: "copying"}, {Kind: event.Still, Text: "still copying"}, {Kind: event.Output, Text: "output"},
			{Kind: event.Note, Text: "copied 3 MB", Done: 3, Total: 3}, {Kind: event.Note, Text: "a reboot is needed"},
			{Kind: event.Warn, Text: "look"}, {Kind: event.Private, Text: "enter it"}, {Kind: event.End, Text: "done"},
		} {
			e.Node = "web"
			sink.Emit(e)
		}
	})
	if want := "web | a reboot is needed\nweb | warning: look\nweb | enter it\nweb | done\n"; got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
}
