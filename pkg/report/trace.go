package report

import (
	"encoding/json"
	"io"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/printable"
	"github.com/colmena-go/colmena-go/pkg/record"
)

// traceEvent is one of the Trace Event Format; times are microseconds since the run
// began. A node is a thread there.
type traceEvent struct {
	Name     string         `json:"name"`
	Category string         `json:"cat,omitempty"`
	Phase    string         `json:"ph"`
	Time     int64          `json:"ts"`
	Duration *int64         `json:"dur,omitempty"` // of complete events
	Process  int            `json:"pid"`
	Thread   int            `json:"tid"`
	Scope    string         `json:"s,omitempty"` // of instants
	Args     map[string]any `json:"args,omitempty"`
}

// The phases of events that are used.
const (
	phaseComplete = "X"
	phaseInstant  = "i"
	phaseMetadata = "M"
)

type trace struct {
	Events []traceEvent   `json:"traceEvents"`
	Unit   string         `json:"displayTimeUnit"`
	Other  map[string]any `json:"otherData"`
	begin  time.Time
}

// Trace writes the timeline of a run that ended, for Perfetto and chrome://tracing.
func Trace(out io.Writer, r *record.Record) error {
	t := &trace{Unit: "ms", begin: r.Begin, Other: map[string]any{
		"version": DocumentVersion, "program": r.Version, "command": r.Command, "goal": string(r.Goal), "begin": stamp(r.Begin), "status": string(r.Outcome),
	}}
	t.name("process_name", 0, "colmena-go "+r.Command)
	t.name("thread_name", 0, "run")
	t.span(0, "run", r.Command, r.Begin, r.End, nil)
	for i, n := range r.Nodes {
		t.node(i+1, n, r.End)
	}
	return json.NewEncoder(out).Encode(t)
}

// name names a thread, or the process, and says where it stands.
func (t *trace) name(what string, thread int, name string) {
	t.Events = append(t.Events, traceEvent{Name: what, Phase: phaseMetadata, Process: 1, Thread: thread, Args: map[string]any{"name": name}})
	if what == "thread_name" {
		t.Events = append(t.Events, traceEvent{Name: "thread_sort_index", Phase: phaseMetadata, Process: 1, Thread: thread, Args: map[string]any{"sort_index": thread}})
	}
}

func (t *trace) span(thread int, category, name string, from, to time.Time, args map[string]any) {
	took := max(0, to.Sub(from).Microseconds())
	t.Events = append(t.Events, traceEvent{Name: name, Category: category, Phase: phaseComplete,
		Time: from.Sub(t.begin).Microseconds(), Duration: &took, Process: 1, Thread: thread, Args: args})
}

func (t *trace) node(thread int, n *record.Node, now time.Time) {
	t.name("thread_name", thread, n.Name)
	for _, s := range n.Steps {
		if !s.Queued.IsZero() {
			t.span(thread, "waiting", "waiting", s.Queued, s.Queued.Add(s.Waited), map[string]any{"for": string(s.Kind)})
		}
		if s.Begin.IsZero() {
			continue
		}
		end := s.End
		if !s.Ended() {
			end = now
		}
		args := map[string]any{"status": string(s.State)}
		for name, value := range figures(s) {
			args[name] = value
		}
		if s.Text != "" {
			args["text"] = printable.Text(s.Text)
		}
		if s.Err != nil {
			args["error"] = printable.Text(s.Err.Error())
		}
		t.span(thread, "step", string(s.Kind), s.Begin, end, args)
	}
	for _, line := range n.Said {
		if line.Kind == event.Warn {
			t.Events = append(t.Events, traceEvent{Name: "warning", Category: "warning", Phase: phaseInstant, Scope: "t",
				Time: line.Time.Sub(t.begin).Microseconds(), Process: 1, Thread: thread, Args: map[string]any{"text": printable.Text(line.Text)}})
		}
	}
}
