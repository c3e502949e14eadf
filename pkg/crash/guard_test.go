package crash

import (
	"strings"
	"sync"
	"testing"
)

func TestThePanicOfAGoroutineReachesWhatEndsTheProgram(t *testing.T) {
	caught := make(chan *Error, 1)
	OnPanic(func(e *Error) { caught <- e })
	defer ending.Store(nil)
	var all sync.WaitGroup
	all.Go(Guarded(func() { panic("hunter2") }))
	all.Wait()
	e := <-caught
	if text := e.Error() + string(e.Stack); strings.Contains(text, "hunter2") || !strings.Contains(text, "guard_test.go") {
		t.Errorf("told %s", text)
	}
}

func TestWithoutAnEndAPanicGoesOn(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("the panic is gone")
		}
	}()
	Guarded(func() { panic("x") })()
}
