package evaluate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nixeval"
)

// process is one that runs.
type process struct {
	id      int
	end     context.CancelCauseFunc
	pid     int
	begin   time.Time
	at      time.Time // of the node at hand; zero between two
	any     bool      // a node was done
	memory  int64     // at the last look, when a node was done
	growth  int64     // since the look before: what the last nodes took of it
	looked  time.Time // when that was
	stopped bool      // by us
	now     int64     // bytes that it takes
	peak    int64
	large   bool // it takes too much, and was ended
	beside  bool // others took memory, too
}

// message is what a process tells the loop.
type message struct {
	id   int
	kind kind
	text []byte
	node string
	pid  int
	err  error
	at   time.Time // when it was told
}

type kind int

const (
	started kind = iota
	headed
	begun
	done
	ended
)

// tick is how often the memory and the progress of processes is looked at.
const tick = 100 * time.Millisecond

func (e *Evaluation) loop(user context.Context) {
	ctx, stop := context.WithCancelCause(user)
	clock := time.NewTicker(tick)
	defer clock.Stop()
	e.startFirst(ctx)
	for len(e.processes) > 0 || !e.schedule.over() || len(e.pending) > 0 {
		var out chan Node
		var next Node
		if len(e.pending) > 0 && len(e.messages) == 0 { // many at once wake their reader once
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
			e.drain(user)
		}
		e.startOthers(ctx)
	}
	stop(nil)
	if e.hive == nil {
		close(e.head)
	}
	close(e.nodes)
}

// drain waits for the processes that a cancelled context ends, hands out what is
// done, unless it was the user who cancelled, and forgets the rest.
func (e *Evaluation) drain(user context.Context) {
	for len(e.processes) > 0 {
		if m := <-e.messages; m.kind == ended {
			delete(e.processes, m.id)
		}
	}
	for _, node := range e.pending {
		if e.hive == nil { // nobody looks at nodes of a hive that is not known
			break
		}
		select {
		case e.nodes <- node:
		case <-user.Done():
		}
	}
	e.schedule, e.pending = newSchedule(1, 1), nil
}

func (e *Evaluation) startFirst(ctx context.Context) {
	id := e.schedule.add(nil, false)
	e.start(ctx, id, nixeval.Part{Request: e.request, Most: e.limits.PerNodes, Without: e.without})
}

// startOthers starts what processes there should be.
func (e *Evaluation) startOthers(ctx context.Context) {
	for e.hive != nil && e.err == nil {
		if e.crowded = e.crowded && e.texts.process() != 0; e.crowded {
			return
		}
		id, nodes := e.schedule.another(e.costsNow())
		if nodes == nil {
			return
		}
		request := e.request
		request.Selector = hive.Selector{}
		e.start(ctx, id, nixeval.Part{Request: request, Only: nodes, Most: len(nodes), Without: e.without})
	}
}

// start runs a process. What it tells comes as messages; of the head nothing, unless
// that tells which nodes are its.
func (e *Evaluation) start(ctx context.Context, id int, part nixeval.Part) {
	ctx, end := context.WithCancelCause(ctx)
	p := &process{id: id, end: end, begin: time.Now()}
	e.processes[id] = p
	part.Room = nixeval.Room{Heap: e.heap(), Memory: e.limits.most()}
	tell := func(m message) { m.id, m.at = id, time.Now(); e.messages <- m }
	hooks := nixeval.Hooks{
		Started:   func(pid int) { tell(message{kind: started, pid: pid}) },
		Announced: e.announced,
		Begun:     func(node string) { tell(message{kind: begun, node: node}) },
		Done:      func(text []byte) { tell(message{kind: done, text: text}) },
	}
	if part.Only == nil {
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

// handle takes a message. An error is one of the whole evaluation.
func (e *Evaluation) handle(ctx context.Context, m message) error {
	p := e.processes[m.id]
	switch m.kind {
	case started:
		p.pid, p.any, p.memory = m.pid, false, 0 // what came before was known, or of a process that has ended
		killFirst(m.pid)
		yieldToBuilds(m.pid)
	case headed:
		return e.takeHead(p, m.text)
	case begun:
		if p.at = m.at; e.costs.start == 0 {
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
	e.sound = true
	took := p.took()
	e.measure(p)
	own, end := e.schedule.done(p.id, node.Name)
	if own {
		e.give(Node{Node: node, Took: took, Err: err})
	}
	switch {
	case end:
		p.stop()
	case e.share > 0 && p.memory+p.growth > e.share:
		e.schedule.giveBack(p.id)
		p.stop()
	}
}

// give hands out a node once.
func (e *Evaluation) give(node Node) {
	if e.told[node.Name] {
		return
	}
	if node.Err != nil {
		node.Err = e.alike(node)
		e.failures = append(e.failures, node)
	}
	e.pass(node)
}

// pass hands out a node.
func (e *Evaluation) pass(node Node) {
	e.told[node.Name] = true
	e.done.Add(1)
	for _, key := range node.Keys {
		if key.TextLater {
			e.texts.expect(node.Name)
			break
		}
	}
	e.pending = append(e.pending, node)
}

// took is how long the node at hand has taken.
func (p *process) took() time.Duration {
	if p.at.IsZero() {
		return 0
	}
	return time.Since(p.at)
}

// stop ends a process whose nodes are others' now.
func (p *process) stop() {
	p.stopped = true
	p.end(nixeval.ErrEnough)
}

// takeEnd takes the end of a process, and its error.
func (e *Evaluation) takeEnd(ctx context.Context, p *process, err error) error {
	at := e.schedule.atHand(p.id)
	alone := e.schedule.runs[p.id].alone
	named := whose(err)
	var eval *nixeval.EvalError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case p.large || errors.Is(err, nixeval.ErrMemory):
		large := e.tooLarge(p, at)
		if large == nil {
			return nil
		}
		if err = large; at == "" {
			return err
		}
	case p.stopped || err == nil && at == "":
		e.schedule.ended(p.id)
		return nil
	case err == nil:
		err = fmt.Errorf("%w: it ended before it said anything about node %q", nixeval.ErrEval, at)
	case named != "":
		at = named
	case errors.Is(err, nixeval.ErrKilled) && !alone && at != "":
		e.log.Warn().Str("node", at).Msgf("%v, most likely as memory ran out: its nodes are evaluated again, this one by itself", err)
		e.schedule.ended(p.id, at)
		e.schedule.alone = append(e.schedule.alone, at)
		e.schedule.workers = 1
		e.share = e.limits.Memory
		return nil
	case errors.As(err, &eval) && at != "" && !p.at.IsZero():
		eval.Node = at // Nix had no time to say where it was
	case errors.Is(err, nixeval.ErrKilled) && at != "":
		err = fmt.Errorf("%w, as it was before beside others: most likely it needs more memory than there is", err)
	default:
		return err
	}
	if e.told[at] {
		return err // one that was left out, or done before
	}
	e.schedule.ended(p.id, at)
	e.give(Node{Node: hive.Node{Name: at}, Took: p.took(), Err: err})
	if e.hive != nil {
		e.spare()
		return nil
	}
	e.without = append(e.without, at)
	if err := e.noTags(); err != nil {
		return err
	}
	e.startFirst(ctx)
	return nil
}

// whose is the node that an error of a process names, "" if it names none.
func whose(err error) string {
	var eval *nixeval.EvalError
	var problem *hive.Problem
	switch {
	case errors.As(err, &eval):
		return eval.Node
	case errors.As(err, &problem):
		return problem.Node
	}
	return ""
}

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
