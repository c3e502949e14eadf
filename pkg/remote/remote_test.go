package remote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAHostKeyIsTrustedAsOpenSSHWould(t *testing.T) {
	s := serve(t)
	ed := strings.TrimSpace(s.read(t, "host_ed25519.pub"))
	ecdsa := strings.TrimSpace(s.read(t, "host_ecdsa.pub"))
	keygen(t, s.path("stranger"), "-t", "ed25519")
	stranger := strings.TrimSpace(s.read(t, "stranger.pub"))
	here := "[127.0.0.1]:" + s.port + " "
	cases := []struct {
		name   string
		known  string
		config string
		says   string // in the error; "" for success
		learns bool
	}{
		{"unknown is accepted and recorded", "", "", "", true},
		{"unknown is refused when ssh_config is strict", "", "StrictHostKeyChecking yes", "StrictHostKeyChecking is yes", false},
		{"no does not mean anything goes", here + stranger, "StrictHostKeyChecking no", "known_hosts:1", false},
		{"known", here + ed, "StrictHostKeyChecking yes", "", false},
		{"known by the server's other key", here + ecdsa, "StrictHostKeyChecking yes", "", false},
		{"known among comments and others", "# hi\n\nother " + stranger + "\n" + here + ed, "StrictHostKeyChecking yes", "", false},
		{"changed is refused with file and line", "# hi\n" + here + stranger, "", "known_hosts:2", false},
		{"known by an alias", "alias " + ed, "HostKeyAlias alias\nStrictHostKeyChecking yes", "", false},
		{"revoked is refused", here + ed + "\n@revoked * " + ed, "", "revoked", false},
		{"a name without the port is another host", "127.0.0.1 " + stranger, "", "", true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := c.known
			if before != "" {
				before += "\n"
			}
			s.write(t, "known_hosts", before)
			_, err := dial(t, s.config(t, c.config))
			if c.says == "" && err != nil {
				t.Fatal(err)
			}
			if c.says != "" && (!errors.Is(err, ErrHostKey) || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("error %v, want ErrHostKey that says %q", err, c.says)
			}
			if c.says != "" && !strings.HasPrefix(err.Error(), ErrHostKey.Error()) {
				t.Errorf("error %q, want one that begins with our own words", err)
			}
			after := s.read(t, "known_hosts")
			if !strings.HasPrefix(after, before) || (after != before) != c.learns {
				t.Errorf("known_hosts went from %q to %q", before, after)
			}
			if c.learns { // what we recorded, OpenSSH and we accept
				if _, err := dial(t, s.config(t, "StrictHostKeyChecking yes")); err != nil {
					t.Error("the recorded key is not accepted:", err)
				}
				if out, err := exec.Command("ssh", "-F", s.path("ssh_config"), "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "box", "true").CombinedOutput(); err != nil {
					t.Errorf("ssh does not accept the recorded key: %s", out)
				}
			}
		})
	}
}

func TestAKnownHostsFileThatCannotBeWrittenIsSaid(t *testing.T) {
	s := serve(t)
	config := s.config(t, "UserKnownHostsFile /proc/nowhere/known_hosts")
	var notes []string
	config.Note = func(text string) { notes = append(notes, text) }
	if _, err := dial(t, config); err != nil {
		t.Error(err)
	}
	if !strings.Contains(strings.Join(notes, "\n"), "cannot be recorded") {
		t.Errorf("notes: %q", notes)
	}
}

