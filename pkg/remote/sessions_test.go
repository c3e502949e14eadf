package remote

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// connections counts those that were made to a server.
func connections(t *testing.T, s *server, lines ...string) (Config, func() int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	made := make(chan struct{}, 1000)
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			made <- struct{}{}
			go func() {
				server, err := net.Dial("tcp", "127.0.0.1:"+s.port)
				if err != nil {
					client.Close()
					return
				}
				go func() { io.Copy(server, client); server.Close() }()
				io.Copy(client, server)
				client.Close()
			}()
		}
	}()
	return s.configAt(t, port, lines...), func() int { return len(made) }
}

func TestSessionsThatEndAreWaitedForOnOneConnection(t *testing.T) {
	set(t, &queueLimit, 4*time.Second)
	cfg, made := connections(t, serve(t, "MaxSessions 1"))
	h := mustDial(t, cfg)
	ended := make(chan error)
	for range 6 { // longer than the limit, all of them together
		go func() { ended <- h.Run(t.Context(), "sleep 0.8", nil, nil, nil) }()
	}
	for range 6 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if n := made(); n != 1 {
		t.Errorf("%d connections were made", n)
	}
}

func TestASessionThatWaitsForTheNextDoesNotWaitForEver(t *testing.T) {
	set(t, &queueLimit, 300*time.Millisecond)
	cfg, made := connections(t, serve(t, "MaxSessions 1"))
	h := mustDial(t, cfg)
	first, feed := io.Pipe()
	var out bytes.Buffer
	ended := make(chan error)
	go func() { ended <- h.Run(t.Context(), "cat", first, &out, nil) }()
	io.WriteString(feed, "begun\n")
	for range 2 { // each gets one of its own, and gives it back
		var said bytes.Buffer
		if err := h.Run(t.Context(), "cat", strings.NewReader("key"), &said, nil); err != nil || said.String() != "key" {
			t.Errorf("%v: %q", err, said.String())
		}
	}
	feed.Close()
	if err := <-ended; err != nil || out.String() != "begun\n" {
		t.Errorf("%v: %q", err, out.String())
	}
	if n := made(); n != 3 {
		t.Errorf("%d connections were made", n)
	}
	if err := h.Run(t.Context(), "true", nil, nil, nil); err != nil || made() != 3 {
		t.Errorf("later: %v, %d connections", err, made())
	}
}

// What was opened apart ends with the host's connection.
func TestNothingOutlivesAHostThatIsClosed(t *testing.T) {
	set(t, &queueLimit, 100*time.Millisecond)
	cfg, made := connections(t, serve(t, "MaxSessions 1"))
	h := mustDial(t, cfg)
	in, feed := io.Pipe()
	defer feed.Close()
	ended := make(chan error)
	for range 2 {
		go func() { ended <- h.Run(t.Context(), "cat", in, nil, nil) }()
	}
	for end := time.Now().Add(20 * time.Second); made() < 2 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(300 * time.Millisecond) // the second session is there, or nearly so
	h.Close()
	for range 2 {
		if err := <-ended; err == nil {
			t.Error("a command of a closed host succeeded")
		}
	}
}
