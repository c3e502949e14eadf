package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAHostThatCannotBeReachedIsToldInFewWords(t *testing.T) {
	s := serve(t)
	port := freePort(t)
	for name, c := range map[string]struct {
		cfg  Config
		want string
	}{
		"another name": {s.configAt(t, port), "cannot reach box:" + port + " (127.0.0.1): connection refused"},
		"an address":   {s.asked(t, "127.0.0.2", port), "cannot reach 127.0.0.2:" + port + ": connection refused"},
		"an IPv6 one":  {s.asked(t, "::1", port), "cannot reach [::1]:" + port + ": connection refused"},
		"in brackets":  {s.asked(t, "[::1]", port), "cannot reach [::1]:" + port + ": connection refused"},
		"no name":      {s.asked(t, "web..fleet", port), "cannot reach web..fleet:" + port + ": no such host: set deployment.targetHost, or HostName in ssh_config"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dial(t, c.cfg)
			if !errors.Is(err, ErrUnreachable) || err.Error() != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// asked is a Config for a host that ssh_config has no words for.
func (s *server) asked(t *testing.T, host, port string) Config {
	t.Helper()
	name := "config-" + strings.ReplaceAll(host, ":", "_")
	s.write(t, name, fmt.Sprintf("Port %s\nIdentityAgent none\nUserKnownHostsFile %s\nGlobalKnownHostsFile /dev/null\n", port, s.path("known_hosts")))
	return Config{Host: host, SSHConfigFile: s.path(name)}
}

// listen accepts connections on a loopback port and hands them on.
func listen(t *testing.T, with func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			with(conn)
		}
	}()
	t.Cleanup(func() { listener.Close(); <-done })
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

func TestWhatOnlyGoSaysOfANetworkIsLeftOut(t *testing.T) {
	to := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 2222}
	cfg, s := Config{Host: "srv1"}, settings{HostName: "srv1", Port: 2222, ConnectTimeout: 15 * time.Second}
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupted"))
	for want, c := range map[string]struct {
		ctx context.Context
		err error
	}{
		"cannot reach srv1:2222 (192.0.2.7): no route to host":                     {t.Context(), &net.OpError{Op: "dial", Net: "tcp", Addr: to, Err: syscall.EHOSTUNREACH}},
		"cannot reach srv1:2222 (192.0.2.7): timed out after 15s":                  {t.Context(), &net.OpError{Op: "dial", Net: "tcp", Addr: to, Err: context.DeadlineExceeded}},
		"cannot reach srv1:2222: the name server does not answer in time":          {t.Context(), &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "i/o timeout", Name: "srv1", Server: "192.0.2.53:53", IsTimeout: true}}},
		"cannot reach srv1:2222: its name cannot be looked up: connection refused": {t.Context(), &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "read udp 192.0.2.1:1->192.0.2.53:53: read: connection refused", Name: "srv1", Server: "192.0.2.53:53"}}},
		"cannot reach srv1:2222 (192.0.2.7): interrupted":                          {ended, &net.OpError{Op: "dial", Net: "tcp", Addr: to, Err: context.Canceled}},
	} {
		if got := notReached(c.ctx, c.err, cfg, s); got.Error() != want || !errors.Is(got, ErrUnreachable) {
			t.Errorf("%v\nwant %s", got, want)
		}
	}
}

func TestAnErrorOfAHostKnowsWhatIsItsOwn(t *testing.T) {
	s := serve(t, "KbdInteractiveAuthentication no")
	s.write(t, "authorized_keys", "")
	for name, cfg := range map[string]Config{"refused": s.configAt(t, freePort(t)), "not let in": s.config(t)} {
		_, err := dial(t, cfg)
		var own interface{ Own() []string }
		if !errors.As(err, &own) {
			t.Fatalf("%s: %v does not know", name, err)
		}
		text := err.Error()
		for _, word := range own.Own() {
			if word != "" {
				text = strings.ReplaceAll(text, word, "")
			}
		}
		if strings.Contains(text, "127.0.0.1") || strings.Contains(text, "box:") {
			t.Errorf("%s: %s has what belongs to the host", name, text)
		}
	}
}
