package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// after is a ctx that ends for a reason.
func after(t *testing.T, wait time.Duration, why error) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	timer := time.AfterFunc(wait, func() { cancel(why) })
	t.Cleanup(func() { timer.Stop() })
	return ctx
}

// busy hangs up on the first so many, as sshd does at MaxStartups, and leads the
// others to s.
func (s *server) busy(t *testing.T, first int32, says string) (asked *atomic.Int32, port string) {
	t.Helper()
	asked = &atomic.Int32{}
	p := newProxy(t, "127.0.0.1:"+s.port)
	return asked, listen(t, func(conn net.Conn) {
		if asked.Add(1) <= first {
			io.WriteString(conn, says)
			conn.Close()
			return
		}
		go func() {
			defer conn.Close()
			to, err := net.Dial("tcp", "127.0.0.1:"+p.port)
			if err != nil {
				return
			}
			go func() { io.Copy(to, conn); to.Close() }()
			io.Copy(conn, to)
		}()
	})
}

func TestAHostThatIsBusyIsTriedAgain(t *testing.T) {
	s := serve(t)
	for name, says := range map[string]string{"silently": "", "with words": "Exceeded MaxStartups\r\n"} {
		t.Run(name, func(t *testing.T) {
			asked, port := s.busy(t, 3, says)
			h := mustDial(t, s.configAt(t, port))
			works(t, h)
			h.Close()
			if n := asked.Load(); n != 4 {
				t.Errorf("it took %d attempts", n)
			}
		})
	}
}

// MaxStartups of a real sshd, which one that does not log in has reached.
func TestAHostWithTooManyLoginsIsTriedUntilTheTimeIsOver(t *testing.T) {
	s := serve(t)
	s.write(t, "sshd_config", strings.Replace(s.read(t, "sshd_config"), "MaxStartups 100", "MaxStartups 1", 1))
	s = s.again(t)
	fill := func() net.Conn {
		for range 100 {
			conn, err := net.Dial("tcp", "127.0.0.1:"+s.port)
			if err != nil {
				t.Fatal(err)
			}
			if banner := make([]byte, 4); readAll(conn, banner) && string(banner) == "SSH-" {
				return conn
			}
			conn.Close()
			time.Sleep(20 * time.Millisecond) // until the end of another is noticed
		}
		t.Fatal("it is never free")
		return nil
	}
	fills := fill()
	_, err := dial(t, s.config(t, "ConnectTimeout 2"))
	fills.Close()
	for _, words := range []string{"Exceeded MaxStartups", " tries within 2s", "MaxStartups of its sshd_config"} {
		if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), words) {
			t.Errorf("%v does not say %q", err, words)
		}
	}
	fills = fill()
	time.AfterFunc(4*time.Second, func() { fills.Close() })
	works(t, mustDial(t, s.config(t)))
}

func readAll(conn net.Conn, into []byte) bool {
	_, err := io.ReadFull(conn, into)
	return err == nil
}

func TestAHostThatHangsUpIsToldWithItsWords(t *testing.T) {
	s := serve(t)
	for says, words := range map[string]string{
		"": "closes it (", "Not allowed at this time\r\n": "it says: Not allowed at this time (", strings.Repeat("\x1b[2Jno ", 5000) + "\n": "",
	} {
		asked, port := s.busy(t, 1000, says)
		_, err := dial(t, s.configAt(t, port, "ConnectTimeout 1"))
		if !errors.Is(err, ErrUnreachable) || len(err.Error()) > 500 || strings.Contains(err.Error(), "\x1b") {
			t.Fatalf("%q: %v", says[:min(len(says), 30)], err)
		}
		if len(says) < 100 && !strings.Contains(err.Error(), "reset by peer") && !strings.Contains(err.Error(), words) {
			t.Errorf("%v does not say %q", err, words)
		}
		if n := asked.Load(); len(says) < 100 && (n < 3 || !strings.Contains(err.Error(), fmt.Sprintf("(%d tries within 1s)", n))) {
			t.Errorf("%d tries: %v", n, err)
		}
	}
}

func TestAHostThatRefusesAfterItSpokeIsNotTriedAgain(t *testing.T) {
	asked := &atomic.Int32{}
	port := listen(t, func(conn net.Conn) {
		asked.Add(1)
		io.WriteString(conn, "SSH-2.0-odd\r\n")
		conn.Close()
	})
	if _, err := dial(t, serve(t).configAt(t, port)); !errors.Is(err, ErrUnreachable) || asked.Load() != 1 {
		t.Errorf("%d attempts: %v", asked.Load(), err)
	}
}

func TestConnectionAttemptsAreMade(t *testing.T) {
	set(t, &attemptWait, 100*time.Millisecond)
	s := serve(t)
	begin := time.Now()
	if _, err := dial(t, s.configAt(t, freePort(t), "ConnectionAttempts 4")); !errors.Is(err, ErrUnreachable) || time.Since(begin) < 300*time.Millisecond {
		t.Errorf("%v after %s", err, time.Since(begin))
	}
}

func TestTheAddressToConnectFromIsChosen(t *testing.T) {
	s := serve(t)
	for _, line := range []string{"BindAddress 127.0.0.9", "BindInterface lo"} {
		h := mustDial(t, s.config(t, line))
		var out strings.Builder
		if err := h.Run(t.Context(), "echo $SSH_CLIENT", nil, &out, nil); err != nil {
			t.Fatal(err)
		}
		if want := map[bool]string{true: "127.0.0.9 ", false: "127.0.0.1 "}[strings.HasPrefix(line, "BindA")]; !strings.HasPrefix(out.String(), want) {
			t.Errorf("%s: it came from %s", line, out.String())
		}
	}
	for line, says := range map[string]string{
		"BindAddress 192.0.2.1": "cannot assign requested address", "BindAddress nowhere.invalid": "bindaddress", "BindInterface none7": "bindinterface to \"none7\", which this machine does not have",
	} {
		if _, err := dial(t, s.config(t, line)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", line, err)
		}
	}
}
