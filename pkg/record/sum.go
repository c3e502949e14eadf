package record

import (
	"time"

	"github.com/colmena-go/colmena-go/pkg/plan"
)

// Sum is what a node's steps come to.
type Sum struct {
	Took   map[plan.StepKind]time.Duration
	Waited map[plan.StepKind]time.Duration // only of kinds that waited
	Bytes  int64                           // that were copied to the host
	Paths  int
	Builds int64
}

// Sum adds up what is known by now.
func (n *Node) Sum(now time.Time) Sum {
	sum := Sum{Took: map[plan.StepKind]time.Duration{}, Waited: map[plan.StepKind]time.Duration{}}
	for _, s := range n.Steps {
		if !s.Begin.IsZero() {
			sum.Took[s.Kind] += s.Took(now)
		}
		if !s.Queued.IsZero() {
			sum.Waited[s.Kind] += s.Waited
		}
		sum.Bytes += s.Bytes()
		sum.Builds += s.Builds()
		if s.Kind != plan.Build {
			sum.Paths += s.Paths
		}
	}
	return sum
}

// Bytes is how much a step copied to the host, or to the store that hosts fetch from.
func (s Step) Bytes() int64 {
	if s.Kind == plan.Build {
		return 0
	}
	return s.Done
}

// Builds is how many derivations a step built.
func (s Step) Builds() int64 {
	if s.Kind == plan.Build {
		return s.Done
	}
	return 0
}
