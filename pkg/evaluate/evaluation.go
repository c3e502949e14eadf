// Package evaluate evaluates the nodes of a hive in several processes of Nix at a
// time, within a limit of memory, and hands out each node as soon as it is done.
package evaluate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nix"
)

// Evaluator evaluates parts of one hive, each in a process; [nix.Evaluator] is one.
type Evaluator interface {
	Run(ctx context.Context, part nix.Part, hooks nix.Hooks) error
}

// Limits are those of all processes of an evaluation together. Zero values leave
// them to what is found to be best.
type Limits struct {
	Workers  int   // processes at a time
	PerNodes int   // nodes of one process
	Memory   int64 // bytes
}

// Node is one that was evaluated, or the reason why it could not be.
type Node struct {
	hive.Node
	Err error // nil, or an [*nix.EvalError], an [*Alike], what [hive.DecodeNode] fails with, or [nix.ErrKilled]
}

// Alike is the error of a node that fails for a reason that was told of another.
type Alike struct {
	Other string
	Err   error
}

func (a *Alike) Error() string { return a.Err.Error() }
func (a *Alike) Unwrap() error { return a.Err }

// Like is the node of which the reason was told.
func (a *Alike) Like() string { return a.Other }

// Evaluation is one that is under way.
type Evaluation struct {
	evaluator Evaluator
	request   nix.Request
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
	costs     costs
	share     int64 // of memory, for one process; 0 is unlimited
}

// process is one that runs.
type process struct {
	id      int
	first   bool // it evaluates the head
	end     context.CancelCauseFunc
	pid     int
	begin   time.Time
	at      time.Time // of the node at hand; zero between two
	any     bool      // a node was done
	memory  int64     // when the last node was done
	growth  int64     // what the last node took of it
	stopped bool      // by us
}

// message is what a process tells the loop.
type message struct {
	id   int
	kind kind
	text []byte
	node string
	pid  int
	err  error
}

type kind int

const (
	started kind = iota
	headed
	begun
	done
	ended
)

// Start begins an evaluation; it ends with ctx, or when all its nodes were taken.
// announced, which may be nil, is told how to reach each node before its system is
// evaluated: a text for [hive.DecodeTarget].
func Start(ctx context.Context, evaluator Evaluator, request nix.Request, limits Limits, announced func(text []byte), log zerolog.Logger) *Evaluation {
	e := &Evaluation{
		evaluator: evaluator, request: request, limits: limits.found(), announced: announced, log: log,
		head: make(chan struct{}), nodes: make(chan Node),
		processes: map[int]*process{}, messages: make(chan message), told: map[string]bool{},
	}
	e.request.Announce = announced != nil
	e.texts = texts{evaluator: evaluator, request: request}
	e.schedule = newSchedule(e.limits.Workers, e.limits.PerNodes)
	e.share = e.limits.Memory / int64(e.limits.Workers)
	go crash.Guarded(func() { e.loop(ctx) })()
	return e
}

// mostNodes is how many nodes a process gets at once where nobody says. What
// Nix is asked for are arguments, so it cannot be all of a thousand.
const mostNodes = 64

// AnyNumber of nodes may be evaluated by one process.
const AnyNumber = 10000

