package nixbuild

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hive"
)

// Building is how far the builds of all nodes are, here and on their hosts.
type Building struct {
	Done, Failed, Expected int // Expected are all that are known of, those among them
	Running                []Work
	// Nodes says for people what the build of each node is at, or waits for; one that
	// neither builds nor waits is not in it.
	Nodes map[string]string
}

// failedAlready begins what is said of a node whose build cannot succeed any more,
// while others go on; a live view shows it among those that failed.
const failedAlready = "failed: "

// Work is a derivation that is being built.
type Work struct {
	Name  string
	Since time.Time // when it was first seen
}

// same reports whether two say the same.
func (b Building) same(other Building) bool {
	return b.Done == other.Done && b.Failed == other.Failed && b.Expected == other.Expected &&
		slices.Equal(b.Running, other.Running) && maps.Equal(b.Nodes, other.Nodes)
}

// observed is what one Nix builds, here or on a host.
type observed interface {
	counts() buildCounts
	running() []string                // paths of derivations, oldest first
	nodes(tell func(node, at string)) // those that wait for it, and for what
}

// watch puts together how far all builds are, and tells that now and then. The zero
// value tells nobody.
type watch struct {
	tell func(Building)
	rest func() map[string]string // what nodes wait for whose builds have not begun

	mu    sync.Mutex
	busy  bool // somebody looks
	begun []observed
	past  buildCounts // of those that are over
	since map[string]time.Time
	ended chan struct{} // one of them was over
}

// watchEvery is how often is looked, at most.
const watchEvery = 250 * time.Millisecond

// begin has what is built be told of until over is called. Goroutines are of all.
func (w *watch) begin(all *sync.WaitGroup, one observed) (over func()) {
	if w.tell == nil {
		return func() {}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun = append(w.begun, one)
	if !w.busy {
		w.busy, w.ended = true, make(chan struct{}, 1)
		all.Go(crash.Guarded(w.look))
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.begun = slices.DeleteFunc(w.begun, func(other observed) bool { return other == one })
		c := one.counts()
		w.past.done, w.past.failed = w.past.done+c.done, w.past.failed+c.failed
		select {
		case w.ended <- struct{}{}:
		default:
		}
	}
}

// look tells what has changed until nothing is built any more.
func (w *watch) look() {
	var last Building
	for {
		now, over := w.now(time.Now())
		if !now.same(last) {
			w.tell(now)
			last = now
		}
		if over {
			return
		}
		select {
		case <-w.ended:
		case <-time.After(watchEvery):
		}
	}
}

// now is how far all is, and whether nothing is built any more: who looks is to end then.
func (w *watch) now(at time.Time) (b Building, over bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b = Building{Done: w.past.done, Failed: w.past.failed, Expected: w.past.done + w.past.failed, Nodes: w.rest()}
	since := map[string]time.Time{}
	for _, one := range w.begun {
		c := one.counts()
		b.Done, b.Failed, b.Expected = b.Done+c.done, b.Failed+c.failed, b.Expected+max(c.expected, c.done+c.failed)
		for _, path := range one.running() {
			begun, known := w.since[path]
			if !known {
				begun = at
			}
			since[path] = begun
			b.Running = append(b.Running, Work{storeName(path), begun})
		}
		one.nodes(func(node, doing string) { b.Nodes[node] = doing })
	}
	w.since = since
	slices.SortStableFunc(b.Running, func(x, y Work) int { return x.Since.Compare(y.Since) })
	w.busy = len(w.begun) > 0
	return b, !w.busy
}

// queued are the nodes whose builds wait for the next process.
func (b *Builder) queued() map[string]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	nodes := map[string]string{}
	for _, r := range b.wanted {
		if r.waits() {
			nodes[r.Node] = "waits for builds of other nodes"
		}
	}
	return nodes
}

// --- by a process here ---------------------------------------------------------

func (r *round) counts() buildCounts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.counts
}

func (r *round) running() []string {
	over := r.over()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.building(over)
}

// over are the derivations for which nobody waits any more. Nix says of those it was asked
// for that they are being built until it ends itself.
func (r *round) over() map[string]bool {
	over := map[string]bool{}
	for _, request := range r.requests {
		if !request.waits() {
			over[request.DrvPath] = true
		}
	}
	for _, request := range r.waiting() {
		delete(over, request.DrvPath) // others wait for the same one
	}
	return over
}

func (r *round) nodes(tell func(node, at string)) {
	waiting := r.waiting()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.asked {
		return // whom what concerns
	}
	at, all := map[*request][]*work{}, r.log.atWork()
	for _, w := range all {
		concerned := r.concerned(w.path)
		if concerned == nil {
			concerned = r.requests
		}
		for _, request := range concerned {
			at[request] = append(at[request], w)
		}
	}
	for _, request := range waiting {
		if path := r.doomed[request]; path != "" {
			tell(request.Node, failedAlready+storeName(path)+" failed to build")
			continue
		}
		tell(request.Node, doing(at[request], all, request.DrvPath, request.OutPath))
	}
}

// doing says what somebody is at who waits for some work, or does it himself; who waits
// for none of it has their turn after all that goes on.
func doing(list, all []*work, own ...string) string {
	var names []string
	for _, w := range list {
		if slices.Contains(own, w.path) {
			return storeName(w.path)
		}
		names = append(names, storeName(w.path))
	}
	switch {
	case len(names) > 0:
		return "waits for " + hive.FirstFew(names)
	case len(all) > 0:
		return "waits for its turn after " + storeName(all[0].path)
	}
	return "waits for its turn"
}

// mostTold is how many derivations of one Nix are told: people look at the oldest.
const mostTold = 8

// building are the first derivations that are being built, oldest first, but for those.
func (l *buildLog) building(without map[string]bool) (paths []string) {
	for _, w := range l.atWork() {
		if w.kind == actBuild && !without[w.path] && len(paths) < mostTold {
			paths = append(paths, w.path)
		}
	}
	return paths
}

// --- by a host -----------------------------------------------------------------

func (h *hostLog) counts() buildCounts {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.counts
}

func (h *hostLog) running() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.building(nil)
}

func (h *hostLog) nodes(tell func(node, at string)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if list := h.log.atWork(); len(list) > 0 {
		tell(h.node, doing(list, nil, h.drv))
	}
}
