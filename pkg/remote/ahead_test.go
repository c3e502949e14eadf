package remote

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"time"
)

// take is bounded like dial.
func take(t *testing.T, a *Ahead, cfg Config) (*Host, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	h, err := a.Take(ctx, cfg)
	if err == nil {
		t.Cleanup(func() { h.Close() })
	}
	return h, err
}

// settled waits until everything that was begun has ended in one way or other.
func settled(a *Ahead) (hosts []*Host) {
	for _, waiting := range a.attempts {
		for _, t := range waiting {
			<-t.done
			hosts = append(hosts, t.host)
		}
	}
	return hosts
}

func mustRun(t *testing.T, h *Host) {
	t.Helper()
	if err := h.Run(t.Context(), "true", nil, nil, nil); err != nil {
		t.Error(err)
	}
}

func TestAConnectionMadeAheadIsTheOneThatIsTaken(t *testing.T) {
	s := serve(t)
	var a Ahead
	defer a.Close()
	cfg := s.config(t)
	a.Dial(t.Context(), cfg)
	begun := settled(&a)
	var notes []string
	cfg.Note = func(text string) { notes = append(notes, text) }
	h, err := take(t, &a, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(begun) != 1 || h != begun[0] {
		t.Error("another connection was made")
	}
	if len(notes) != 1 { // the host's key was new
		t.Errorf("notes %q, want what Dial had to say", notes)
	}
	mustRun(t, h)

	again, err := take(t, &a, cfg)
	if err != nil || again == h {
		t.Errorf("who comes second shares the connection, or gets %v", err)
	}
}

func TestAConnectionThatIsBeingMadeIsWaitedFor(t *testing.T) {
	s := serve(t)
	var a Ahead
	defer a.Close()
	cfg := s.config(t, `Match exec "sleep 0.3"`)
	a.Dial(t.Context(), cfg)
	begun := a.attempts[cfg.target()][0]
	h, err := take(t, &a, cfg)
	if err != nil || h != begun.host {
		t.Errorf("got %v, %v", h, err)
	}
}

func TestAConnectionElsewhereIsNotTaken(t *testing.T) {
	s := serve(t)
	var a Ahead
	defer a.Close()
	cfg := s.config(t)
	a.Dial(t.Context(), cfg)
	begun := settled(&a)
	for _, change := range []func(*Config){
		func(c *Config) { c.User = me(t) },
		func(c *Config) { c.Escalate = []string{"env"} },
		func(c *Config) { c.Host = "127.0.0.1" }, // of the configuration's Host line, box alone has a port
	} {
		other := cfg
		change(&other)
		if h, _ := take(t, &a, other); slices.Contains(begun, h) && h != nil {
			t.Errorf("%s got the connection of %s", other.target(), cfg.target())
		}
	}
}

func TestWhatFailedOrWasLostIsTriedAgain(t *testing.T) {
	s := serve(t)
	t.Run("lost", func(t *testing.T) {
		var a Ahead
		defer a.Close()
		a.Dial(t.Context(), s.config(t))
		begun := settled(&a)[0]
		begun.client.Client.Close()
		<-begun.ended
		h, err := take(t, &a, s.config(t))
		if err != nil || h == begun {
			t.Fatalf("got the lost one: %t, %v", h == begun, err)
		}
		mustRun(t, h)
	})
	t.Run("failed", func(t *testing.T) {
		var a Ahead
		defer a.Close()
		a.Dial(t.Context(), s.configAt(t, freePort(t)))
		settled(&a)
		if h, err := take(t, &a, s.config(t)); err != nil {
			t.Error(err)
		} else {
			mustRun(t, h)
		}
	})
}

// goleak sees what is left of connections.
func TestConnectionsThatNobodyTakesAreEnded(t *testing.T) {
	s := serve(t)
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	_, port, _ := net.SplitHostPort(mute.Addr().String())
	var a Ahead
	a.Dial(t.Context(), s.config(t))
	begun := settled(&a)[0]
	a.Dial(t.Context(), s.configAt(t, port)) // this one would take long
	begin := time.Now()
	a.Close()
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if !begun.lost() {
		t.Error("a connection is still there")
	}
	a.Dial(t.Context(), s.config(t)) // nobody would end it
	if len(settled(&a)) > 0 {
		t.Error("a connection is made after the end")
	}
}

func TestWhoWaitsForAConnectionCanBeStopped(t *testing.T) {
	s := serve(t)
	var a Ahead
	defer a.Close()
	cfg := s.config(t, `Match exec "sleep 8"`)
	a.Dial(t.Context(), cfg)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	time.AfterFunc(200*time.Millisecond, func() { cancel(why) })
	begin := time.Now()
	if _, err := a.Take(ctx, cfg); !errors.Is(err, why) || time.Since(begin) > 5*time.Second {
		t.Errorf("%v after %v, want %v at once", err, time.Since(begin), why)
	}
}
