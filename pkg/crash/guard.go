package crash

import "sync/atomic"

var ending atomic.Pointer[func(*Error)]

// OnPanic says what ends the program when a goroutine panics that can give its
// error to nobody. Until then it ends in Go's own way.
func OnPanic(end func(*Error)) { ending.Store(&end) }

// Guard is to be deferred, first of all, in each such goroutine.
func Guard() {
	end := ending.Load()
	if end == nil {
		return // without recover the panic goes on
	}
	if value := recover(); value != nil {
		(*end)(New(value))
	}
}

// Guarded is f under a [Guard].
func Guarded(f func()) func() {
	return func() {
		defer Guard()
		f()
	}
}
