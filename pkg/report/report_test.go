package report

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/printable"
	"github.com/colmena-go/colmena-go/pkg/record"
	"github.com/colmena-go/colmena-go/pkg/view"
)

// printed is what a Terminal wrote.
func printed(t *testing.T, print func(*Terminal)) string {
	t.Helper()
	var out bytes.Buffer
	screen := NewTerminal(&out)
	print(screen)
	if !screen.Close(t.Context()) {
		t.Fatal("not everything was written")
	}
	return out.String()
}

// nodesOf a deployment whose names differ in length.
var nodesOf = []string{"web", "mail-1"}

func events() []event.Event {
	return []event.Event{
		{Node: "web", Step: plan.Build, Kind: event.Begin, Text: "building it"},
		{Node: "web", Step: plan.Build, Kind: event.Output, Text: "cc -o it"},
		{Node: "mail-1", Step: plan.Connect, Kind: event.Note, Text: "a new host key"},
		{Node: "web", Step: plan.Build, Kind: event.Warn, Text: "disk is nearly full"},
		{Node: "mail-1", Step: plan.Connect, Kind: event.End, Text: "failed: two things:\nthis\nthat",
			Result: &event.Result{Node: "mail-1", Status: event.Failed, Err: errors.New("two things:\nthis\nthat"), Elapsed: 1500 * time.Millisecond}},
		{Node: "web", Step: plan.Activate, Kind: event.End, Text: "switch done",
			Result: &event.Result{Node: "web", Status: event.Succeeded, Elapsed: 2 * time.Second}},
	}
}

func TestEveryLineHasItsNodeBeforeIt(t *testing.T) {
	for name, c := range map[string]struct {
		verbose bool
		style   Style
		want    string
	}{
		"what matters": {want: "" +
			"   web | building it\n" +
			"mail-1 | a new host key\n" +
			"   web | warning: disk is nearly full\n" +
			"mail-1 | failed: two things:\n" +
			"mail-1 | this\n" +
			"mail-1 | that\n" +
			"   web | switch done\n"},
		"verbose": {verbose: true, want: "" +
			"   web | building it\n" +
			"   web | cc -o it\n" +
			"mail-1 | a new host key\n" +
			"   web | warning: disk is nearly full\n" +
			"mail-1 | failed: two things:\n" +
			"mail-1 | this\n" +
			"mail-1 | that\n" +
			"   web | switch done\n"},
		"with colour": {style: true, want: "" +
			"\x1b[36m   web\x1b[0m | building it\n" +
			"\x1b[36mmail-1\x1b[0m | a new host key\n" +
			"\x1b[36m   web\x1b[0m | \x1b[33mwarning: disk is nearly full\x1b[0m\n" +
			"\x1b[36mmail-1\x1b[0m | \x1b[31mfailed: two things:\x1b[0m\n" +
			"\x1b[36mmail-1\x1b[0m | \x1b[31mthis\x1b[0m\n" +
			"\x1b[36mmail-1\x1b[0m | \x1b[31mthat\x1b[0m\n" +
			"\x1b[36m   web\x1b[0m | \x1b[32mswitch done\x1b[0m\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got := printed(t, func(screen *Terminal) {
				plain := NewPlain(screen, c.verbose, c.style)
				plain.Expect(nodesOf)
				for _, e := range events() {
					plain.Emit(e)
				}
			})
			if got != c.want {
				t.Errorf("printed\n%q\nwant\n%q", got, c.want)
			}
		})
	}
}

