package deploy

import (
	"context"
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
	n.waiting = Remind(func() string {
		if what := n.waitsFor(); what != "" {
			return "waiting for " + what
		}
		return text
	}, n.still)
}

// waitsFor is what the node's connection waits for beside the host; "" for nothing.
func (n *nodeRun) waitsFor() string {
	if n.tools.WaitsFor == nil {
		return ""
	}
	return n.tools.WaitsFor(n.node)
}

// within is ctx with a limit in which time does not count that others than the host take.
func (n *nodeRun) within(ctx context.Context, limit time.Duration, late error) (context.Context, func()) {
	ctx, end := context.WithCancelCause(ctx)
	look := min(limit/20+1, time.Second)
	go func() {
		defer crash.Guard()
		tick := time.NewTicker(look)
		defer tick.Stop()
		for left := limit; left > 0; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if n.waitsFor() == "" {
				left -= look
			}
		}
		end(late)
	}()
	return ctx, func() { end(nil) }
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
