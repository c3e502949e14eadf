package remote

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestACommandMayBeGivenATerminal(t *testing.T) {
	s := serve(t)
	resized := make(chan struct{})
	var columns atomic.Int64
	columns.Store(91)
	user := Terminal{Kind: "xterm-test", Size: func() (int, int) { return int(columns.Load()), 23 }, Resized: resized}
	h := mustDial(t, s.config(t))
	typed, keyboard := io.Pipe()
	defer keyboard.Close()
	var shown bytes.Buffer
	done := make(chan error, 1)
	go func() {
		done <- h.RunOnTerminal(t.Context(), `tty -s && echo "$TERM"; stty size; read line; stty size; exit 5`, user, typed, &shown)
	}()
	columns.Store(101)
	select {
	case resized <- struct{}{}: // it is taken once the terminal is there
	case <-time.After(20 * time.Second):
		t.Error("the new size is not asked for")
	}
	time.Sleep(200 * time.Millisecond) // sshd has no answer to it
	io.WriteString(keyboard, "go on\n")
	var exit *ExitError
	if err := <-done; !errors.As(err, &exit) || exit.Status != 5 {
		t.Error(err)
	}
	if text := shown.String(); !strings.Contains(text, "xterm-test\r\n") || !strings.HasSuffix(text, "23 101\r\n") {
		t.Errorf("%q", text)
	}

	err := mustDial(t, s.config(t, viaSSH)).RunOnTerminal(t.Context(), "true", user, nil, nil)
	if !errors.Is(err, ErrNoTerminal) || !strings.Contains(err.Error(), "run ssh itself") {
		t.Errorf("over the ssh program: %v", err)
	}
}
