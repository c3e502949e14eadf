package record

import (
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// changing are the steps in which a host is being changed.
var changing = []plan.StepKind{plan.Upload, plan.Activate, plan.UnitJobs, plan.Reboot, plan.Await}

// Results is a result for every node, in their order, as it is known by now: a node that
// has not ended is cancelled, or [Left] where its host is being changed.
func (r *Record) Results(now time.Time) []event.Result {
	results := make([]event.Result, len(r.Nodes))
	for i, n := range r.Nodes {
		results[i] = n.resultSoFar(r, now)
	}
	return results
}

func (n *Node) resultSoFar(r *Record, now time.Time) event.Result {
	if n.Ended() {
		return *n.Result
	}
	result := event.Result{Node: n.Name, Goal: r.Goal, Status: event.Cancelled}
	if s := n.Step(); s != nil {
		result.Step = s.Kind
		result.Elapsed = now.Sub(n.Steps[0].Began())
	}
	if n.Running(changing...) {
		result.Status = Left
	}
	return result
}
