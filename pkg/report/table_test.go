package report

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/record"
)

func results() []event.Result {
	return []event.Result{
		{Node: "web", Goal: hive.Switch, Status: event.Succeeded, Toplevel: "/nix/store/w", Elapsed: 3210 * time.Millisecond,
			Keys: []event.KeyResult{
				{Name: "a", Path: "/run/keys/a", Change: plan.Changed},
				{Name: "b", Path: "/run/keys/b", Change: plan.Unchanged},
				{Name: "c", Path: "/run/keys/c", Change: plan.Unchanged},
				{Name: "d", Path: "/run/keys/d", Change: plan.Mended, Note: "a note"},
			}},
		{Node: "db", Goal: hive.Switch, Status: event.Failed, Step: plan.Activate, Err: errors.New("it broke"),
			Tail: []string{"starting", "\x1b[31mno\x1b[0m"}, Elapsed: time.Second},
		{Node: "gate", Goal: hive.Switch, Status: event.Succeeded, RebootNeeded: true},
		{Node: "null", Goal: hive.Switch, Status: event.Skipped},
		{Node: "late", Goal: hive.Switch, Status: event.Cancelled, Err: errors.New("interrupted")},
	}
}

// newRun is a Run of a switch that ends with the results.
func newRun(view View, results []event.Result) *Run {
	run := NewRun(view, &record.Record{Goal: hive.Switch})
	for _, r := range results {
		run.Expect([]string{r.Node})
	}
	return run
}

func again(nodes []string) string { return "colmena-go apply --on " + strings.Join(nodes, ",") }

func TestTheTableTellsHowEveryNodeEnded(t *testing.T) {
	got := printed(t, func(screen *Terminal) {
		newRun(View{Screen: screen, Again: again}, results()).End(results())
	})
	want := `
NODE  RESULT             KEYS                              TIME
web   succeeded          1 changed, 1 mended, 2 unchanged  3.21s
gate  reboot needed      -                                 0s
null  skipped            -                                 0s
late  cancelled          -                                 0s
db    failed (activate)  -                                 1s

db: failed (activate):
  it broke
  the last output of activate on db:
  | starting
  | no

1 key changed, 1 key mended, 1 host wants a reboot
2 of 5 nodes succeeded, 1 failed, 1 skipped, 1 cancelled
again: colmena-go apply --on db,late
`
	if got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
}

// many results in which nodes fail for few reasons.
func many() []event.Result {
	var list []event.Result
	for i := range 20 {
		list = append(list, event.Result{Node: fmt.Sprintf("web-%02d", i), Host: fmt.Sprintf("192.0.2.%d", i+1), Status: event.Failed, Step: plan.Connect,
			Err: fmt.Errorf("cannot reach 192.0.2.%d:22: connection refused", i+1)})
	}
	return append(list,
		event.Result{Node: "db-1", Status: event.Failed, Step: plan.Build, Err: errors.New("2 problems:\n- one\n- two"), Toplevel: "/nix/store/db-1"},
		event.Result{Node: "db-2", Status: event.Failed, Step: plan.Build, Err: errors.New("2 problems:\n- one\n- two"), Toplevel: "/nix/store/db-2"},
		event.Result{Node: "ok", Status: event.Succeeded},
	)
}

func TestEachReasonIsShownOnceWithTheNodesThatShareIt(t *testing.T) {
	list := many()
	got := reasons(list, View{})
	want := `
db-1 and db-2: failed (build):
  2 problems:
  - one
  - two

web-00, web-01, web-02 and 17 more: failed (connect):
  cannot reach 192.0.2.1:22: connection refused
  (as web-00 says it; the others differ only in names, addresses and hashes)

`
	if got != want {
		t.Errorf("shown\n%s\nwant\n%s", got, want)
	}
}

