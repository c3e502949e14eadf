// Package report shows a deployment to people and to programs: events while it
// runs, a table or JSON at its end. Nothing else prints.
package report

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/record"
	"github.com/colmena-go/colmena-go/pkg/view"
)

// Run is one deployment as it is shown: a [event.Sink] that has what comes recorded,
// printed and kept, and that tells all of its end, once.
type Run struct {
	view  View
	out   printer
	log   Logbook              // nil where none is kept
	hide  func()               // the picture; nil where there is none
	whole *Pass                // what documents tell of
	now   atomic.Pointer[Pass] // the one that goes on
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
	Tabled  bool          // a table that follows has a line for each failure
	Dry     bool          // hosts are only asked: what came of it is told in another form
	// Begin is when the run began, which each line is told the distance from; zero: none is.
	Begin time.Time
	Clock bool // lines are told the date and the time instead
	// Again is the command line that does only these nodes again; nil leaves it out.
	Again func(nodes []string) string
	logOf func(node string) string // the file that has all of it; nil for none
}

// NewRun returns a Run of what is recorded so.
func NewRun(v View, r *record.Record) *Run {
	run := &Run{view: v, out: newPrinter(v), whole: &Pass{dry: v.Dry, events: v.Events, record: r}}
	run.now.Store(run.whole)
	return run
}

// Now is the pass that goes on.
func (r *Run) Now() *Pass { return r.now.Load() }

// Rehearse begins a pass in which hosts are only asked, and which is recorded so: people
// see it, and documents do not.
func (r *Run) Rehearse(as *record.Record) { r.now.Store(&Pass{dry: true, record: as}) }

// Perform begins the pass that documents tell of, after a rehearsal.
func (r *Run) Perform() { r.now.Store(r.whole) }

// Expect tells which nodes are to be deployed to. None of them needs to be
// evaluated yet.
func (r *Run) Expect(names []string) {
	r.out.Expect(names)
	r.Now().expect(names)
}

// Telling is what only tells what it is given of these nodes, and records nothing: for what
// has no end.
func (r *Run) Telling(names []string) event.Sink {
	r.out.Expect(names)
	return r.out
}

// Emit implements [event.Sink].
func (r *Run) Emit(e event.Event) {
	pass := r.Now()
	pass.add(e)
	if pass != r.whole && e.Kind == event.Diagnostic { // of the run, whatever goes on
		r.whole.add(e)
	}
	r.out.Emit(e)
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
	if r.whole.record.Goal != hive.Exec { // whose outputs it does not have
		r.view.logOf = log.Path
	}
}

// longestFlush is how long is waited for a log when the program ends at once.
const longestFlush = 500 * time.Millisecond

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
	return r.Now().lines(window, view.Look{Colour: bool(r.view.Style), ASCII: r.view.ASCII}, now)
}

// Close ends the record, and returns it; err is why the run ended so, nil if its nodes
// tell.
func (r *Run) Close(outcome record.Outcome, err error) *record.Record {
	return r.whole.close(outcome, err)
}

// Agreed records what people were shown of nodes, by their names, and agreed to.
func (r *Run) Agreed(shown map[string]*plan.Outlook) { r.whole.agreed(shown) }

// Record is what is known by now, as a copy.
func (r *Run) Record() *record.Record { return r.whole.clone() }

// End tells how every node ended.
func (r *Run) End(results []event.Result) {
	r.Now().told.Do(func() { r.tell(results, "") })
}

// Leave tells what is known by now, unless End was first.
func (r *Run) Leave() {
	pass := r.Now()
	pass.told.Do(func() { r.tell(pass.soFar(), "quit early; results so far:\n") })
	if r.log != nil {
		r.log.Close(longestFlush)
	}
}

func (r *Run) tell(results []event.Result, heading string) {
	if r.hide != nil {
		r.hide()
	}
	r.out.End(results, r.closing(results, heading), r.Now().took())
}

// closing is what people are told at the end; with a heading it came early.
func (r *Run) closing(results []event.Result, heading string) string {
	pass := r.Now()
	switch well := !slices.ContainsFunc(results, func(n event.Result) bool { return !done(n.Status) }); {
	case r.view.Quiet && well, pass.dry && heading == "":
		return ""
	case r.view.Tabled && heading == "":
		return besideTable(results, r.view)
	case pass.record.Goal.Asks(), r.view.Quiet:
		return heading + ending(results, r.view)
	case r.view.Live && heading == "":
		return "\n" + strings.TrimPrefix(closing(results, r.view, time.Since(pass.record.Begin)), "\n")
	}
	return "\n" + heading + table(results, r.view)
}
