package deploy

import (
	"fmt"
	"sync"
	"time"

	"github.com/colmena-go/colmena-go/pkg/crash"
)

// What takes long says so, and what it waits for: first after firstWait, then
// each time that twice as long has gone by.
var firstWait = 10 * time.Second

// Remind tells note "still TEXT" while what the text says takes long; the text is
// asked for each time. Nothing is told any more when stop returns, which may be
// called again.
func Remind(text func() string, note func(text string)) (stop func()) {
	var mu sync.Mutex
	mu.Lock()
	defer mu.Unlock()
	over, begin, next := false, time.Now(), firstWait
	var timer *time.Timer
	timer = time.AfterFunc(next, func() {
		defer crash.Guard()
		mu.Lock()
		defer mu.Unlock()
		if over {
			return
		}
		note(fmt.Sprintf("still %s (%s)", text(), time.Since(begin).Round(time.Second)))
		timer.Reset(next)
		next *= 2
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		over = true
		timer.Stop()
	}
}

// waitFor starts the clock of a step, which is told as text.
func (n *nodeRun) waitFor(text string) {
	n.stopWaiting()
	n.waiting = Remind(func() string { return text }, n.still)
}

// stopWaiting ends the clock; nothing is said any more when it returns.
func (n *nodeRun) stopWaiting() {
	if n.waiting != nil {
		n.waiting()
	}
}

// joined is what takes long and, if that is known, why.
func joined(text, why string) string {
	if why == "" {
		return text
	}
	return text + ": " + why
}
