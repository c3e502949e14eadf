package report

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/record"
	"github.com/colmena-go/colmena-go/pkg/view"
)

// Pass is one way of all nodes through a run, recorded, so that it can be told when the
// user leaves before the end. A run has one, but where people see what would be done
// before it is.
type Pass struct {
	dry    bool      // hosts are only asked
	events *Events   // are told as well; nil for none
	told   sync.Once // how it ended

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

// doing says what a node that has not ended is at.
var doing = map[plan.StepKind]string{
	plan.Evaluate: "being evaluated", plan.Connect: "connecting", plan.Inspect: "asking the host", plan.Build: "building",
	plan.Cache: "copying to the store", plan.Compare: "comparing", plan.Push: "copying", plan.Resolve: "getting keys", plan.Upload: "uploading keys",
	plan.Activate: "activating", plan.Reboot: "rebooting", plan.Await: "rebooting", plan.Exec: "running the command",
	plan.Status: "asking the host", plan.UnitJobs: "restarting units",
}

// left is the status of a node that was being changed when the user left.
const left = record.Left

func (p *Pass) expect(names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begin = time.Now()
	p.record.Expect(names, p.begin)
	if p.events != nil {
		p.events.expect(names, p.begin)
	}
}

func (p *Pass) add(e event.Event) {
	p.mu.Lock()
	defer p.mu.Unlock() // a panic must not keep the end from being told
	p.record.Add(e)
	p.meter.Add(e)
	p.drawn.old = true
	if p.events != nil {
		p.events.tell(e, p.record.Node(e.Node))
	}
}

// took is how long it has lasted since the nodes were known.
func (p *Pass) took() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.begin)
}

// At says what a node does or waits for in the step that it is at, "" for nothing.
func (p *Pass) At(node, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.record.Node(node); n != nil && n.Step() != nil && !n.Step().Ended() {
		n.Step().At, p.drawn.old = what, true
	}
}

// lines are those of the picture.
func (p *Pass) lines(window view.Size, look view.Look, now time.Time) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	d, second := &p.drawn, int64(now.Sub(p.record.Begin)/time.Second)
	if d.old || window != d.window || second != d.second {
		*d = drawn{p.meter.Lines(p.record, window, look, now), window, second, false}
	}
	return d.lines
}

func (p *Pass) close(outcome record.Outcome, err error) *record.Record {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.record.Close(time.Now(), outcome, err)
	if p.events != nil {
		p.events.Summary(p.record)
	}
	return p.record.Clone()
}

func (p *Pass) agreed(shown map[string]*plan.Outlook) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, outlook := range shown {
		if n := p.record.Node(name); n != nil {
			n.Outlook = outlook
		}
	}
}

func (p *Pass) clone() *record.Record {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.record.Clone()
}

// Waiting names the nodes that have not ended, each with what it is at; "" if all have.
func (p *Pass) Waiting() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var steps []string
	names := map[string][]string{}
	for _, n := range p.record.Nodes {
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

// ReachesHosts reports whether it may change hosts.
func (p *Pass) ReachesHosts() bool {
	return !p.dry && p.record.Goal.NeedsHost() && !p.record.Goal.Asks()
}

// Activating reports whether an activation runs on any host.
func (p *Pass) Activating() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.record.Nodes, func(n *record.Node) bool { return n.Running(plan.Activate) })
}

// Down names the nodes whose hosts are rebooting, "" for none.
func (p *Pass) Down() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	for _, n := range p.record.Nodes {
		if n.Running(plan.Reboot, plan.Await) {
			names = append(names, label(n.Name))
		}
	}
	return strings.Join(names, ", ")
}

// rebooting: the host is told to, or was.
func rebooting(step plan.StepKind) bool { return step == plan.Reboot || step == plan.Await }

// soFar is a result for every node, in their order.
func (p *Pass) soFar() []event.Result {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.record.Results(time.Now())
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