// A dry activation is run for what it prints, and not for what is built and copied before.
func TestOfOneStepAllCanBeTold(t *testing.T) {
	got := printed(t, func(screen *Terminal) {
		sink := NewSink(View{Screen: screen, Told: plan.Activate})
		sink.Emit(event.Event{Node: "web", Step: plan.Push, Kind: event.Output, Text: "copying path"})
		sink.Emit(event.Event{Node: "web", Step: plan.Activate, Kind: event.Output, Text: "would restart nginx"})
	})
	if want := "web | would restart nginx\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestARunMakesRoomForTheNamesItExpects(t *testing.T) {
	got := printed(t, func(screen *Terminal) {
		run := NewRun(View{Screen: screen}, &record.Record{Goal: hive.Switch})
		run.Emit(event.Event{Kind: event.Diagnostic, Text: `{"level":"info","message":"evaluating"}`})
		run.Expect(nodesOf)
		run.Emit(events()[0])
	})
	if want := "INF evaluating\n   web | building it\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestWideNamesStandInTheirColumns(t *testing.T) {
	got := printed(t, func(screen *Terminal) {
		plain := NewPlain(screen, false, false)
		plain.Expect([]string{"鍵鍵", "db"})
		plain.Emit(event.Event{Node: "鍵鍵", Step: plan.Build, Kind: event.Begin, Text: "building"})
		plain.Emit(event.Event{Node: "db", Step: plan.Build, Kind: event.Begin, Text: "building"})
	})
	if want := "鍵鍵 | building\n  db | building\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	list := []event.Result{{Node: "鍵鍵", Status: event.Succeeded}, {Node: "web", Status: event.Succeeded}}
	if got, want := tabled(list), "NODE  RESULT     KEYS  TIME\n鍵鍵  succeeded  -     0s\nweb   succeeded  -     0s\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestLinesOfDifferentNodesNeverMix(t *testing.T) {
	out := printed(t, func(screen *Terminal) {
		plain := NewPlain(screen, true, false)
		plain.Expect(nodesOf)
		var all sync.WaitGroup
		for _, node := range nodesOf {
			all.Go(func() {
				for range 200 {
					plain.Emit(event.Event{Node: node, Kind: event.Output, Text: "one\ntwo"})
				}
			})
		}
		all.Wait()
	})
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(lines) != 800 {
		t.Fatalf("%d lines, want 800", len(lines))
	}
	for i := 0; i < len(lines); i += 2 {
		first, one, _ := strings.Cut(lines[i], " | ")
		second, two, _ := strings.Cut(lines[i+1], " | ")
		if first != second || one != "one" || two != "two" {
			t.Fatalf("%q is followed by %q", lines[i], lines[i+1])
		}
	}
}

