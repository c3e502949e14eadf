package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hostscript"
)

// viaSSH is a line of ssh_config that only the ssh program can follow, and does no
// harm to the keys of these tests.
const viaSSH = "SecurityKeyProvider /nowhere.so"

// Both kinds of connection do the same.
func TestConnections(t *testing.T) {
	for kind, line := range map[string]string{"native": "", "ssh": viaSSH} {
		t.Run(kind, func(t *testing.T) {
			s := serve(t)
			link := func(t *testing.T) *Host {
				h := mustDial(t, s.config(t, line))
				if _, ours := h.conn.(native); ours != (kind == "native") {
					t.Fatalf("it is a %T", h.conn)
				}
				return h
			}
			t.Run("bytes and status", func(t *testing.T) { carriesBytes(t, link(t)) })
			t.Run("stdin stays open", func(t *testing.T) { endsThoughStdinIsOpen(t, link(t)) })
			for _, sessions := range []string{"MaxSessions 10", "MaxSessions 2", "MaxSessions 1"} { // the default, and less than we open
				t.Run("many at once, "+sessions, func(t *testing.T) { queues(t, mustDial(t, serve(t, sessions).config(t, line))) })
			}
			t.Run("a shell that is kept", func(t *testing.T) {
				for _, most := range []string{"MaxSessions 10", "MaxSessions 1"} {
					keepsAShell(t, serve(t, most), line)
				}
			})
			t.Run("cancelled", func(t *testing.T) { isCancelled(t, link(t), s.path("ended-"+kind)) })
			t.Run("nobody reads", func(t *testing.T) { endsWithItsReader(t, link(t)) })
			t.Run("probed", func(t *testing.T) { isProbed(t, link(t)) })
			t.Run("no sessions", func(t *testing.T) {
				set(t, &sessionLimit, 200*time.Millisecond)
				h := mustDial(t, serve(t, "MaxSessions 0").config(t, line))
				if err := h.Run(t.Context(), "true", nil, nil, nil); err == nil || errors.Is(err, ErrConnectionLost) || !strings.Contains(err.Error(), "MaxSessions") {
					t.Errorf("error %v, want one that says MaxSessions", err)
				}
			})
			t.Run("lost", func(t *testing.T) { isLost(t, s, line) })
			t.Run("silent", func(t *testing.T) { fallsSilent(t, s, line) })
			t.Run("closed", func(t *testing.T) { leavesNothing(t, link(t), s) })
		})
	}
}

// keepsAShell: a shell that is kept for a script holds nobody up, neither the script nor
// what goes without it, and is a session of the one connection.
func keepsAShell(t *testing.T, s *server, line string) {
	cfg, made := connections(t, s, line)
	h := mustDial(t, cfg)
	before := made()
	for _, next := range []hostscript.Call{{Program: "echo done"}, {Script: []byte("{\necho done\nexit\n}\n")}} {
		var answer, out bytes.Buffer
		if err := hostscript.Ask(t.Context(), h, hostscript.Call{Program: "echo answer", Stdout: &answer}); err != nil || answer.String() != "answer\n" {
			t.Fatalf("%v: %q", err, answer.String())
		}
		next.Stdout = &out
		begin := time.Now()
		if err := hostscript.Run(t.Context(), h, next); err != nil || out.String() != "done\n" || time.Since(begin) > queueLimit {
			t.Errorf("%v: %q after %s", err, out.String(), time.Since(begin))
		}
	}
	if n := made(); n != before {
		t.Errorf("%d more connections were made", n-before)
	}
	if err := hostscript.Ask(t.Context(), h, hostscript.Call{Program: "echo answer"}); err != nil {
		t.Error(err)
	}
	h.Close() // while one is kept: no goroutine stays
}

