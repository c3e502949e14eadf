package remote

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

const node = "web"

// take is bounded like dial.
func take(t *testing.T, a *Hosts, cfg Config) (*Host, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	h, err := a.Open(ctx, node, cfg)
	if err == nil {
		t.Cleanup(func() { h.Close() })
	}
	return h, err
}

// begun dials ahead and waits for the end of that.
func begun(t *testing.T, a *Hosts, cfg Config) *attempt {
	t.Helper()
	a.Prepare(t.Context(), node, cfg)
	attempt := a.attempts[node]
	<-attempt.done
	return attempt
}

func mustRun(t *testing.T, h *Host) {
	t.Helper()
	if err := h.Run(t.Context(), "true", nil, nil, nil); err != nil {
		t.Error(err)
	}
}

func TestAConnectionMadeAheadIsTheOneThatIsTaken(t *testing.T) {
	s := serve(t)
	var a Hosts
	defer a.Close()
	cfg := s.config(t)
	first := begun(t, &a, cfg)
	a.Prepare(t.Context(), node, cfg) // once is enough
	if a.attempts[node] != first {
		t.Error("a node is dialled twice")
	}
	h, err := take(t, &a, cfg)
	if err != nil || h != first.host {
		t.Fatalf("another connection was made, or none: %v", err)
	}
	mustRun(t, h)
	if again, err := take(t, &a, cfg); err != nil || again == h {
		t.Errorf("who comes second shares the connection, or gets %v", err)
	}
}

func TestAConnectionThatIsBeingMadeIsWaitedFor(t *testing.T) {
	s := serve(t)
	var a Hosts
	defer a.Close()
	cfg := s.config(t, `Match exec "sleep 0.3"`)
	a.Prepare(t.Context(), node, cfg)
	first := a.attempts[node]
	h, err := take(t, &a, cfg)
	if err != nil || h != first.host {
		t.Errorf("got %v, %v", h, err)
	}
}

func TestAConnectionElsewhereIsNotTaken(t *testing.T) {
	s := serve(t)
	for name, change := range map[string]func(*Config){
		"host":          func(c *Config) { c.Host = "BOX" },
		"port":          func(c *Config) { c.Port = 22 },
		"user":          func(c *Config) { c.User = me(t) },
		"escalation":    func(c *Config) { c.Escalate = []string{"env"} },
		"configuration": func(c *Config) { c.SSHConfigFile = "/dev/null" },
	} {
		var a Hosts
		cfg := s.config(t)
		first := begun(t, &a, cfg)
		change(&cfg)
		if h, _ := take(t, &a, cfg); h == first.host {
			t.Errorf("another %s, the same connection", name)
		}
		a.Close()
		if !first.host.lost() {
			t.Errorf("another %s: the first connection is left", name)
		}
	}
}

// A host's key that is accepted before anybody knows whether it is needed.
func TestANoteIsToldThoughTheConnectionIsNotTaken(t *testing.T) {
	s := serve(t)
	var a Hosts
	cfg := s.config(t)
	var notes []string
	cfg.Note = func(text string) { notes = append(notes, text) }
	begun(t, &a, cfg)
	a.Close()
	if len(notes) != 1 || !strings.Contains(notes[0], "new host") {
		t.Errorf("notes %q", notes)
	}
}

func TestAHostThatWasOutOfReachIsTriedAgain(t *testing.T) {
	s := serve(t)
	var a Hosts
	defer a.Close()
	if first := begun(t, &a, s.configAt(t, freePort(t))); !errors.Is(first.err, ErrUnreachable) {
		t.Fatal(first.err)
	}
	if h, err := take(t, &a, s.config(t)); err != nil {
		t.Error(err)
	} else {
		mustRun(t, h)
	}
}

// Each refusal counts: for a server that locks out, a sudo that sends mail.
func TestAHostThatRefusedIsNotAskedAgain(t *testing.T) {
	s := serve(t)
	var a Hosts
	defer a.Close()
	first := begun(t, &a, s.config(t, "User no-such-user"))
	if !errors.Is(first.err, ErrAuth) {
		t.Fatal(first.err)
	}
	if _, err := take(t, &a, s.config(t)); err != first.err {
		t.Errorf("%v, want the first refusal: %v", err, first.err)
	}
}

// Nobody saw that the agent waited, or knew what for.
func TestAnAgentThatWaitedInVainIsAskedAgain(t *testing.T) {
	set(t, &handshakeGrace, 500*time.Millisecond)
	for _, early := range []bool{true, false} {
		s := serve(t)
		u := undecided{keyring(t, s.path("id")), make(chan struct{})}
		socket := serveAgent(t, u)
		t.Cleanup(func() { close(u.end) })
		var a Hosts
		a.Prepare(t.Context(), node, s.config(t, "IdentityAgent "+socket, "ConnectTimeout 1"))
		first := a.attempts[node]
		if early {
			<-first.done
		} else {
			time.Sleep(300 * time.Millisecond) // ssh -G has read the configuration
		}
		h, err := take(t, &a, s.config(t))
		if err != nil || !errors.Is(first.err, ErrAgent) {
			t.Errorf("first %v, then %v", first.err, err)
		} else {
			mustRun(t, h)
		}
		a.Close()
	}
}

