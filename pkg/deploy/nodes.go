package deploy

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hive"
)

// Nodes are those of a deployment. Their names are known before they are.
type Nodes struct {
	Names []string
	// Arrivals yields each node once, when it is evaluated, and is ranged over
	// once. It ends soon after the ctx of [Run] is done; what it yields by then is
	// not looked at.
	Arrivals iter.Seq[Arrival]
}

// Arrival is a node that was evaluated, or one that cannot be.
type Arrival struct {
	Node hive.Node
	Err  error         // why it cannot be evaluated: Node has a name and nothing else then
	Took time.Duration // how long it took to find that out
}

// ErrNotEvaluated is what fails a node that has a name and did not arrive.
var ErrNotEvaluated = errors.New("the evaluation ended before it came to this node")

// Evaluated are nodes that are all there.
func Evaluated(nodes []hive.Node) Nodes {
	names := make([]string, len(nodes))
	for i, node := range nodes {
		names[i] = node.Name
	}
	return Nodes{Names: names, Arrivals: func(yield func(Arrival) bool) {
		for _, node := range nodes {
			if !yield(Arrival{Node: node}) {
				return
			}
		}
	}}
}

// each gives the arrivals to begin until ctx is done. Its error is why the others
// do not come.
func (n Nodes) each(ctx context.Context, begin func(Arrival)) (err error) {
	defer crash.Recover(&err)
	for a := range n.Arrivals {
		if ctx.Err() != nil {
			break
		}
		begin(a)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return ErrNotEvaluated
}
