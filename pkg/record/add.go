package record

import (
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/printable"
)

// Add adds what happened. Events of one node come in the order in which they
// happened.
func (r *Record) Add(e event.Event) {
	if e.Node == "" {
		r.addOfRun(e)
		return
	}
	n := r.node(e.Node)
	if n.Ended() {
		return
	}
	switch e.Kind {
	case event.Wait:
		n.wait(e)
	case event.Begin:
		n.begin(e)
	case event.Over:
		n.over(e)
	case event.Output:
		n.Last = printable.Said(printable.WithoutEscapes(e.Text), lineSize)
	case event.Note, event.Warn:
		n.Said = said(n.Said, e)
		n.count(e)
	case event.Progress:
		n.count(e)
		n.at(e)
	case event.End:
		n.end(e)
	}
}

// addOfRun adds what is of no single node.
func (r *Record) addOfRun(e event.Event) {
	switch e.Kind {
	case event.Diagnostic:
		r.Said = said(r.Said, e)
	case event.Building:
		r.Builds = e.Builds
	}
}

// Close ends the run; err is why it ended so, nil if its nodes tell. What goes on on
// hosts is told by [Record.Results].
func (r *Record) Close(now time.Time, outcome Outcome, err error) {
	r.End, r.Outcome = now, outcome
	if err != nil {
		r.Error = err.Error()
	}
}

func said(list []Line, e event.Event) []Line {
	list = append(list, Line{Time: e.Time, Step: e.Step, Kind: e.Kind, Text: e.Text})
	return list[max(0, len(list)-mostSaid):]
}

// open is the step of that kind that goes on or waits, nil for none.
func (n *Node) open(kind plan.StepKind) *Step {
	if s := n.Step(); s != nil && !s.Ended() && s.Kind == kind {
		return s
	}
	return nil
}

// enter adds a step. One that nobody has ended ends here.
func (n *Node) enter(s Step, now time.Time) {
	if before := n.Step(); before != nil && !before.Ended() {
		before.close(now, event.Succeeded, nil)
	}
	if len(n.Steps) == mostSteps {
		n.Steps = append(n.Steps[:mostSteps/2], n.Steps[mostSteps/2+1:]...)
		n.Dropped++
	}
	n.Steps, n.Last = append(n.Steps, s), ""
}

func (n *Node) wait(e event.Event) {
	n.enter(Step{Kind: e.Step, State: Waiting, Text: e.Text, Queued: e.Time}, e.Time)
}

// begin begins a step, or says more of the one at hand.
func (n *Node) begin(e event.Event) {
	s := n.open(e.Step)
	if s == nil {
		n.enter(Step{Kind: e.Step, State: Running, Text: e.Text, Begin: e.Time}, e.Time)
		return
	}
	if s.State == Waiting {
		s.State, s.Begin, s.Waited, s.Text = Running, e.Time, e.Time.Sub(s.Queued), e.Text
	}
	if e.Text != "" {
		s.Text = e.Text
	}
}

func (n *Node) over(e event.Event) {
	if s := n.open(e.Step); s != nil {
		s.close(e.Time, e.Status, e.Err)
	}
}

// at keeps what a step does.
func (n *Node) at(e event.Event) {
	if s := n.open(e.Step); s != nil {
		s.At = e.Text
	}
}

// count keeps how far a step is.
func (n *Node) count(e event.Event) {
	if s := n.open(e.Step); s != nil && (e.Total > 0 || e.Done > 0) {
		s.Done, s.Total, s.Paths = e.Done, e.Total, e.Paths
	}
}

func (n *Node) end(e event.Event) {
	n.End, n.Result = e.Time, e.Result
	if n.Result == nil {
		n.Result = &event.Result{Node: n.Name, Status: event.Succeeded}
	}
	if s := n.Step(); s != nil && !s.Ended() {
		s.close(e.Time, n.Result.Status, n.Result.Err)
	}
}

func (s *Step) close(now time.Time, status event.Status, err error) {
	s.End = now
	switch {
	case s.State == Waiting:
		s.State, s.Waited = Cancelled, now.Sub(s.Queued)
	case status == event.Failed:
		s.State, s.Err = Failed, err
	case status == event.Cancelled:
		s.State = Cancelled
	default:
		s.State = Succeeded
	}
}
