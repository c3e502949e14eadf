// Package report shows a deployment to people and to programs: events while it
// runs, a table or JSON at its end. Nothing else prints.
package report

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/record"
	"github.com/colmena-go/colmena-go/pkg/view"
)

// Run is one deployment as it is shown: a [event.Sink] that also records it, so that
// it can tell when the user leaves before the end.
type Run struct {
	event.Sink
	view View
	told sync.Once // how it ended
	hide func()    // the picture; nil where there is none
	log  Logbook   // nil where none is kept
	dry  bool

	mu     sync.Mutex
	record *record.Record
	begin  time.Time // when the nodes were known
	meter  view.Meter
	drawn  drawn
}

// drawn is the picture that was drawn last.
type drawn struct {
	lines  []string
	window view.Size
	second int64 // of the run
	old    bool  // something happened since
}

// View is how a Run is shown.
type View struct {
	Screen  *Terminal
	Style   Style
	Events  *Events       // are told as well; nil for none
	Verbose bool          // show what programs print
	Told    plan.StepKind // the one step of which that is shown all the same; "" for none
	Live    bool          // show how far all is, below the lines; see [Terminal.CanShow]
	ASCII   bool          // the terminal shows nothing but that
	Actions bool          // in a log of GitHub's, whose groups and errors are used
	Quiet   bool          // show only warnings and failures
	// Begin is when the run began, which each line is told the distance from; zero: none is.
	Begin time.Time
	// Again is the command line that does only these nodes again; nil leaves it out.
	Again func(nodes []string) string
	logOf func(node string) string // the file that has all of it; nil for none
}

// doing says what a node that has not ended is at.
var doing = map[plan.StepKind]string{
	plan.Evaluate: "being evaluated", plan.Connect: "connecting", plan.Inspect: "asking the host", plan.Build: "building",
	plan.Cache: "copying to the store", plan.Compare: "comparing", plan.Push: "copying", plan.Resolve: "getting keys", plan.Upload: "uploading keys",
	plan.Activate: "activating", plan.Reboot: "rebooting", plan.Await: "rebooting", plan.Exec: "running the command",
	plan.Status: "asking the host",
}

// left is the status of a node that was being changed when the user left.
const left = record.Left

// NewRun returns a Run of what is recorded so.
func NewRun(v View, r *record.Record) *Run {
	return &Run{Sink: NewSink(v), view: v, record: r}
}

// NewSink returns what shows events as they come.
func NewSink(v View) event.Sink {
	if v.Quiet {
		v.Quiet = false
		return quiet{NewSink(v)}
	}
	if v.Screen.InJSON() {
		return NewLog(v.Screen, v.Verbose || v.Told != "")
	}
	plain := NewPlain(v.Screen, v.Verbose, v.Style)
	plain.live, plain.begin, plain.told = v.Live, v.Begin, v.Told
	if v.Actions {
		return NewActions(v.Screen, plain)
	}
	return plain
}

// Foresees says that hosts are only asked: what came of it is told in another form.
func (r *Run) Foresees() { r.dry = true }

// Expect tells which nodes are to be deployed to. None of them needs to be
// evaluated yet.
func (r *Run) Expect(names []string) {
	if sink, ok := r.Sink.(interface{ Expect([]string) }); ok {
		sink.Expect(names)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begin = time.Now()
	r.record.Expect(names, r.begin)
	if r.view.Events != nil {
		r.view.Events.expect(names, r.begin)
	}
}

// Emit implements [event.Sink].
func (r *Run) Emit(e event.Event) {
	r.add(e)
	r.Sink.Emit(e)
	if r.log != nil {
		r.log.Emit(e)
	}
}

// Logbook keeps all that is told, for later.
type Logbook interface {
	event.Sink
	Path(node string) string // the file that has what was told of a node; "" where it does not have all
	Close(limit time.Duration)
}

// Keep has all that is told from now on be kept.
func (r *Run) Keep(log Logbook) {
	r.log = log
	if r.record.Goal != hive.Exec { // whose outputs it does not have
		r.view.logOf = log.Path
	}
}

// longestFlush is how long is waited for a log when the program ends at once.
const longestFlush = 500 * time.Millisecond

func (r *Run) add(e event.Event) {
	r.mu.Lock()
	defer r.mu.Unlock() // a panic must not keep the end from being told
	r.record.Add(e)
	r.meter.Add(e)
	r.drawn.old = true
	if r.view.Events != nil {
		r.view.Events.tell(e, r.record.Node(e.Node))
	}
}

// At says what a node does or waits for in the step that it is at, "" for nothing.
func (r *Run) At(node, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.record.Node(node); n != nil && n.Step() != nil && !n.Step().Ended() {
		n.Step().At, r.drawn.old = what, true
	}
}

// Show shows how far all is, until [Run.End] or hide.
func (r *Run) Show() (hide func()) {
	if !r.view.Live {
		return func() {}
	}
	r.hide = r.view.Screen.Show(r)
	return r.hide
}

// Live reports whether that is shown.
func (r *Run) Live() bool { return r.view.Live }

// Lines implements [Picture].
func (r *Run) Lines(window view.Size, now time.Time) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	d, second := &r.drawn, int64(now.Sub(r.record.Begin)/time.Second)
	if d.old || window != d.window || second != d.second {
		look := view.Look{Colour: bool(r.view.Style), ASCII: r.view.ASCII}
		*d = drawn{r.meter.Lines(r.record, window, look, now), window, second, false}
	}
	return d.lines
}

