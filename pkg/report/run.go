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
)

// Run is one deployment as it is shown: a [event.Sink] that also knows how far
// every node is, so that it can tell when the user leaves before the end.
type Run struct {
	event.Sink
	view  View
	goal  hive.Goal
	begin time.Time // when the nodes were known
	told  sync.Once // how it ended

	mu     sync.Mutex
	nodes  []*progress
	byName map[string]*progress
}

// View is how a Run is shown.
type View struct {
	Screen  *Terminal
	Style   Style
	Verbose bool // show what programs print
	// Again is the command line that does only these nodes again; nil leaves it out.
	Again func(nodes []string) string
}

// progress is how far a node is.
type progress struct {
	node  string
	step  plan.StepKind
	begin time.Time
	end   *event.Result // nil before it
}

// doing says what a node that has not ended is at.
var doing = map[plan.StepKind]string{
	plan.Evaluate: "being evaluated", plan.Connect: "connecting", plan.Inspect: "asking the host", plan.Build: "building",
	plan.Cache: "copying to the store", plan.Push: "copying", plan.Resolve: "getting keys", plan.Upload: "uploading keys",
	plan.Activate: "activating", plan.Reboot: "rebooting", plan.Await: "rebooting", plan.Exec: "running the command",
}

// left is the status of a node that was being changed when the user left.
const left event.Status = "left"

// NewRun returns a Run of a deployment that knows no node yet.
func NewRun(view View, goal hive.Goal) *Run {
	return &Run{Sink: NewSink(view), view: view, goal: goal, byName: map[string]*progress{}}
}

// NewSink returns what shows events as they come.
func NewSink(view View) event.Sink {
	if view.Screen.InJSON() {
		return NewLog(view.Screen, view.Verbose)
	}
	return NewPlain(view.Screen, view.Verbose, view.Style)
}

// Expect tells which nodes are to be deployed to. None of them needs to be
// evaluated yet.
func (r *Run) Expect(names []string) {
	if plain, ok := r.Sink.(*Plain); ok {
		plain.Expect(names)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begin = time.Now()
	for _, name := range names {
		p := &progress{node: name, step: plan.Evaluate, begin: r.begin}
		r.nodes, r.byName[name] = append(r.nodes, p), p
	}
}

// Emit implements [event.Sink].
func (r *Run) Emit(e event.Event) {
	r.mu.Lock()
	if p := r.byName[e.Node]; p != nil {
		if p.step = e.Step; e.Kind == event.End {
			p.end = e.Result
		}
	}
	r.mu.Unlock()
	r.Sink.Emit(e)
}

// Waiting names the nodes that have not ended, each with what it is at; "" if all have.
func (r *Run) Waiting() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var steps []string
	names := map[string][]string{}
	for _, p := range r.nodes {
		if p.end != nil {
			continue
		}
		step := doing[p.step]
		if names[step] == nil {
			steps = append(steps, step)
		}
		names[step] = append(names[step], label(p.node))
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

// ReachesHosts reports whether the deployment may change hosts.
func (r *Run) ReachesHosts() bool { return r.goal.NeedsHost() && r.goal != hive.Exec }

// Activating reports whether an activation runs on any host.
func (r *Run) Activating() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.nodes, func(p *progress) bool { return p.end == nil && p.step == plan.Activate })
}

// Down names the nodes whose hosts are rebooting, "" for none.
func (r *Run) Down() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for _, p := range r.nodes {
		if p.end == nil && rebooting(p.step) {
			names = append(names, label(p.node))
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
}

func (r *Run) tell(results []event.Result, heading string) {
	if log, ok := r.Sink.(*Log); ok {
		log.Summary(results, time.Since(r.begin))
		return
	}
	text := "\n" + heading + table(results, r.view)
	if r.goal == hive.Exec {
		text = heading + ending(results, r.view)
	}
	r.view.Screen.Print(text)
}

// soFar is a result for every node, in their order.
func (r *Run) soFar() []event.Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	var results []event.Result
	for _, p := range r.nodes {
		if p.end != nil {
			results = append(results, *p.end)
			continue
		}
		result := event.Result{Node: p.node, Goal: r.goal, Status: event.Cancelled, Step: p.step, Elapsed: time.Since(p.begin)}
		if slices.Contains([]plan.StepKind{plan.Upload, plan.Activate, plan.Reboot, plan.Await}, p.step) {
			result.Status = left
		}
		results = append(results, result)
	}
	return results
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