// found fills in what was left to us.
func (l Limits) found() Limits {
	if l.Memory <= 0 {
		l.Memory = PartOfFree(ofFree)
	}
	if l.Workers <= 0 {
		l.Workers = runtime.NumCPU()
	}
	if l.PerNodes <= 0 {
		l.PerNodes = mostNodes
	}
	return l
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

// tick is how often the memory and the progress of processes is looked at.
const tick = 100 * time.Millisecond

func (e *Evaluation) loop(ctx context.Context) {
	ctx, stop := context.WithCancelCause(ctx)
	clock := time.NewTicker(tick)
	defer clock.Stop()
	e.startFirst(ctx)
	for len(e.processes) > 0 || !e.schedule.over() || len(e.pending) > 0 {
		var out chan Node
		var next Node
		if len(e.pending) > 0 {
			out, next = e.nodes, e.pending[0]
		}
		select {
		case m := <-e.messages:
			if err := e.handle(ctx, m); err != nil && e.err == nil {
				e.err = err
				stop(err)
			}
		case out <- next:
			e.pending = e.pending[1:]
		case <-clock.C:
			e.watch()
		case <-ctx.Done():
			if e.err == nil {
				e.err = context.Cause(ctx)
			}
			e.drain()
		}
		e.startOthers(ctx)
	}
	stop(nil)
	if e.hive == nil {
		close(e.head)
	}
	close(e.nodes)
}

// drain waits for the processes that a cancelled context ends, and forgets the rest.
func (e *Evaluation) drain() {
	for len(e.processes) > 0 {
		if m := <-e.messages; m.kind == ended {
			delete(e.processes, m.id)
		}
	}
	e.schedule, e.pending = newSchedule(1, 1), nil
}

func (e *Evaluation) startFirst(ctx context.Context) {
	id := e.schedule.add(nil, false)
	e.start(ctx, id, nix.Part{Request: e.request, Most: e.limits.PerNodes, Without: e.without}, true)
}

// startOthers starts what processes there should be.
func (e *Evaluation) startOthers(ctx context.Context) {
	for e.hive != nil && e.err == nil {
		id, nodes := e.schedule.another(e.costsNow())
		if nodes == nil {
			return
		}
		request := e.request
		request.Selector = hive.Selector{}
		e.start(ctx, id, nix.Part{Request: request, Only: nodes, Most: len(nodes), Without: e.without}, false)
	}
}

// start runs a process. What it tells comes as messages.
func (e *Evaluation) start(ctx context.Context, id int, part nix.Part, first bool) {
	ctx, end := context.WithCancelCause(ctx)
	p := &process{id: id, first: first, end: end, begin: time.Now()}
	e.processes[id] = p
	part.Heap = e.heap()
	tell := func(m message) { m.id = id; e.messages <- m }
	hooks := nix.Hooks{
		Started:   func(pid int) { tell(message{kind: started, pid: pid}) },
		Announced: e.announced,
		Begun:     func(node string) { tell(message{kind: begun, node: node}) },
		Done:      func(text []byte) { tell(message{kind: done, text: text}) },
	}
	if first {
		hooks.Head = func(text []byte) { tell(message{kind: headed, text: text}) }
	}
	go func() {
		defer crash.Guard()
		defer end(nil)
		var err error
		func() {
			defer crash.Recover(&err)
			err = e.evaluator.Run(ctx, part, hooks)
		}()
		tell(message{kind: ended, err: err})
	}()
}

// Nix's collector begins to work when this is full. With less it works all the time; with
// more, most of the time goes into memory that is touched for the first time (ten real
// nodes, 2.8: 15.7 s with Nix's own 384 MB, 13.3 s with 1 GiB, 8.9 s with 2 GiB, 11 s without any collection).
const bestHeap = 2 << 30

// heap is what a process of Nix begins with. What cannot be collected must have room
// as well, up to the share.
func (e *Evaluation) heap() int64 {
	if e.share == 0 {
		return bestHeap
	}
	return min(e.share*6/10, bestHeap)
}

// HeapAlone is what the garbage collector of a process may begin with that evaluates
// alone, in bytes; 0 if that is not known.
func HeapAlone() int64 { return min(PartOfFree(ofFree)*6/10, bestHeap) }

// costsNow are the costs, with what is known of nodes that are not yet done.
func (e *Evaluation) costsNow() costs {
	c := e.costs
	for _, p := range e.processes {
		if !p.at.IsZero() && c.first == 0 {
			c.first = time.Since(p.at)
		}
	}
	if c.each == 0 {
		c.each = c.first
	}
	return c
}

// handle takes a message. An error is one of the whole evaluation.
func (e *Evaluation) handle(ctx context.Context, m message) error {
	p := e.processes[m.id]
	switch m.kind {
	case started:
		p.pid = m.pid
		killFirst(m.pid)
	case headed:
		return e.takeHead(p, m.text)
	case begun:
		if p.at = time.Now(); e.costs.start == 0 {
			e.costs.start = p.at.Sub(p.begin)
		}
		e.schedule.begun(m.id, m.node)
	case done:
		e.takeNode(p, m.text)
	case ended:
		delete(e.processes, m.id)
		return e.takeEnd(ctx, p, m.err)
	}
	return nil
}

func (e *Evaluation) takeHead(p *process, text []byte) error {
	if e.hive != nil {
		return nil // the flake was evaluated in another way, from its beginning
	}
	h, err := hive.DecodeHead(text)
	if errors.Is(err, hive.ErrNoMatch) && len(e.failures) > 0 {
		err = e.failures[0].Err // it might have the tag
	}
	if err != nil {
		return err
	}
	e.hive = h
	e.schedule.selected(p.id, h.Selected)
	for _, node := range e.failures { // whose tags are not known
		h.Selected = append(h.Selected, node.Name)
	}
	slices.Sort(h.Selected)
	close(e.head)
	return nil
}

// takeNode hands out a node.
func (e *Evaluation) takeNode(p *process, text []byte) {
	node, err := hive.DecodeNode(text)
	if node.Name == "" {
		node.Name = e.schedule.atHand(p.id)
	}
	e.measure(p)
	own, end := e.schedule.done(p.id, node.Name)
	if own {
		e.give(Node{node, err})
	}
	switch {
	case end:
		p.stop()
	case e.share > 0 && p.memory+p.growth > e.share && !e.schedule.runs[p.id].alone:
		e.schedule.giveBack(p.id)
		p.stop()
	}
}

// give hands out a node once.
func (e *Evaluation) give(node Node) {
	if e.told[node.Name] {
		return
	}
	e.told[node.Name] = true
	e.done.Add(1)
	for _, key := range node.Keys {
		if key.TextLater {
			e.texts.expect(node.Name)
			break
		}
	}
	if node.Err != nil {
		node.Err = e.alike(node)
		e.failures = append(e.failures, node)
	}
	e.pending = append(e.pending, node)
}

// measure learns of a node that is done.
func (e *Evaluation) measure(p *process) {
	now := residentMemory(p.pid)
	if took := time.Since(p.at); !p.at.IsZero() {
		switch {
		case !p.any:
			e.costs.first = average(e.costs.first, took)
		default:
			e.costs.each = average(e.costs.each, took)
		}
	}
	if p.any {
		p.growth = max(0, now-p.memory)
	} else {
		e.fewer(now)
	}
	p.any, p.memory, p.at = true, now, time.Time{}
}

// fewer has no more processes than can each hold a node, which took this much memory,
// without collecting all the time.
func (e *Evaluation) fewer(need int64) {
	if e.limits.Memory <= 0 || need <= 0 {
		return
	}
	if most := max(1, int(e.limits.Memory/(need*3/2))); most < e.schedule.workers {
		e.schedule.workers = most
		e.share = e.limits.Memory / int64(most)
		e.log.Debug().Int("processes", most).Int64("bytes", need).Msg("evaluating in fewer processes, as a node needs much memory")
	}
}

func average(before, now time.Duration) time.Duration {
	if before == 0 {
		return now
	}
	return (3*before + now) / 4
}

// stop ends a process whose nodes are others' now.
func (p *process) stop() {
	p.stopped = true
	p.end(nix.ErrEnough)
}

// watch keeps the memory of all processes together below the limit.
func (e *Evaluation) watch() {
	if e.limits.Memory <= 0 {
		return
	}
	var sum int64
	var youngest *process
	for _, p := range e.processes {
		sum += residentMemory(p.pid)
		if !p.stopped && (youngest == nil || p.id > youngest.id) {
			youngest = p
		}
	}
	if sum < int64(math.Round(0.9*float64(e.limits.Memory))) || len(e.processes) < 2 || youngest == nil || youngest.first && e.hive == nil {
		return
	}
	e.schedule.workers = max(1, e.schedule.workers-1)
	e.share = e.limits.Memory / int64(e.schedule.workers)
	e.log.Debug().Int("workers", e.schedule.workers).Int64("bytes", sum).Msg("evaluating in fewer processes, as memory runs short")
	youngest.stop()
}

// takeEnd takes the end of a process, and its error.
func (e *Evaluation) takeEnd(ctx context.Context, p *process, err error) error {
	at := e.schedule.atHand(p.id)
	alone := e.schedule.runs[p.id].alone
	var eval *nix.EvalError
	var problem *hive.Problem
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case p.stopped || err == nil && at == "":
		e.schedule.ended(p.id)
		return nil
	case err == nil:
		err = fmt.Errorf("%w: it ended without a word of node %q", nix.ErrEval, at)
	case errors.As(err, &eval) && eval.Node != "":
		at = eval.Node
	case errors.As(err, &problem):
		at = problem.Node
	case errors.Is(err, nix.ErrKilled) && !alone && at != "":
		e.log.Warn().Str("node", at).Msgf("%v, most likely as memory ran out: its nodes are evaluated again, this one by itself", err)
		e.schedule.ended(p.id, at)
		e.schedule.alone = append(e.schedule.alone, at)
		e.schedule.workers = 1
		e.share = e.limits.Memory
		return nil
	case eval != nil && at != "" && !p.at.IsZero():
		eval.Node = at // Nix had no time to say where it was
	case errors.Is(err, nix.ErrKilled) && at != "":
		err = fmt.Errorf("%w, as it was before beside others: most likely it needs more memory than there is", err)
	default:
		return err
	}
	if e.told[at] {
		return err // one that was left out, or done before
	}
	e.schedule.ended(p.id, at)
	e.give(Node{hive.Node{Name: at}, err})
	if e.hive == nil {
		e.without = append(e.without, at)
		e.startFirst(ctx)
	}
	return nil
}
