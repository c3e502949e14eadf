package remote

import (
	"os"
	"runtime"
	"testing"
	"time"
)

// A watch makes one connection after the other, for as long as it lasts.
func TestAHundredConnectionsThatAreLostLeaveNothingBehind(t *testing.T) {
	s := serve(t)
	var a Hosts
	defer a.Close()
	cfg := s.config(t)
	descriptors := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("no /proc")
		}
		return len(list)
	}
	var routines, files int
	for i := range 100 {
		h, err := a.Open(t.Context(), node, cfg)
		if err != nil {
			t.Fatal(err)
		}
		h.Run(t.Context(), "kill -9 $PPID", nil, nil, nil) // sshd's process for this connection
		select {
		case <-h.Ended():
		case <-time.After(20 * time.Second):
			t.Fatal("nobody notices that the connection is lost")
		}
		h.Close()
		if i == 10 {
			routines, files = runtime.NumGoroutine(), descriptors()
		}
	}
	if now := runtime.NumGoroutine(); now > routines+5 {
		t.Errorf("%d goroutines, and %d before", now, routines)
	}
	if now := descriptors(); now > files+3 {
		t.Errorf("%d open files, and %d before", now, files)
	}
	if len(a.open) > 0 {
		t.Errorf("%d connections are kept", len(a.open))
	}
}