func TestAHostHasNoPowerOverTheTerminal(t *testing.T) {
	for text, want := range map[string]string{
		"\x1b[31mred\x1b[0m":                   "red",
		"\x1b]0;title\x07text":                 "text",
		"\x1b]52;c;ZXZpbA==\x1b\\text":         "text",
		"\x1bPq#0\x1b\\text":                   "text",
		"\x1b(Btext":                           "text",
		"\x1b":                                 "",
		"\u009b31mtext":                        "31mtext",
		"over\rwritten":                        "overwritten",
		"bell\a and\bback":                     "bell andback",
		"tab\there":                            "tab here",
		"not \xff UTF-8":                       "not � UTF-8",
		"right \u202e to left":                 "right  to left",
		"un\u200bseen\u2066\ufe0f\u3164\u2800": "unseen",
		"ünïcödé 漢字":                           "ünïcödé 漢字",
		"two\nlines":                           "two\nlines",
	} {
		if got := printable.Text(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

func TestResultsAsJSONKeepTheirForm(t *testing.T) {
	var out bytes.Buffer
	noon := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	run := &record.Record{Command: "apply", Goal: hive.Switch, Begin: noon}
	run.Expect([]string{"web"}, noon)
	for _, e := range []event.Event{
		{Step: plan.Evaluate, Kind: event.Over, Status: event.Succeeded},
		{Step: plan.Push, Kind: event.Wait},
		{Step: plan.Push, Kind: event.Begin},
		{Step: plan.Push, Kind: event.Progress, Done: 10, Total: 10, Paths: 2},
	} {
		noon = noon.Add(time.Second)
		e.Time, e.Node = noon, "web"
		run.Add(e)
	}
	if err := JSON(&out, run, results()[:2], noon); err != nil {
		t.Fatal(err)
	}
	want := `{
  "version": 1,
  "command": "apply",
  "goal": "switch",
  "begin": "2026-11-27T12:00:00.000Z",
  "seconds": 4,
  "results": [
    {
      "node": "web",
      "goal": "switch",
      "status": "succeeded",
      "toplevel": "/nix/store/w",
      "rebootNeeded": false,
      "rebooted": false,
      "keys": [
        {
          "name": "a",
          "path": "/run/keys/a",
          "change": "changed"
        },
        {
          "name": "b",
          "path": "/run/keys/b",
          "change": "unchanged"
        },
        {
          "name": "c",
          "path": "/run/keys/c",
          "change": "unchanged"
        },
        {
          "name": "d",
          "path": "/run/keys/d",
          "change": "mended",
          "note": "a note"
        }
      ],
      "seconds": 3.21,
      "bytes": 10,
      "builds": 0,
      "steps": [
        {
          "step": "evaluate",
          "status": "succeeded",
          "begin": "2026-11-27T12:00:00.000Z",
          "seconds": 1
        },
        {
          "step": "push",
          "status": "running",
          "begin": "2026-11-27T12:00:02.000Z",
          "waited": 1,
          "seconds": 1,
          "bytes": 10,
          "paths": 2
        }
      ]
    },
    {
      "node": "db",
      "goal": "switch",
      "status": "failed",
      "step": "activate",
      "error": "it broke",
      "rebootNeeded": false,
      "rebooted": false,
      "keys": [],
      "output": [
        "starting",
        "\u001b[31mno\u001b[0m"
      ],
      "seconds": 1,
      "bytes": 0,
      "builds": 0,
      "steps": []
    }
  ]
}
`
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
}

// closed is a Logbook that says how long it was given.
type closed struct {
	events []event.Event
	limit  time.Duration
}

func (c *closed) Emit(e event.Event)        { c.events = append(c.events, e) }
func (*closed) Path(string) string          { return "" }
func (c *closed) Close(limit time.Duration) { c.limit = limit }

// The program ends then: what was said last is what matters of a log.
func TestWhoLeavesHasTheLogWritten(t *testing.T) {
	log := &closed{}
	printed(t, func(s *Terminal) {
		r := NewRun(View{Screen: s}, &record.Record{Goal: hive.Switch})
		r.Keep(log)
		r.Leave()
	})
	if log.limit != longestFlush {
		t.Errorf("it has %s", log.limit)
	}
}

func TestWhatOnlyLooksReachesNoHost(t *testing.T) {
	printed(t, func(s *Terminal) {
		for goal, want := range map[hive.Goal]bool{hive.Switch: true, hive.Keys: true, hive.Build: false} {
			r := NewRun(View{Screen: s}, &record.Record{Goal: goal})
			if got := r.Now().ReachesHosts(); got != want {
				t.Errorf("%s: %v", goal, got)
			}
			r.Rehearse(&record.Record{Goal: goal})
			if r.Now().ReachesHosts() || NewRun(View{Screen: s, Dry: true}, &record.Record{Goal: goal}).Now().ReachesHosts() {
				t.Errorf("a plan of %s is said to change hosts", goal)
			}
		}
	})
}

func TestWhatPeopleAgreedToIsRecorded(t *testing.T) {
	printed(t, func(s *Terminal) {
		r := NewRun(View{Screen: s}, &record.Record{Goal: hive.Switch})
		r.Expect([]string{"web", "db"})
		r.Agreed(map[string]*plan.Outlook{"web": {Brings: "/nix/store/new"}, "gone": {}})
		got := r.Record()
		if web := got.Node("web").Outlook; web == nil || web.Brings != "/nix/store/new" || got.Node("db").Outlook != nil || got.Node("gone") != nil {
			t.Errorf("%+v", web)
		}
	})
}

// What is built and asked for before people agree is seen and kept as all else; documents
// tell of what was done then.
func TestARehearsalIsSeenAndKeptAndNotDocumented(t *testing.T) {
	log := &closed{}
	got := printed(t, func(s *Terminal) {
		r := NewRun(View{Screen: s, Verbose: true}, &record.Record{Command: "apply", Goal: hive.Switch})
		r.Keep(log)
		r.Rehearse(&record.Record{Command: "plan", Goal: hive.Switch})
		r.Expect([]string{"web"})
		for _, e := range []event.Event{
			{Node: "web", Step: plan.Build, Kind: event.Begin, Text: "building"},
			{Step: plan.Build, Kind: event.Building, Builds: &event.Builds{Expected: 7}},
			{Node: "web", Step: plan.Build, Kind: event.Output, Text: "cc"},
			{Node: "web", Step: plan.Resolve, Kind: event.Begin},
			{Node: "web", Step: plan.Resolve, Kind: event.Progress, Text: "vault read secret"},
			{Kind: event.Diagnostic, Text: `{"level":"warn","message":"of the run"}`},
		} {
			e.Time = time.Now()
			r.Emit(e)
		}
		picture := strings.Join(r.Lines(view.Size{Columns: 80, Rows: 24}, time.Now()), "\n")
		for _, want := range []string{"plan", "vault read secret", "/7"} {
			if !strings.Contains(picture, want) {
				t.Errorf("%s is not in the picture\n%s", want, picture)
			}
		}
		r.End(nil)
		r.Perform()
		if got := r.Record(); got.Command != "apply" || len(got.Nodes) != 0 || got.Builds != nil || len(got.Said) != 1 {
			t.Errorf("it is recorded: %+v", got)
		}
		r.End([]event.Result{{Node: "web", Status: event.Succeeded}})
	})
	if len(log.events) != 6 {
		t.Errorf("kept: %v", log.events)
	}
	if !strings.Contains(got, "web | cc") || strings.Count(got, "succeeded") == 0 {
		t.Error(got)
	}
}