func carriesBytes(t *testing.T, h *Host) {
	payload := bytes.Repeat([]byte("\x00\xff\n'$x"), 300_000)
	var out, errs bytes.Buffer
	if err := h.Run(t.Context(), `sh -c 'echo oops >&2; cat'`, bytes.NewReader(payload), &out, &errs); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), payload) || errs.String() != "oops\n" {
		t.Errorf("the bytes did not arrive as they were: %d of %d, %q", out.Len(), len(payload), errs.String())
	}
	var exit *ExitError
	for _, status := range []int{1, 7, 255} {
		if err := h.Run(t.Context(), fmt.Sprintf("sh -c 'exit %d'", status), nil, nil, nil); !errors.As(err, &exit) || exit.ExitStatus() != status || exit.Signal != "" {
			t.Errorf("error %v, want status %d", err, status)
		}
	}
	out.Reset()
	err := h.Run(t.Context(), "exec sh -c 'echo bye; kill -TERM $$'", nil, &out, nil)
	if !errors.As(err, &exit) || exit.Signal == "" || out.String() != "bye\n" {
		t.Errorf("error %v after %q, want one of a signal", err, out.String())
	}
}

func endsThoughStdinIsOpen(t *testing.T, h *Host) {
	stdin, feed := io.Pipe()
	defer feed.Close()
	if err := h.Run(t.Context(), "true", stdin, nil, nil); err != nil {
		t.Error(err)
	}
}

func queues(t *testing.T, h *Host) {
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { works(t, h) })
	}
	all.Wait()
}

func isCancelled(t *testing.T, h *Host, marker string) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	stdin, feed := io.Pipe()
	defer feed.Close()
	begun := make(chan struct{})
	go func() { <-begun; cancel(why) }()
	begin := time.Now()
	err := h.Run(ctx, "sh -c 'echo hi; cat; touch "+marker+"'", stdin, notifying(begun), nil)
	if !errors.Is(err, why) || time.Since(begin) > 5*time.Second {
		t.Errorf("error %v after %v", err, time.Since(begin))
	}
	eventually(t, "the command on the host goes on", func() bool { _, err := os.Stat(marker); return err == nil })
	works(t, h)
}

// notifying closes a channel at the first Write.
type notifying chan struct{}