// Close ends the record, and returns it; err is why the run ended so, nil if its nodes
// tell.
func (r *Run) Close(outcome record.Outcome, err error) *record.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.record.Close(time.Now(), outcome, err)
	if r.view.Events != nil {
		r.view.Events.Summary(r.record)
	}
	return r.record.Clone()
}

// Agreed records what people were shown of nodes, by their names, and agreed to.
func (r *Run) Agreed(shown map[string]*plan.Outlook) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, outlook := range shown {
		if n := r.record.Node(name); n != nil {
			n.Outlook = outlook
		}
	}
}

// Record is what is known by now, as a copy.
func (r *Run) Record() *record.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.record.Clone()
}

// Waiting names the nodes that have not ended, each with what it is at; "" if all have.
func (r *Run) Waiting() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var steps []string
	names := map[string][]string{}
	for _, n := range r.record.Nodes {
		if n.Ended() {
			continue
		}
		step := at(n)
		if names[step] == nil {
			steps = append(steps, step)
		}
		names[step] = append(names[step], label(n.Name))
	}
	var parts []string
	for _, step := range steps {
		text := and(names[step])
		if step != "" {
			text += fmt.Sprintf(" (%s)", step)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// at says what a node is at, "" for nothing yet.
func at(n *record.Node) string {
	s := n.Step()
	switch {
	case s == nil:
		return ""
	case s.State == record.Waiting:
		return "waiting for " + s.Text
	}
	return doing[s.Kind]
}

// ReachesHosts reports whether the deployment may change hosts.
func (r *Run) ReachesHosts() bool {
	return !r.dry && r.record.Goal.NeedsHost() && !r.record.Goal.Asks()
}

// Activating reports whether an activation runs on any host.
func (r *Run) Activating() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.record.Nodes, func(n *record.Node) bool { return n.Running(plan.Activate) })
}

// Down names the nodes whose hosts are rebooting, "" for none.
func (r *Run) Down() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for _, n := range r.record.Nodes {
		if n.Running(plan.Reboot, plan.Await) {
			names = append(names, label(n.Name))
		}
	}
	return strings.Join(names, ", ")
}

// rebooting: the host is told to, or was.
func rebooting(step plan.StepKind) bool { return step == plan.Reboot || step == plan.Await }

// End tells how every node ended.
func (r *Run) End(results []event.Result) { r.told.Do(func() { r.tell(results, "") }) }

// Leave tells what is known by now, unless End was first.
func (r *Run) Leave() {
	r.told.Do(func() { r.tell(r.soFar(), "quit early; results so far:\n") })
	if r.log != nil {
		r.log.Close(longestFlush)
	}
}

func (r *Run) tell(results []event.Result, heading string) {
	if r.hide != nil {
		r.hide()
	}
	if log, ok := r.Sink.(interface {
		Summary([]event.Result, time.Duration)
	}); ok && r.view.Screen.InJSON() {
		log.Summary(results, time.Since(r.begin))
		return
	}
	r.view.Screen.Print(r.closing(results, heading))
	if actions := r.actions(); actions != nil {
		actions.Errors(results)
	}
}

// actions is the sink of GitHub's log, nil where there is none. What commands print on
// hosts goes to the same log, where it must be obeyed at no time.
func (r *Run) actions() *Actions {
	sink := r.Sink
	if q, ok := sink.(quiet); ok {
		sink = q.Sink
	}
	if actions, ok := sink.(*Actions); ok && !r.record.Goal.Asks() {
		return actions
	}
	return nil
}

// closing is what is told at the end; with a heading it came early.
func (r *Run) closing(results []event.Result, heading string) string {
	switch well := !slices.ContainsFunc(results, func(n event.Result) bool { return !done(n.Status) }); {
	case r.view.Quiet && well, r.dry && heading == "":
		return ""
	case r.record.Goal.Asks(), r.view.Quiet:
		return heading + ending(results, r.view)
	case r.view.Live && heading == "":
		return "\n" + strings.TrimPrefix(closing(results, r.view, time.Since(r.record.Begin)), "\n")
	}
	return "\n" + heading + table(results, r.view)
}

// soFar is a result for every node, in their order.
func (r *Run) soFar() []event.Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.record.Results(time.Now())
}

// and lists names as one says them; of many only the first few.
func and(names []string) string {
	const most = 3
	switch n := len(names); {
	case n == 1:
		return names[0]
	case n > most+1:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), n-most)
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}