func TestAConnectionThatDiedMeanwhileIsReplaced(t *testing.T) {
	set(t, &answerLimit, 500*time.Millisecond)
	set(t, &fresh, 0)
	s := serve(t)
	for name, die := range map[string]func(*proxy, *Host){
		"closed": func(_ *proxy, h *Host) { h.conn.Close(); <-h.ended },
		"silent": func(p *proxy, _ *Host) { p.freeze() },
	} {
		t.Run(name, func(t *testing.T) {
			p := newProxy(t, "127.0.0.1:"+s.port)
			var a Hosts
			defer a.Close()
			first := begun(t, &a, s.configAt(t, p.port))
			if first.err != nil {
				t.Fatal(first.err)
			}
			die(p, first.host)
			h, err := take(t, &a, s.config(t))
			if err != nil || h == first.host {
				t.Fatalf("got the dead one: %t, %v", h == first.host, err)
			}
			mustRun(t, h)
			if !first.host.lost() {
				t.Error("the dead connection is left")
			}
		})
	}
}

// goleak sees what is left of connections.
func TestConnectionsThatNobodyTakesAreEnded(t *testing.T) {
	s := serve(t)
	mute, port := silent(t)
	var a Hosts
	first := begun(t, &a, s.config(t))
	a.Prepare(t.Context(), "mute", s.configAt(t, port)) // this one would take long
	if conn, err := mute.Accept(); err != nil {
		t.Fatal(err)
	} else {
		defer conn.Close()
	}
	begin := time.Now()
	a.Close()
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if !first.host.lost() {
		t.Error("a connection is still there")
	}
	a.Prepare(t.Context(), node, s.config(t)) // nobody would end it
	if len(a.attempts) > 0 {
		t.Error("a connection is made after the end")
	}
}

func TestWhoIsNeededWaitsForNoneThatAreNot(t *testing.T) {
	s := serve(t)
	mute, port := silent(t)
	var a Hosts
	defer a.Close()
	slow := s.configAt(t, port)
	for i := range aheadLimit {
		a.Prepare(t.Context(), fmt.Sprint("mute", i), slow)
		conn, err := mute.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	cfg := s.config(t)
	a.Prepare(t.Context(), node, cfg)
	first := a.attempts[node]
	time.Sleep(300 * time.Millisecond)
	select {
	case <-first.done:
		t.Fatal("more are under way than the limit allows")
	default:
	}
	begin := time.Now()
	h, err := take(t, &a, cfg)
	if err != nil || h != first.host || time.Since(begin) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}

func TestWhoWaitsForAConnectionCanBeStopped(t *testing.T) {
	s := serve(t)
	var a Hosts
	defer a.Close()
	cfg := s.config(t, `Match exec "sleep 8"`)
	a.Prepare(t.Context(), node, cfg)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	time.AfterFunc(200*time.Millisecond, func() { cancel(why) })
	begin := time.Now()
	if _, err := a.Open(ctx, node, cfg); !errors.Is(err, why) || time.Since(begin) > 5*time.Second {
		t.Errorf("%v after %v, want %v at once", err, time.Since(begin), why)
	}
}

func TestAConnectionIsMadeAgain(t *testing.T) {
	s := serve(t)
	var a Hosts
	defer a.Close()
	first, err := take(t, &a, s.config(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, before := range map[string]func(){"in use": func() {}, "closed": func() { first.Close() }} {
		before()
		again, err := a.Reopen(t.Context(), node, s.config(t))
		if err != nil || again == first {
			t.Fatalf("%s: %v, or it is the same", name, err)
		}
		if err := first.Run(t.Context(), "true", nil, nil, nil); err == nil {
			t.Errorf("%s: the earlier connection can be used still", name)
		}
		mustRun(t, again)
		first = again
	}
}

func TestNoConnectionOutlivesTheDeployment(t *testing.T) {
	s := serve(t)
	var a Hosts
	opened, err := take(t, &a, s.config(t))
	if err != nil {
		t.Fatal(err)
	}
	closed, err := a.Open(t.Context(), "mail", s.config(t))
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if len(a.open) != 1 {
		t.Errorf("%d connections are open, not 1", len(a.open))
	}
	a.Close()
	if !opened.lost() || len(a.open) > 0 {
		t.Errorf("%d connections are left", len(a.open))
	}
	if h, err := a.Reopen(t.Context(), node, s.config(t)); err == nil {
		h.Close()
		t.Error("a connection is made after the end")
	}
}
