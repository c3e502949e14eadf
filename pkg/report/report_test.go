package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/colmena-go/colmena-go/pkg/deploy"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// nodesOf a deployment whose names differ in length.
var nodesOf = []string{"web", "mail-1"}

func events() []deploy.Event {
	return []deploy.Event{
		{Node: "web", Step: deploy.StepBuild, Kind: deploy.EventBegin, Text: "building it"},
		{Node: "web", Step: deploy.StepBuild, Kind: deploy.EventOutput, Text: "cc -o it"},
		{Node: "mail-1", Step: deploy.StepDial, Kind: deploy.EventNote, Text: "a new host key"},
		{Node: "web", Step: deploy.StepBuild, Kind: deploy.EventWarn, Text: "disk is nearly full"},
		{Node: "mail-1", Step: deploy.StepDial, Kind: deploy.EventEnd, Text: "failed: two things:\nthis\nthat", Status: deploy.Failed},
		{Node: "web", Step: deploy.StepActivate, Kind: deploy.EventEnd, Text: "switch done"},
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
			var out bytes.Buffer
			plain := NewPlain(&out, nodesOf, c.verbose, c.style)
			for _, e := range events() {
				plain.Emit(e)
			}
			if out.String() != c.want {
				t.Errorf("printed\n%q\nwant\n%q", out.String(), c.want)
			}
		})
	}
}

func TestLinesOfDifferentNodesNeverMix(t *testing.T) {
	var out bytes.Buffer
	plain := NewPlain(&out, nodesOf, true, false)
	var all sync.WaitGroup
	for _, node := range nodesOf {
		all.Go(func() {
			for range 200 {
				plain.Emit(deploy.Event{Node: node, Kind: deploy.EventOutput, Text: "one\ntwo"})
			}
		})
	}
	all.Wait()
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
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
		"\x1b[31mred\x1b[0m":           "red",
		"\x1b]0;title\x07text":         "text",
		"\x1b]52;c;ZXZpbA==\x1b\\text": "text",
		"\x1bPq#0\x1b\\text":           "text",
		"\x1b(Btext":                   "text",
		"\x1b":                         "",
		"\u009b31mtext":                "31mtext",
		"over\rwritten":                "overwritten",
		"bell\a and\bback":             "bell andback",
		"tab\there":                    "tab here",
		"not \xff UTF-8":               "not � UTF-8",
		"right \u202e to left":         "right  to left",
		"ünïcödé 漢字":                   "ünïcödé 漢字",
		"two\nlines":                   "two\nlines",
	} {
		if got := printable(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

func results() []deploy.Result {
	return []deploy.Result{
		{Node: "web", Goal: hive.Switch, Status: deploy.Succeeded, Toplevel: "/nix/store/w", Elapsed: 3210 * time.Millisecond,
			Keys: []deploy.KeyResult{
				{Name: "a", Path: "/run/keys/a", Change: plan.Changed},
				{Name: "b", Path: "/run/keys/b", Change: plan.Unchanged},
				{Name: "c", Path: "/run/keys/c", Change: plan.Unchanged},
				{Name: "d", Path: "/run/keys/d", Change: plan.Mended, Note: "a note"},
			}},
		{Node: "db", Goal: hive.Switch, Status: deploy.Failed, Step: deploy.StepActivate, Err: errors.New("it broke"),
			Tail: []string{"starting", "\x1b[31mno\x1b[0m"}, Elapsed: time.Second},
		{Node: "gate", Goal: hive.Switch, Status: deploy.Succeeded, RebootNeeded: true},
		{Node: "null", Goal: hive.Switch, Status: deploy.SkippedNode},
		{Node: "late", Goal: hive.Switch, Status: deploy.Cancelled, Err: errors.New("interrupted")},
	}
}

func TestTheTableTellsHowEveryNodeEnded(t *testing.T) {
	var out bytes.Buffer
	Table(&out, results(), false)
	want := `
db: the last output of activate:
  starting
  no

NODE  RESULT             KEYS                              TIME
web   succeeded          1 changed, 1 mended, 2 unchanged  3.21s
db    failed (activate)  -                                 1s
gate  reboot needed      -                                 0s
null  skipped            -                                 0s
late  cancelled          -                                 0s
2 of 5 nodes succeeded, 1 failed, 1 skipped, 1 cancelled
`
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
}

func TestResultsAsJSONKeepTheirForm(t *testing.T) {
	var out bytes.Buffer
	if err := JSON(&out, results()[:2]); err != nil {
		t.Fatal(err)
	}
	want := `{
  "results": [
    {
      "node": "web",
      "goal": "switch",
      "status": "succeeded",
      "toplevel": "/nix/store/w",
      "rebootNeeded": false,
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
      "seconds": 3.21
    },
    {
      "node": "db",
      "goal": "switch",
      "status": "failed",
      "step": "activate",
      "error": "it broke",
      "rebootNeeded": false,
      "keys": [],
      "seconds": 1
    }
  ]
}
`
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
}

func TestALogHasOneEntryForEachEvent(t *testing.T) {
	var out bytes.Buffer
	log := NewLog(zerolog.New(&out), true)
	for _, e := range events() {
		log.Emit(e)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != len(events()) {
		t.Fatalf("%d entries for %d events", len(lines), len(events()))
	}
	for i, line := range lines {
		var entry struct{ Level, Node, Step, Event, Message string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if e := events()[i]; entry.Node != e.Node || entry.Step != string(e.Step) || entry.Event == "" || entry.Message != e.Text {
			t.Errorf("%q does not tell of %+v", line, e)
		}
	}
	out.Reset()
	for _, verbose := range []bool{false, true} {
		NewLog(zerolog.New(&out), verbose).Emit(deploy.Event{Node: "web", Kind: deploy.EventPrivate, Text: "s3cret"})
	}
	if out.Len() > 0 {
		t.Errorf("a line for the terminal alone is logged: %q", out.String())
	}
	NewLog(zerolog.New(&out), false).Emit(events()[1])
	if out.Len() > 0 {
		t.Errorf("without verbose, output is logged: %q", out.String())
	}
}