func (n notifying) Write(p []byte) (int, error) {
	select {
	case <-n:
	default:
		close(n)
	}
	return len(p), nil
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 200 {
		if done() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error(what)
}

func endsWithItsReader(t *testing.T, h *Host) {
	full := errors.New("no room")
	if err := h.Run(t.Context(), "yes", nil, failing{full}, nil); !errors.Is(err, full) {
		t.Errorf("%v, want %v", err, full)
	}
	works(t, h)
}

type failing struct{ error }

func (f failing) Write([]byte) (int, error) { return 0, f.error }

func isProbed(t *testing.T, h *Host) {
	if err := h.conn.Probe(); err != nil || !h.answers(t.Context()) {
		t.Error(err)
	}
	h.conn.Close()
	if err := h.conn.Probe(); err == nil || h.answers(t.Context()) {
		t.Error("a closed connection answers")
	}
	<-h.ended
}

func isLost(t *testing.T, s *server, line string) {
	p := newProxy(t, "127.0.0.1:"+s.port)
	h := mustDial(t, s.configAt(t, p.port, line))
	begun := make(chan struct{})
	go func() { <-begun; p.cut() }()
	if err := h.Run(t.Context(), "echo hi; sleep 20", nil, notifying(begun), nil); !errors.Is(err, ErrConnectionLost) {
		t.Errorf("%v, want %v", err, ErrConnectionLost)
	}
	<-h.ended
	if err := h.Run(t.Context(), "true", nil, nil, nil); !errors.Is(err, ErrConnectionLost) {
		t.Errorf("later: %v, want %v", err, ErrConnectionLost)
	}
}

func fallsSilent(t *testing.T, s *server, line string) {
	p := newProxy(t, "127.0.0.1:"+s.port)
	h := mustDial(t, s.configAt(t, p.port, line, "ServerAliveInterval 1", "ServerAliveCountMax 2"))
	begun := make(chan struct{})
	go func() { <-begun; p.freeze() }()
	begin := time.Now()
	if err := h.Run(t.Context(), "echo hi; sleep 20", nil, notifying(begun), nil); !errors.Is(err, ErrConnectionLost) || time.Since(begin) > 15*time.Second {
		t.Errorf("%v after %s, want %v", err, time.Since(begin), ErrConnectionLost)
	}
}

func leavesNothing(t *testing.T, h *Host, s *server) {
	works(t, h)
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if out, err := exec.Command("pgrep", "-f", "ssh .*"+s.path("ssh_config")).Output(); err == nil {
		t.Errorf("left running: %s", out)
	}
	if m, ok := h.conn.(*master); ok {
		if _, err := os.Stat(m.socket); !os.IsNotExist(err) {
			t.Errorf("the socket is left: %v", err)
		}
	}
}

func TestWhatOurClientCannotDoTheSSHProgramDoes(t *testing.T) {
	s := serve(t, "Ciphers aes192-cbc,aes128-cbc,aes256-ctr", "MACs hmac-md5,hmac-sha2-256")
	gate := serve(t)
	f := behind(t, s, map[string]*server{"gate": gate})
	s.write(t, "krl-of", s.read(t, "id.pub"))
	if out, err := exec.Command("ssh-keygen", "-k", "-f", s.path("krl"), s.path("krl-of")).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
	for name, lines := range map[string][]string{
		"PKCS11Provider":  {"PKCS11Provider /nowhere.so"},
		"ciphers":         {"Ciphers aes192-cbc"},
		"macs":            {"MACs hmac-md5"},
		"a KRL":           {"RevokedHostKeys " + s.path("krl")},
		"a jump host's":   {"Host gate", viaSSH, "Host box", "ProxyJump gate"},
		"with other ways": {viaSSH, "Host box", "ProxyJump gate"},
	} {
		t.Run(name, func(t *testing.T) {
			h := mustDial(t, f.config(t, lines...))
			if _, ok := h.conn.(*master); !ok {
				t.Errorf("it is a %T", h.conn)
			}
			works(t, h)
		})
	}
	for _, line := range []string{"Ciphers aes192-cbc,aes256-ctr", "Ciphers aes128-cbc"} {
		if _, ok := mustDial(t, s.config(t, line)).conn.(native); !ok {
			t.Errorf("%s: one that our own client has is enough", line)
		}
	}
	odd := serve(t, "MACs umac-64@openssh.com", "Ciphers aes256-ctr") // by default for ssh
	if _, ok := mustDial(t, odd.config(t)).conn.(*master); !ok {
		t.Error("a host that has nothing in common with our own client is connected to by it")
	}
}

func TestWhyTheSSHProgramDoesNotConnectIsTold(t *testing.T) {
	s := serve(t)
	keygen(t, s.path("stranger"), "-t", "ed25519")
	_, quiet := silent(t)
	set(t, &handshakeGrace, 0)
	for name, c := range map[string]struct {
		port, known string
		lines       []string
		kind        error
		says        string
	}{
		"refused":      {freePort(t), "", nil, ErrUnreachable, "Connection refused"},
		"silent":       {quiet, "", []string{"ConnectTimeout 1"}, ErrUnreachable, ""},
		"another key":  {s.port, "[127.0.0.1]:" + s.port + " " + s.read(t, "stranger.pub"), []string{"StrictHostKeyChecking no"}, ErrHostKey, "known_hosts:1"},
		"strict":       {s.port, "", []string{"StrictHostKeyChecking yes"}, ErrHostKey, "Host key verification failed"},
		"not let in":   {s.port, "", []string{"IdentityFile /none", "IdentitiesOnly yes"}, ErrAuth, "Permission denied"},
		"no such name": {s.port, "", []string{"HostName nowhere.invalid"}, ErrUnreachable, "nowhere.invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			s.write(t, "known_hosts", c.known)
			cfg := s.configAt(t, c.port, append(c.lines, viaSSH)...)
			if name == "not let in" {
				s.write(t, "ssh_config", strings.ReplaceAll(s.read(t, "ssh_config"), "IdentityFile "+s.path("id"), ""))
			}
			_, err := dial(t, cfg)
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 900 {
				t.Errorf("%v, want %v that says %q", err, c.kind, c.says)
			}
		})
	}
	s.write(t, "known_hosts", "")
	why := errors.New("enough")
	if err := dialBriefly(t, after(t, 300*time.Millisecond, why), s.configAt(t, quiet, viaSSH)); !errors.Is(err, why) {
		t.Errorf("%v, want %v", err, why)
	}
}
