package deploy

import (
	"fmt"
	"sync"
	"time"
)

// A step that takes long says so, and what it waits for: first after firstWait,
// then each time that twice as long has gone by.
var firstWait = 10 * time.Second

// waiting is the clock of one step.
type waiting struct {
	mu    sync.Mutex
	over  bool
	timer *time.Timer
}

// waitFor starts the clock of a step, which is told as text.
func (n *nodeRun) waitFor(text string) {
	n.stopWaiting()
	begin, next := time.Now(), firstWait
	w := &waiting{}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(next, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.over {
			return
		}
		n.note(fmt.Sprintf("still %s (%s)", text, time.Since(begin).Round(time.Second)))
		w.timer.Reset(next)
		next *= 2
	})
	n.waiting = w
}

// stopWaiting ends the clock; nothing is said any more when it returns.
func (n *nodeRun) stopWaiting() {
	if w := n.waiting; w != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.over = true
		w.timer.Stop()
	}
}
