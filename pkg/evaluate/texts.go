package evaluate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nixeval"
)

// texts evaluates the texts of keys that came without them, one process after
// another, each those of nodes that are known to need theirs. Others make room for
// that one; its heap is as theirs.
type texts struct {
	evaluator Evaluator
	most      int   // nodes of one process
	heap      int64 // bytes that Nix's collector begins with
	limit     Limits
	pid       atomic.Int64 // of the process that runs; 0 if none does

	mu    sync.Mutex
	asked []string               // nodes whose texts nobody has evaluated
	got   map[string]textsOfNode // by node
	turn  chan struct{}          // closed when the process that runs has ended; nil if none does
}

type textsOfNode struct {
	keys []hive.Key
	err  error
}

// expect is told of a node whose texts will be needed.
func (t *texts) expect(node string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked = append(t.asked, node)
}

// WithTexts is the node with the texts of its keys, which are evaluated if they
// came without. It fails as [Node.Err] does, or with the cause of ctx.
func (e *Evaluation) WithTexts(ctx context.Context, node hive.Node) (hive.Node, error) {
	if !slices.ContainsFunc(node.Keys, func(k hive.Key) bool { return k.TextLater }) {
		return node, nil
	}
	found, err := e.texts.of(ctx, node.Name)
	if err != nil {
		return node, err
	}
	keys := slices.Clone(node.Keys)
	for i, key := range keys {
		if !key.TextLater {
			continue
		}
		at := slices.IndexFunc(found, func(k hive.Key) bool { return k.Attr == key.Attr && k.Text != nil })
		if at < 0 || !alikeButForText(found[at], key) {
			return node, fmt.Errorf("key %q changed while the hive was being evaluated; run the command again", key.Attr)
		}
		keys[i].Text, keys[i].TextLater = found[at].Text, false
	}
	node.Keys = keys
	return node, nil
}

// alikeButForText: the text of one may go where that of the other belongs.
func alikeButForText(a, b hive.Key) bool {
	for _, key := range []*hive.Key{&a, &b} {
		key.Text, key.TextLater = nil, false
	}
	return reflect.DeepEqual(a, b)
}

// of are the keys of a node, with their texts.
func (t *texts) of(ctx context.Context, node string) ([]hive.Key, error) {
	for {
		t.mu.Lock()
		if found, ok := t.got[node]; ok {
			t.mu.Unlock()
			return found.keys, found.err
		}
		turn := t.turn
		if turn == nil {
			turn = make(chan struct{})
			t.turn = turn
			others := slices.DeleteFunc(t.asked, func(other string) bool { return other == node })
			n := min(len(others), max(0, t.most-1))
			nodes := append([]string{node}, others[:n]...)
			t.asked = others[n:]
			t.mu.Unlock()
			t.run(ctx, nodes)
			continue
		}
		t.mu.Unlock()
		select {
		case <-turn:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// process is the id of the process that runs, 0 if none does.
func (t *texts) process() int { return int(t.pid.Load()) }

// run evaluates the texts of nodes, again without one that is broken, and those that
// together take too much memory one by one.
func (t *texts) run(ctx context.Context, nodes []string) {
	got := map[string]textsOfNode{}
	defer t.over(got) // whatever happens, as others wait
	isGot := func(node string) bool { _, is := got[node]; return is }
	for atOnce := len(nodes); len(nodes) > 0; nodes = slices.DeleteFunc(nodes, isGot) {
		batch := slices.Clone(nodes[:min(atOnce, len(nodes))])
		err := t.evaluate(ctx, batch, got)
		left := slices.DeleteFunc(batch, isGot)
		switch at := slices.Index(left, whose(err)); {
		case at >= 0:
			left = left[at : at+1]
		case errors.Is(err, nixeval.ErrMemory) && atOnce > 1:
			atOnce = 1
			continue
		case errors.Is(err, nixeval.ErrMemory) && len(left) > 0:
			err = &TooLarge{Node: left[0], Limit: t.limit.Memory}
		case err == nil:
			err = errNoTexts
		}
		for _, node := range left {
			got[node] = textsOfNode{err: err}
		}
	}
}

// evaluate evaluates the texts of nodes in one process, and adds what it gets.
func (t *texts) evaluate(ctx context.Context, nodes []string, got map[string]textsOfNode) error {
	defer t.pid.Store(0)
	ctx, tooMuch := context.WithCancelCause(ctx)
	defer tooMuch(nil)
	defer t.watch(tooMuch)()
	part := nixeval.Part{
		Request: nixeval.Request{Keys: true}, Only: slices.Clone(nodes), Most: len(nodes), Texts: true,
		Room: nixeval.Room{Heap: t.heap, Memory: t.limit.most()},
	}
	return t.evaluator.Run(ctx, part, nixeval.Hooks{
		Started: func(pid int) {
			t.pid.Store(int64(pid))
			killFirst(pid)
		},
		Done: func(text []byte) {
			node, err := hive.DecodeNode(text)
			got[node.Name] = textsOfNode{node.Keys, err}
		},
	})
}

// watch ends the process that runs where it takes too much memory by itself: what Nix's
// collector does not know of is no part of its limit. Beside others, those make room.
func (t *texts) watch(end context.CancelCauseFunc) (stop func()) {
	if t.limit.Memory <= 0 {
		return func() {}
	}
	ended := make(chan struct{})
	go crash.Guarded(func() {
		clock := time.NewTicker(tick)
		defer clock.Stop()
		for {
			select {
			case <-clock.C:
				if residentMemory(t.process()) >= t.limit.Memory {
					end(errors.Join(nixeval.ErrMemory, nixeval.ErrEnough))
				}
			case <-ended:
				return
			}
		}
	})()
	return func() { close(ended) }
}

// over ends a turn with what was got.
func (t *texts) over(got map[string]textsOfNode) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.got == nil {
		t.got = map[string]textsOfNode{}
	}
	maps.Copy(t.got, got)
	close(t.turn)
	t.turn = nil
}

var errNoTexts = errors.New("the evaluation ended without the texts of the keys")
