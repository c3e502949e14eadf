package remote

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// A program on the host that takes our bytes and says nothing, or falls silent
// in the middle, holds nobody up.
func TestAForwardThatStandsStillIsEnded(t *testing.T) {
	s := serve(t)
	set(t, &answerWithin, 300*time.Millisecond)
	set(t, &moveWithin, 600*time.Millisecond)
	for command, echo := range map[string]bool{"sleep 60": false, "cat": true} {
		h := mustDial(t, s.config(t)) // a command that does not end takes it along
		socket, stop, err := h.forward(t.Context(), t.TempDir(), command)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		conn.Write([]byte("hello"))
		got, err := io.ReadAll(conn)
		if errors.Is(err, syscall.ECONNRESET) { // what we sent was not read
			err = nil
		}
		if err != nil || echo != (string(got) == "hello") {
			t.Errorf("%s: %q, %v", command, got, err)
		}
		conn.Close()
		if err := stop(); !errors.Is(err, ErrStalled) {
			t.Errorf("%s: %v, want ErrStalled", command, err)
		}
	}
}

func TestAForwardThatMovesIsNotEnded(t *testing.T) {
	s := serve(t)
	h := mustDial(t, s.config(t))
	set(t, &answerWithin, 500*time.Millisecond)
	set(t, &moveWithin, 3*time.Second)
	socket, stop, err := h.forward(t.Context(), t.TempDir(), "cat")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i := range 8 {
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if i == 3 { // busy for longer than a first answer may take, as with a large path
			time.Sleep(1200 * time.Millisecond)
		}
		time.Sleep(300 * time.Millisecond) // longer than any limit, all in all
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