func TestAuthenticationErrorsSayWhatWasTried(t *testing.T) {
	s := serve(t)
	keygen(t, s.path("wrong"), "-t", "ed25519")
	if out, err := exec.Command("ssh-keygen", "-q", "-N", "passphrase", "-t", "ed25519", "-f", s.path("locked")).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	s.write(t, "known_hosts", "")
	cases := []struct{ name, config, says string }{
		{"the right key after wrong ones", "IdentityFile " + s.path("wrong") + "\nIdentityFile " + s.path("missing"), ""},
		{"an encrypted key is skipped for another", "IdentityFile " + s.path("locked"), ""},
		{"an agent that is not there", "IdentityAgent " + s.path("nosocket"), ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if _, err := dial(t, s.config(t, c.config)); err != nil {
				t.Error(err)
			}
		})
	}
	s.write(t, "authorized_keys", s.read(t, "stranger.pub"))
	_, err := dial(t, s.config(t, "IdentityFile "+s.path("locked")))
	for _, word := range []string{"ssh-add", s.path("id"), "root@127.0.0.1"} {
		if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), word) {
			t.Errorf("error %v, want ErrAuth that says %q", err, word)
		}
	}
}

func TestKeysOfTheAgentOpenTheDoor(t *testing.T) {
	s := serve(t)
	agent := exec.Command("ssh-agent", "-D", "-a", s.path("agent"))
	if err := agent.Start(); err != nil {
		t.Skip(err)
	}
	defer func() { agent.Process.Kill(); agent.Wait() }()
	add := exec.Command("sh", "-c", `i=0; while [ ! -S "$SSH_AUTH_SOCK" ] && [ $i -lt 50 ]; do sleep 0.1; i=$((i+1)); done; ssh-add -q "$1"`, "sh", s.path("id"))
	add.Env = append(os.Environ(), "SSH_AUTH_SOCK="+s.path("agent"))
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	if err := os.Rename(s.path("id"), s.path("moved")); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, s.config(t, "IdentityAgent "+s.path("agent"))); err != nil {
		t.Error(err)
	}
	if _, err := dial(t, s.config(t, "IdentityAgent "+s.path("agent"), "IdentitiesOnly yes")); err != nil {
		t.Error("the public half of the identity file selects the agent's key:", err)
	}
}

func TestAlgorithmsThatWeCannotDoAreNotReplacedByOthers(t *testing.T) {
	s := serve(t)
	for _, option := range []string{"Ciphers aes128-cbc", "MACs hmac-md5", "KexAlgorithms diffie-hellman-group1-sha1"} {
		_, err := dial(t, s.config(t, option))
		if name, _, _ := strings.Cut(option, " "); err == nil || !strings.Contains(err.Error(), strings.ToLower(name)) {
			t.Errorf("%s: %v, want an error that names the option", option, err)
		}
	}
	if _, err := dial(t, s.config(t, "Ciphers aes128-cbc,aes256-ctr")); err != nil {
		t.Errorf("one of two ciphers is supported: %v", err)
	}
}

func TestAnOptionWeDoNotFollowIsNamed(t *testing.T) {
	s := serve(t)
	_, err := dial(t, s.config(t, "ProxyCommand nc %h %p"))
	if err == nil || !strings.Contains(err.Error(), "proxycommand") {
		t.Errorf("error %v, want one that names proxycommand", err)
	}
}

func TestRunCarriesBytesAndStatus(t *testing.T) {
	s := serve(t)
	h := mustDial(t, s.config(t))
	payload := bytes.Repeat([]byte("\x00\xff\n'$x"), 300_000)
	var out, errs bytes.Buffer
	if err := h.Run(t.Context(), `sh -c 'echo oops >&2; cat'`, bytes.NewReader(payload), &out, &errs); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), payload) || errs.String() != "oops\n" {
		t.Error("the bytes did not arrive as they were")
	}
	var exit *ExitError
	if err := h.Run(t.Context(), "sh -c 'exit 7'", nil, nil, nil); !errors.As(err, &exit) || exit.ExitStatus() != 7 {
		t.Errorf("error %v, want status 7", err)
	}
	if err := h.Run(t.Context(), "sh -c 'kill -TERM $$'", nil, nil, nil); !errors.As(err, &exit) || exit.Signal != "TERM" {
		t.Errorf("error %v, want signal TERM", err)
	}
}

func TestManyCommandsAtOnceQueue(t *testing.T) {
	s := serve(t)
	h := mustDial(t, s.config(t))
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			var out bytes.Buffer
			if err := h.Run(t.Context(), "echo hi", nil, &out, nil); err != nil || out.String() != "hi\n" {
				t.Errorf("%v: %q", err, out.String())
			}
		})
	}
	all.Wait()
}

