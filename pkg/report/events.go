package report

import (
	"context"
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/record"
)

// Events writes every event as one JSON object a line. Nobody waits for who reads them:
// lines of output, and how far copies are, may be left out, and are counted.
type Events struct {
	t     *Terminal
	first string // the line that tells what runs, until there is another
	begun sync.Once
}

// eventJSON is a line. Its form is documented in docs/json.md.
type eventJSON struct {
	Event   string  `json:"event"`
	Version int     `json:"version,omitempty"`
	Time    string  `json:"time"`
	Node    string  `json:"node,omitempty"`
	Step    string  `json:"step,omitempty"`
	Status  string  `json:"status,omitempty"`
	Text    string  `json:"text,omitempty"`
	Stream  string  `json:"stream,omitempty"` // stdout or stderr, of the command of exec
	Error   string  `json:"error,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`

	*runJSON
	*progressJSON
	*messageJSON
	*summaryJSON
	Nodes  []string    `json:"nodes,omitempty"`
	Result *resultJSON `json:"result,omitempty"`
	Lines  int         `json:"lines,omitempty"`  // that were left out
	Failed int         `json:"failed,omitempty"` // builds
}

type runJSON struct {
	Program string `json:"program"` // its version
	Command string `json:"command"`
	Goal    string `json:"goal"`
}

type progressJSON struct {
	Done  int64 `json:"done"`
	Total int64 `json:"total"`
	Paths int   `json:"paths,omitempty"`
}

type messageJSON struct {
	Level string `json:"level"`
}

type summaryJSON struct {
	Counts map[event.Status]int `json:"counts"`
}

// NewEvents returns Events of a run, which is told first. Close ends its goroutine.
func NewEvents(out io.Writer, r *record.Record) *Events {
	e := &Events{t: NewTerminal(out)}
	e.t.UseJSON()
	e.t.lost = func(lines int) string {
		return line(eventJSON{Event: "lost", Time: stamp(time.Now()), Lines: lines})
	}
	e.first = line(eventJSON{Event: "run", Version: DocumentVersion, Time: stamp(r.Begin),
		runJSON: &runJSON{Program: r.Version, Command: r.Command, Goal: string(r.Goal)}})
	return e
}

// put writes a line; only one that mayDrop is ever left out.
func (s *Events) put(e eventJSON, mayDrop bool) {
	s.begun.Do(func() { s.t.Print(s.first) })
	s.t.put(line(e), mayDrop)
}

func line(e eventJSON) string {
	text, err := json.Marshal(e)
	if err != nil {
		return "" // of such a form it does not fail
	}
	return string(text) + "\n"
}

// expect tells the names of the nodes.
func (s *Events) expect(names []string, now time.Time) {
	s.put(eventJSON{Event: "nodes", Time: stamp(now), Nodes: names}, false)
}

// forms are the values of the fields "event" and, unless the event has one, "status".
var forms = map[event.Kind]struct {
	name   string
	status record.State
}{
	event.Wait: {"wait", record.Waiting}, event.Begin: {"begin", record.Running}, event.Output: {"output", record.Running},
	event.Note: {"note", record.Running}, event.Still: {"note", record.Running}, event.Warn: {"warning", record.Running}, event.Progress: {"progress", record.Running}, event.Over: {"done", ""},
}

// tell writes an event. n is the node's record; its steps are read where it ended.
func (s *Events) tell(e event.Event, n *record.Node) {
	form, known := forms[e.Kind]
	switch {
	case e.Kind == event.Diagnostic:
		s.message(e)
		return
	case e.Kind == event.Building:
		b := e.Builds
		s.put(eventJSON{Event: "builds", Time: stamp(e.Time), progressJSON: &progressJSON{Done: int64(b.Done), Total: int64(b.Expected)}, Failed: b.Failed}, true)
		return
	case e.Kind == event.End && e.Result != nil:
		s.end(*e.Result, n, e.Time)
		return
	case !known:
		return // Private and Debug among them
	}
	l := eventJSON{Event: form.name, Time: stamp(e.Time), Node: e.Node, Step: string(e.Step), Status: string(form.status), Text: e.Text, Stream: string(e.Stream)}
	if e.Kind == event.Over {
		l.Status = string(e.Status)
		if e.Err != nil {
			l.Error = e.Err.Error()
		}
		if step := n.Step(); step != nil && step.Kind == e.Step {
			l.Seconds = seconds(step.Took(e.Time))
		}
	}
	if e.Total > 0 || e.Kind == event.Progress {
		l.progressJSON = &progressJSON{e.Done, e.Total, e.Paths}
	}
	s.put(l, e.Kind == event.Output || e.Kind == event.Progress)
}

// message is an entry of zerolog's, which concerns the run.
func (s *Events) message(e event.Event) {
	var entry struct {
		Level   string   `json:"level"`
		Node    string   `json:"node"`
		Nodes   []string `json:"nodes"`
		Message string   `json:"message"`
	}
	if json.Unmarshal([]byte(e.Text), &entry) != nil {
		return
	}
	s.put(eventJSON{Event: "message", Time: stamp(e.Time), messageJSON: &messageJSON{entry.Level}, Node: entry.Node, Nodes: entry.Nodes, Text: entry.Message}, false)
}

// end tells how a node ended.
func (s *Events) end(result event.Result, n *record.Node, now time.Time) {
	form := jsonOf(result, n, now)
	s.put(eventJSON{Event: "end", Time: stamp(now), Node: result.Node, Step: form.Step, Status: form.Status, Error: form.Error, Seconds: form.Seconds, Result: &form}, false)
}

// Summary is the last line. Nodes that have not ended get their end before it.
func (s *Events) Summary(r *record.Record) {
	results := r.Results(r.End)
	for i, n := range r.Nodes {
		if !n.Ended() {
			s.end(results[i], n, r.End)
		}
	}
	s.put(eventJSON{Event: "summary", Version: DocumentVersion, Time: stamp(r.End), Status: string(r.Outcome), Error: r.Error,
		Seconds: seconds(r.End.Sub(r.Begin)), summaryJSON: &summaryJSON{allCounts(results)}}, false)
}

// allCounts is how many nodes ended how, with those that are none.
func allCounts(results []event.Result) map[event.Status]int {
	count := countOf(results)
	for _, status := range endings {
		count[status] += 0
	}
	return count
}

// Settle waits until everything is written and reports whether it is. It gives up when
// ctx is done.
func (s *Events) Settle(ctx context.Context) bool { return s.t.Settle(ctx) }

// Close waits until everything is written, or ctx is done.
func (s *Events) Close(ctx context.Context) bool { return s.t.Close(ctx) }
