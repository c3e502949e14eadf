// Package typist runs programs on a terminal of their own, for tests that type.
package typist

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

// Session is a program at work on a terminal.
type Session struct {
	Cmd *exec.Cmd

	t      testing.TB
	screen *os.File
	ended  chan struct{} // when the program and all that it left there are gone

	mu   sync.Mutex
	text strings.Builder // all that was shown
	read int             // how much of it was awaited
}

// Start starts the program as the leader of a session with a new terminal, which
// ends with the test.
func Start(t testing.TB, cmd *exec.Cmd) *Session {
	t.Helper()
	screen, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: 200})
	if err != nil {
		t.Fatal(err)
	}
	s := &Session{Cmd: cmd, t: t, screen: screen, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		io.Copy(s, screen)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		screen.Close()
		<-s.ended
		if t.Failed() {
			t.Logf("the terminal:\n%s", s.Shown())
		}
	})
	return s
}

// Write takes what the terminal shows.
func (s *Session) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// Shown is all that the terminal has shown.
func (s *Session) Shown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.ReplaceAll(s.text.String(), "\r\n", "\n")
}

// Await waits for a text to be shown, after what was awaited before, and returns
// what came before it.
func (s *Session) Await(text string) (before string) {
	s.t.Helper()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if all := s.Shown(); len(all) > s.read {
			if at := strings.Index(all[s.read:], text); at >= 0 {
				before = all[s.read : s.read+at]
				s.read += at + len(text)
				return before
			}
		}
	}
	s.t.Fatalf("%q did not come:\n%s", text, s.Shown())
	return ""
}

// Type types; a line ends with \n, ^C is \x03, ^D \x04 and ^Z \x1a.
func (s *Session) Type(text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.screen, text); err != nil {
		s.t.Fatal(err)
	}
}

// Resize gives the terminal another size.
func (s *Session) Resize(rows, columns uint16) {
	s.t.Helper()
	if err := pty.Setsize(s.screen, &pty.Winsize{Rows: rows, Cols: columns}); err != nil {
		s.t.Fatal(err)
	}
}

// Wait waits for the program to end and returns its exit code.
func (s *Session) Wait() int {
	s.t.Helper()
	done := make(chan struct{})
	go func() {
		s.Cmd.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(60 * time.Second):
		s.t.Errorf("the program does not end:\n%s", s.Shown())
		s.Cmd.Process.Kill()
		<-done
	}
	select {
	case <-s.ended: // all that was shown is here
	case <-time.After(5 * time.Second):
	}
	return s.Cmd.ProcessState.ExitCode()
}

// Echoes reports whether the terminal shows what is typed now.
func (s *Session) Echoes() bool {
	s.t.Helper()
	echoes, err := echoes(s.screen)
	if err != nil {
		s.t.Fatal(err)
	}
	return echoes
}
