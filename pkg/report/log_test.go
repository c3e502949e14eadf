package report

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/colmena-go/colmena-go/pkg/event"
)

// entry is a line of the log.
type entry struct {
	Level, Node, Step, Event, Message, Status, Error, Time string

	Seconds                                            float64
	Nodes, Succeeded, Failed, Skipped, Cancelled, Left int
}

// entries reads what was logged.
func entries(t *testing.T, print func(*Terminal)) []entry {
	t.Helper()
	text := printed(t, func(screen *Terminal) {
		screen.UseJSON()
		print(screen)
	})
	var list []entry
	for line := range strings.Lines(text) {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if e.Time == "" || e.Level == "" {
			t.Errorf("%q has no time or level", line)
		}
		list = append(list, e)
	}
	return list
}

func TestALogHasOneEntryForEachEvent(t *testing.T) {
	list := entries(t, func(screen *Terminal) {
		log := NewLog(screen, true)
		for _, e := range events() {
			log.Emit(e)
		}
	})
	if len(list) != len(events()) {
		t.Fatalf("%d entries for %d events", len(list), len(events()))
	}
	for i, got := range list {
		if e := events()[i]; got.Node != e.Node || got.Step != string(e.Step) || got.Event == "" || got.Message != e.Text {
			t.Errorf("%+v does not tell of %+v", got, e)
		}
	}
	for _, verbose := range []bool{false, true} {
		private := event.Event{Node: "web", Kind: event.Private, Text: "s3cret"}
		if list := entries(t, func(screen *Terminal) { NewLog(screen, verbose).Emit(private) }); len(list) > 0 {
			t.Errorf("a line for the terminal alone is logged: %+v", list)
		}
	}
	if quiet := entries(t, func(screen *Terminal) { NewLog(screen, false).Emit(events()[1]) }); len(quiet) > 0 {
		t.Errorf("without verbose, output is logged: %+v", quiet)
	}
}

func TestTheEndOfANodeTellsHowItEnded(t *testing.T) {
	list := entries(t, func(screen *Terminal) {
		log := NewLog(screen, false)
		for _, e := range events()[4:] {
			log.Emit(e)
		}
	})
	if e := list[0]; e.Level != "error" || e.Event != "end" || e.Status != "failed" || e.Error != "two things:\nthis\nthat" || e.Seconds != 1.5 {
		t.Errorf("a node that failed: %+v", e)
	}
	if e := list[1]; e.Level != "info" || e.Status != "succeeded" || e.Error != "" || e.Seconds != 2 {
		t.Errorf("a node that succeeded: %+v", e)
	}
}

func TestTheLastEntryOfADeploymentCountsItsNodes(t *testing.T) {
	list := entries(t, func(screen *Terminal) {
		newRun(View{Screen: screen}, results()).End(results())
	})
	e := list[len(list)-1]
	e.Time, e.Seconds = "", 0
	want := entry{Level: "error", Event: "summary", Nodes: 5, Succeeded: 2, Failed: 1, Skipped: 1, Cancelled: 1,
		Message: "2 of 5 nodes succeeded, 1 failed, 1 skipped, 1 cancelled"}
	if len(list) != 1 || e != want {
		t.Errorf("%+v\nwant %+v", list, want)
	}
	list = entries(t, func(screen *Terminal) { NewLog(screen, false).End(results()[:1], "", time.Second) })
	if e := list[0]; e.Level != "info" || e.Seconds != 1 || e.Succeeded != 1 {
		t.Errorf("all succeeded: %+v", e)
	}
}

// kept is a sink that keeps what it is told.
type kept []event.Event

func (k *kept) Emit(e event.Event) { *k = append(*k, e) }

func TestWhatALogIsToldIsAnEvent(t *testing.T) {
	var said kept
	log := Logger(&said, zerolog.InfoLevel)
	log.Debug().Msg("below the level")
	log.Warn().Str("node", "web").Msg("look")
	log = log.Level(zerolog.DebugLevel)
	log.Debug().Msg("for who looks for a fault")
	if len(said) != 2 || said[0].Kind != event.Diagnostic || said[1].Kind != event.Debug || said[0].Time.IsZero() {
		t.Fatalf("%+v", said)
	}
	var e entry
	if err := json.Unmarshal([]byte(said[0].Text), &e); err != nil || e.Level != "warn" || e.Node != "web" || e.Message != "look" || e.Time == "" {
		t.Errorf("%q: %+v, %v", said[0].Text, e, err)
	}
	if list := entries(t, func(screen *Terminal) { NewLog(screen, false).Emit(said[0]) }); len(list) != 1 || list[0] != e {
		t.Errorf("the log has %+v, not %+v", list, e)
	}
}

func TestALogOfProgramsHasNoPowerOverATerminal(t *testing.T) {
	const text = "\x1b]52;c;eA==\a \u009b2J \u202e\U000e0001 é"
	raw := printed(t, func(screen *Terminal) {
		screen.UseJSON()
		NewLog(screen, false).Emit(event.Event{Node: text, Kind: event.Note, Text: text})
	})
	if strings.ContainsAny(raw, "\x1b\u009b\u202e\U000e0001") || !strings.Contains(raw, "é") {
		t.Errorf("%q", raw)
	}
	var e entry
	if err := json.Unmarshal([]byte(raw), &e); err != nil || e.Message != text || e.Node != text {
		t.Errorf("it means %q, %v", e.Message, err)
	}
}