func TestRunEndsEarlyThoughStdinStaysOpen(t *testing.T) {
	s := serve(t)
	h := mustDial(t, s.config(t))
	stdin, feed := io.Pipe()
	defer feed.Close()
	if err := h.Run(t.Context(), "true", stdin, nil, nil); err != nil {
		t.Error(err)
	}
}

func TestACancelledCommandEndsAtOnceOnBothSides(t *testing.T) {
	s := serve(t)
	h := mustDial(t, s.config(t))
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	time.AfterFunc(300*time.Millisecond, func() { cancel(why) })
	stdin, feed := io.Pipe()
	defer feed.Close()
	begin := time.Now()
	marker := s.path("ended")
	err := h.Run(ctx, "sh -c 'cat; touch "+marker+"'", stdin, nil, nil)
	if !errors.Is(err, why) || time.Since(begin) > 2*time.Second {
		t.Errorf("error %v after %v", err, time.Since(begin))
	}
	for range 50 {
		if _, err := os.Stat(marker); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("the command on the host goes on")
}

// A connection that falls silent, as behind a pulled cable: a proxy holds the
// bytes and closes nothing.
func TestADeadConnectionIsNoticed(t *testing.T) {
	s := serve(t)
	proxy := newProxy(t, "127.0.0.1:"+s.port)
	h := mustDial(t, s.configAt(t, proxy.port, "ServerAliveInterval 1", "ServerAliveCountMax 2"))
	time.AfterFunc(300*time.Millisecond, proxy.freeze)
	begin := time.Now()
	stdin, feed := io.Pipe()
	defer feed.Close()
	err := h.Run(t.Context(), "cat", stdin, nil, nil)
	if !errors.Is(err, ErrConnectionLost) || time.Since(begin) > 10*time.Second {
		t.Errorf("error %v after %v, want ErrConnectionLost", err, time.Since(begin))
	}
}

func TestPrivilegesAreRaisedForOtherUsers(t *testing.T) {
	h := &Host{escalate: []string{"sudo", "-H", "--", "it's"}}
	if got, want := h.asRoot("nix-daemon --stdio"), `sudo -H -- 'it'\''s' nix-daemon --stdio`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestForwardJoinsASocketAndACommand(t *testing.T) {
	s := serve(t)
	h := mustDial(t, s.config(t))
	socket, stop, err := h.Forward(t.Context(), t.TempDir(), "cat")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			conn, err := net.Dial("unix", socket)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			payload := bytes.Repeat([]byte("nix"), 100_000)
			go func() {
				conn.Write(payload)
				conn.(*net.UnixConn).CloseWrite()
			}()
			if got, err := io.ReadAll(conn); err != nil || !bytes.Equal(got, payload) {
				t.Errorf("%v: %d bytes came back of %d", err, len(got), len(payload))
			}
		})
	}
	all.Wait()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(socket); err == nil {
		t.Error("the socket is left behind")
	}
}

// proxy passes bytes until it is frozen.
type proxy struct {
	port   string
	frozen chan struct{}
	once   sync.Once
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{frozen: make(chan struct{})}
	_, p.port, _ = net.SplitHostPort(listener.Addr().String())
	var tasks sync.WaitGroup
	var conns []net.Conn
	pass := func(to, from net.Conn) {
		buf := make([]byte, 4096)
		for {
			n, err := from.Read(buf)
			select {
			case <-p.frozen:
				return
			default:
			}
			if err != nil {
				to.Close()
				return
			}
			to.Write(buf[:n])
		}
	}
	tasks.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				return
			}
			conns = append(conns, client, server)
			tasks.Go(func() { pass(server, client) })
			tasks.Go(func() { pass(client, server) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		for _, conn := range conns {
			conn.Close()
		}
		tasks.Wait()
	})
	return p
}

func (p *proxy) freeze() { p.once.Do(func() { close(p.frozen) }) }