func TestOutputThatAReasonRepeatsIsShownOnce(t *testing.T) {
	got := reasons([]event.Result{{Node: "a", Status: event.Failed, Step: plan.Cache,
		Err:  errors.New("copying to the cache file:///x:\n  creating /x: denied\n  try again"),
		Tail: []string{"copying 3 paths...", "error: creating /x: denied", "       try again"}}}, View{})
	if strings.Count(got, "creating /x: denied") != 1 || strings.Count(got, "try again") != 1 || !strings.Contains(got, "| copying 3 paths...") {
		t.Errorf("shown\n%s", got)
	}
}

func TestReasonsThatDifferInMoreThanTheNodesOwnNameAreTold(t *testing.T) {
	for name, texts := range map[string][2]string{
		"another host":         {"no route to 192.0.2.1", "no route to 192.0.2.9"},
		"another's name":       {"node b is in the way", "node c is in the way"},
		"part of another word": {"a-key is missing", "b-key is missing"},
		"what the user wrote":  {`node "a": keyFile is "keys/a": no`, `node "b": keyFile is "keys/b": no`},
		"another's address":    {`is "192.0.2.1:22"`, `is "192.0.2.2:22"`},
	} {
		list := []event.Result{
			{Node: "a", Host: "192.0.2.1", Status: event.Failed, Err: errors.New(texts[0])},
			{Node: "b", Host: "192.0.2.2", Status: event.Failed, Err: errors.New(texts[1])},
		}
		if got := grouped(list); len(got) != 2 {
			t.Errorf("%s: %q and %q count as one", name, texts[0], texts[1])
		}
	}
}

func TestTheSameWordsInAnotherStepAreAnotherReason(t *testing.T) {
	list := []event.Result{
		{Node: "a", Status: event.Failed, Step: plan.Connect, Err: errors.New("timed out")},
		{Node: "b", Status: event.Failed, Step: plan.Push, Err: errors.New("timed out")},
	}
	got := reasons(list, View{})
	for _, says := range []string{"a: failed (connect)", "b: failed (push)"} {
		if !strings.Contains(got, says) {
			t.Errorf("%s\ndoes not say %q", got, says)
		}
	}
}

func TestBuildsOfManyNodesThatFailAlikeAreOneReason(t *testing.T) {
	failed := func(node, hash, of string) event.Result {
		return event.Result{Node: node, Status: event.Failed, Step: plan.Build, Err: fmt.Errorf(
			"builder for '/nix/store/%s-nixos-system-%s-26.05.drv' failed\nall of it: nix log /nix/store/%[1]s-nixos-system-%[2]s-26.05.drv", strings.Repeat(hash, 32), of)}
	}
	list := []event.Result{failed("web-1", "a", "web-1"), failed("web-2", "b", "web-2"), failed("web-3", "c", "web-2")}
	groups := grouped(list)
	if len(groups) != 2 || and(groups[1].nodes) != "web-1 and web-2" {
		t.Errorf("%d reasons, of which the last is that of %v", len(groups), groups[len(groups)-1].nodes)
	}
}

func TestLongReasonsAndOutputAreBounded(t *testing.T) {
	list := []event.Result{{Node: "a", Status: event.Failed, Step: plan.Build,
		Err:  errors.New(strings.Repeat("x\n", 1000)),
		Tail: append(make([]string, 1000), strings.Repeat("é", 1<<20))}}
	got := reasons(list, View{})
	if lines := strings.Count(got, "\n"); lines > 100 || len(got) > 8000 || !strings.Contains(got, "… 976 more lines, above") {
		t.Errorf("%d lines, %d bytes", lines, len(got))
	}
}

