package keysource

import (
	"fmt"
	"slices"
	"sync"
)

// working is which keyCommands of a node run. A nil one tells nobody.
type working struct {
	tell func(what string)

	mu      sync.Mutex
	running []string // the oldest first
}

// begin tells of one that runs until over is called.
func (w *working) begin(what string) (over func()) {
	if w == nil {
		return func() {}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = append(w.running, what)
	w.say()
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if i := slices.Index(w.running, what); i >= 0 {
			w.running = slices.Delete(w.running, i, i+1)
		}
		w.say()
	}
}

// say tells the oldest, and how many run beside it. It is called with mu.
func (w *working) say() {
	switch n := len(w.running); n {
	case 0:
		w.tell("")
	case 1:
		w.tell(w.running[0])
	default:
		w.tell(fmt.Sprintf("%s, and %d more", w.running[0], n-1))
	}
}
