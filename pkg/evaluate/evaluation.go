// Package evaluate evaluates the nodes of a hive in several processes of Nix at a
// time, within a limit of memory, and hands out each node as soon as it is done.
package evaluate

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nixeval"
)

// Evaluator evaluates parts of one hive, each in a process; [nixeval.Evaluator] is one.
type Evaluator interface {
	Run(ctx context.Context, part nixeval.Part, hooks nixeval.Hooks) error
}

// Node is one that was evaluated, or the reason why it could not be.
type Node struct {
	hive.Node
	Took time.Duration // how long its evaluation took, where that ended with an error
	Err  error         // nil, or an [*nixeval.EvalError], an [*Alike], an [*Untried], a [*TooLarge], what [hive.DecodeNode] fails with, or [nixeval.ErrKilled]
}

// Evaluation is one that is under way.
type Evaluation struct {
	evaluator Evaluator
	request   nixeval.Request
	limits    Limits
	announced func(text []byte)
	log       zerolog.Logger

	head  chan struct{} // closed when hive or err is set
	hive  *hive.Hive
	nodes chan Node
	err   error
	done  atomic.Int64 // nodes
	texts texts

	// Of the loop's goroutine alone:
	schedule  *schedule
	processes map[int]*process
	messages  chan message
	without   []string // nodes that are broken and must not be looked at again
	pending   []Node   // done, and not yet taken
	told      map[string]bool
	failures  []Node
	reasons   map[string]string // the node that failed first, by its words: see wordsOf
	sound     bool              // Nix has evaluated a node
	costs     costs
	share     int64 // of memory, for one process; 0 is unlimited
	crowded   bool  // a process had to make room for one that evaluates texts
}

// atOnce is how many messages, and nodes, wait for their reader without waking it again:
// those of a light hive come in bursts.
const atOnce = 64

// Start begins an evaluation; it ends with ctx, or when all its nodes were taken.
// announced, which may be nil, is told how to reach each node before its system is
// evaluated: a text for [hive.DecodeTarget].
func Start(ctx context.Context, evaluator Evaluator, request nixeval.Request, limits Limits, announced func(text []byte), log zerolog.Logger) *Evaluation {
	e := &Evaluation{
		evaluator: evaluator, request: request, limits: limits.found(), announced: announced, log: log,
		head: make(chan struct{}), nodes: make(chan Node, atOnce),
		processes: map[int]*process{}, messages: make(chan message, atOnce), told: map[string]bool{}, reasons: map[string]string{},
	}
	e.request.Announce = announced != nil
	e.schedule = newSchedule(e.limits.Workers, e.limits.PerNodes)
	e.share = e.limits.Memory / int64(e.limits.Workers)
	e.texts = texts{evaluator: evaluator, most: e.limits.PerNodes, heap: e.heap(), limit: e.limits}
	go crash.Guarded(func() { e.loop(ctx) })()
	return e
}

// Hive waits until the hive itself is known, its nodes not yet.
func (e *Evaluation) Hive() (*hive.Hive, error) {
	<-e.head
	if e.hive == nil {
		return nil, e.err
	}
	return e.hive, nil
}

// Nodes are the selected nodes, as they are done. The channel is closed when there
// are no more.
func (e *Evaluation) Nodes() <-chan Node { return e.nodes }

// Progress says for people how far the evaluation is.
func (e *Evaluation) Progress() string {
	select {
	case <-e.head:
	default:
		return "evaluating the hive"
	}
	if e.hive == nil || len(e.hive.Selected) < 2 {
		return "evaluating"
	}
	return fmt.Sprintf("evaluating, %d of %d nodes done", e.done.Load(), len(e.hive.Selected))
}

// Err is why not every node was told; valid once the channel of Nodes is closed.
func (e *Evaluation) Err() error { return e.err }
