package nixbuild

import (
	"sync"

	"github.com/colmena-go/colmena-go/pkg/crash"
)

// together does work for all who ask while it is busy at once: what comes meanwhile is
// the next batch. The zero value is ready for use.
type together[T any] struct {
	mu      sync.Mutex
	busy    bool
	waiting []T
}

// ask adds to the next batch. Unless somebody is at work already, a goroutine of all
// gives batch after batch to work until none is left.
func (t *together[T]) ask(one T, all *sync.WaitGroup, work func(batch []T)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = append(t.waiting, one)
	if t.busy {
		return
	}
	t.busy = true
	all.Go(crash.Guarded(func() {
		for batch := t.next(); len(batch) > 0; batch = t.next() {
			work(batch)
		}
	}))
}

// next takes the batch; without one, nobody is at work any more.
func (t *together[T]) next() []T {
	t.mu.Lock()
	defer t.mu.Unlock()
	batch := t.waiting
	t.waiting, t.busy = nil, len(batch) > 0
	return batch
}