func TestWhoLeavesBeforeTheEndIsToldWhatIsKnown(t *testing.T) {
	list := results()
	got := printed(t, func(screen *Terminal) {
		run := newRun(View{Screen: screen, Again: again}, list)
		run.Now().add(event.Event{Node: "web", Kind: event.End, Result: &list[0]})
		run.Now().add(event.Event{Node: "db", Step: plan.Activate, Kind: event.Begin})
		run.Now().add(event.Event{Node: "gate", Step: plan.Activate, Kind: event.Begin})
		run.Now().add(event.Event{Node: "null", Step: plan.Build, Kind: event.Begin})
		if got, want := run.Now().Waiting(), "db and gate (activating), null (building), late (being evaluated)"; got != want {
			t.Errorf("waiting for %q, want %q", got, want)
		}
		run.Leave()
		run.End(list) // which nobody needs any more
	})
	want := `
quit early; results so far:
NODE  RESULT             KEYS                              TIME
web   succeeded          1 changed, 1 mended, 2 unchanged  3.21s
null  cancelled          -                                 0s
late  cancelled          -                                 0s
db    left (activating)  -                                 0s
gate  left (activating)  -                                 0s
1 key changed, 1 key mended
1 of 5 nodes succeeded, 2 cancelled, 2 left
again: colmena-go apply --on db,gate,late,null
`
	if got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
}

func TestWhoLeavesHostsThatRebootIsNotToldToRebootThemAgain(t *testing.T) {
	got := printed(t, func(screen *Terminal) {
		run := NewRun(View{Screen: screen, Again: again}, &record.Record{Goal: hive.Reboot})
		run.Expect([]string{"down", "going", "up"})
		run.Emit(event.Event{Node: "down", Step: plan.Await, Kind: event.Begin})
		run.Emit(event.Event{Node: "going", Step: plan.Reboot, Kind: event.Begin})
		run.Emit(event.Event{Node: "up", Step: plan.Connect, Kind: event.Begin})
		if got, want := run.Now().Waiting(), "down and going (rebooting), up (connecting)"; got != want {
			t.Errorf("waiting for %q, want %q", got, want)
		}
		if run.Now().Activating() {
			t.Error("an activation runs")
		}
		run.Emit(event.Event{Node: "up", Step: plan.Activate, Kind: event.Begin})
		if !run.Now().Activating() {
			t.Error("no activation runs")
		}
		run.Emit(event.Event{Node: "up", Step: plan.Connect, Kind: event.Begin})
		run.Leave()
	})
	if !strings.Contains(got, "down   left (rebooting)") || !strings.HasSuffix(got, "again: colmena-go apply --on up\n") {
		t.Errorf("printed\n%s", got)
	}
}

func TestEveryStepHasWordsForPeople(t *testing.T) {
	for _, step := range plan.StepKinds {
		if doing[step] == "" {
			t.Errorf("%s has none", step)
		}
	}
}

func TestANodesNameIsNoMoreThanAName(t *testing.T) {
	for name, want := range map[string]string{
		"web-1": "web-1", "db.example": "db.example", "größe": "größe",
		"a\nb | switch done": `"a\nb | switch done"`, "a\x1b[2J": `"a\x1b[2J"`, "web-1\u200b": `"web-1\u200b"`, "a b": `"a b"`, "": `""`,
	} {
		if got := label(name); got != want {
			t.Errorf("%q is shown as %s, want %s", name, got, want)
		}
	}
	evil := []event.Result{{Node: "evil\nweb | switch done", Status: event.Succeeded}}
	got := printed(t, func(screen *Terminal) {
		run := newRun(View{Screen: screen}, evil)
		run.Emit(event.Event{Node: evil[0].Node, Kind: event.Note, Text: "x"})
		run.End(evil)
	})
	for line := range strings.Lines(got) {
		if strings.HasPrefix(line, "web") {
			t.Errorf("a line was forged:\n%s", got)
		}
	}
}

// No file is named that does not have what was said.
func TestAFailureNamesTheFileThatHasAllOfIt(t *testing.T) {
	for path, want := range map[string]string{
		"/state/node-a.log": "\na: failed (build):\n  it broke\n  full log: /state/node-a.log\n\n",
		"":                  "\na: failed (build):\n  it broke\n  what was said is not kept: its log cannot be written (see XDG_STATE_HOME)\n\n",
	} {
		got := reasons([]event.Result{{Node: "a", Status: event.Failed, Step: plan.Build, Err: errors.New("it broke")}}, View{logOf: func(string) string { return path }})
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
