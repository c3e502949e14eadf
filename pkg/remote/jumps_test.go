package remote

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// fleet is sshds, each with a key of its own that only it takes, and lines of
// ssh_config for each.
type fleet struct {
	*server // the host; the others lead there
	text    string
}

func behind(t *testing.T, host *server, gates map[string]*server) *fleet {
	t.Helper()
	f := &fleet{server: host}
	for name, g := range gates {
		f.text += fmt.Sprintf("Host %s\n  HostName 127.0.0.1\n  Port %s\n  User %s\n  IdentityFile %s\n  IdentityAgent none\n  UserKnownHostsFile %s\n  GlobalKnownHostsFile /dev/null\n",
			name, g.port, me(t), g.path("id"), g.path("known_hosts"))
	}
	return f
}

func (f *fleet) config(t *testing.T, lines ...string) Config {
	t.Helper()
	cfg := f.server.config(t, lines...)
	f.write(t, "ssh_config", f.read(t, "ssh_config")+f.text)
	return cfg
}

func works(t *testing.T, h *Host) {
	t.Helper()
	var out bytes.Buffer
	if err := h.Run(t.Context(), "echo hi", nil, &out, nil); err != nil || out.String() != "hi\n" {
		t.Errorf("%v: %q", err, out.String())
	}
}

func TestAHostIsReachedThroughAChainOfJumpHosts(t *testing.T) {
	host, outer, inner := serve(t), serve(t), serve(t)
	f := behind(t, host, map[string]*server{"outer": outer, "inner": inner})
	for name, lines := range map[string][]string{
		"one list":         {"Host box\nProxyJump outer," + me(t) + "@inner:" + inner.port},
		"each has its own": {"Host box\nProxyJump inner", "Host inner", "ProxyJump outer"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, s := range []*server{host, outer, inner} {
				s.write(t, "known_hosts", "")
			}
			works(t, mustDial(t, f.config(t, lines...)))
			for _, s := range []*server{host, outer, inner} {
				if known := s.read(t, "known_hosts"); !strings.HasPrefix(known, "[127.0.0.1]:"+s.port+" ") {
					t.Errorf("known_hosts has %q", known)
				}
			}
		})
	}
	for _, line := range []string{"", viaSSH} {
		cfg := f.config(t, "Host box", line)
		cfg.SSHOptions = []string{"-Jouter,inner"}
		works(t, mustDial(t, cfg))
	}
}

func TestWhatIsWrongOnTheWayIsToldOfTheJumpHost(t *testing.T) {
	host, gate := serve(t), serve(t, "PermitOpen 127.0.0.1:1 127.0.0.1:"+freePort(t))
	f := behind(t, host, map[string]*server{"gate": gate})
	keygen(t, gate.path("stranger"), "-t", "ed25519")
	through := f.config(t, "Host box\nProxyJump gate")
	_, err := dial(t, through)
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "cannot reach box:"+host.port) || !strings.Contains(err.Error(), "the jump host gate refuses to forward the connection") {
		t.Errorf("forbidden: %v", err)
	}
	_, err = dial(t, f.server.configAt(t, "1", "Host box\nProxyJump gate\n"+f.text))
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "the jump host gate says: Connection refused") {
		t.Errorf("nobody there: %v", err)
	}
	gate.write(t, "known_hosts", "[127.0.0.1]:"+gate.port+" "+gate.read(t, "stranger.pub"))
	_, err = dial(t, f.config(t, "Host box\nProxyJump gate"))
	if !errors.Is(err, ErrHostKey) || errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "jump host gate: ") || !strings.Contains(err.Error(), gate.path("known_hosts")+":1") {
		t.Errorf("another key: %v", err)
	}
	_, err = dial(t, f.config(t, "Host box\nProxyJump "+me(t)+"@127.0.0.1:1"))
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "jump host 127.0.0.1: cannot reach 127.0.0.1:1: connection refused") {
		t.Errorf("no jump host: %v", err)
	}
	_, err = dial(t, f.config(t, "Host box\nProxyJump a", "Host a", "ProxyJump b", "Host b", "ProxyJump a"))
	if err == nil || !strings.Contains(err.Error(), "circle") {
		t.Errorf("a circle: %v", err)
	}
	_, err = dial(t, f.config(t, "ProxyJump gate")) // for every host
	if err == nil || !strings.Contains(err.Error(), "circle") {
		t.Errorf("through itself: %v", err)
	}
}

// ssh would make one for each.
func TestHostsOfTheSSHProgramShareTheConnectionToAJumpHost(t *testing.T) {
	host, gate := serve(t), serve(t)
	f := behind(t, host, map[string]*server{"gate": gate})
	cfg := f.config(t, "Host box", viaSSH, "ProxyJump gate")
	var all Hosts
	defer all.Close()
	var tasks sync.WaitGroup
	for i := range 4 {
		tasks.Go(func() {
			h, err := all.Open(t.Context(), fmt.Sprint("box-", i), cfg)
			if err != nil {
				t.Error(err)
				return
			}
			works(t, h)
		})
	}
	tasks.Wait()
	if n := gate.logins(); n != 1 || host.logins() != 4 {
		t.Errorf("%d logins to the jump host, %d to hosts", n, host.logins())
	}
}

func TestHostsBehindAJumpHostShareItsConnection(t *testing.T) {
	host, gate := serve(t), serve(t)
	cfg := behind(t, host, map[string]*server{"gate": gate}).config(t, "Host box\nProxyJump gate")
	var hosts Hosts
	defer hosts.Close()
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			h, err := hosts.Open(t.Context(), fmt.Sprint(i), cfg)
			if err != nil {
				t.Error(err)
				return
			}
			works(t, h)
		})
	}
	all.Wait()
	if n := gate.logins(); n != 1 {
		t.Errorf("%d logins at the jump host", n)
	}
	if n := host.logins(); n != 12 {
		t.Errorf("%d logins behind it", n)
	}
}

// Each waits no longer than its own ctx, and the connection that is on its way is
// made as long as anybody waits.
func TestAJumpHostThatIsSilentHoldsNobody(t *testing.T) {
	_, port := silent(t)
	s := serve(t)
	cfg := s.config(t, "Host box\nProxyJump 127.0.0.1:"+port)
	begin := time.Now()
	why := errors.New("enough")
	if err := dialBriefly(t, after(t, 200*time.Millisecond, why), cfg); !errors.Is(err, why) || time.Since(begin) > 5*time.Second {
		t.Errorf("%v after %s, want %v", err, time.Since(begin), why)
	}
}

func TestAJumpHostThatCameBackIsUsedAgain(t *testing.T) {
	host, gate := serve(t), serve(t)
	p := newProxy(t, "127.0.0.1:"+gate.port)
	f := behind(t, host, map[string]*server{"gate": gate})
	f.text = strings.ReplaceAll(f.text, gate.port, p.port)
	cfg := f.config(t, "Host box\nProxyJump gate")
	var hosts Hosts
	defer hosts.Close()
	h, err := hosts.Open(t.Context(), "web", cfg)
	if err != nil {
		t.Fatal(err)
	}
	p.cut()
	<-h.ended
	if h, err = hosts.Reopen(t.Context(), "web", cfg); err != nil {
		t.Fatal(err)
	}
	works(t, h)
}

// As an sshd with less room than OpenSSH's.
func TestAFullJumpHostGetsAnotherConnection(t *testing.T) {
	host := serve(t)
	logins, port := narrowGate(t, 2)
	cfg := host.config(t, "Host narrow", "HostName 127.0.0.1", "Port "+port, "UserKnownHostsFile /dev/null", "Host box", "Host box\nProxyJump narrow")
	var hosts Hosts
	defer hosts.Close()
	for i := range 5 {
		h, err := hosts.Open(t.Context(), fmt.Sprint(i), cfg)
		if err != nil {
			t.Fatal(err)
		}
		works(t, h)
	}
	if n := logins(); n != 3 {
		t.Errorf("%d connections for five hosts, two at a time", n)
	}
}

// docs/scale.md tells how many connections a jump host carries.
func TestAJumpHostIsNotStormedWhateverItRefuses(t *testing.T) {
	host := serve(t)
	logins, port := narrowGate(t, 1)
	cfg := host.config(t, "Host narrow", "HostName 127.0.0.1", "Port "+port, "UserKnownHostsFile /dev/null", "Host box", "Host box\nProxyJump narrow")
	var hosts Hosts
	defer hosts.Close()
	reached := 0
	for i := range maxLinks + 2 {
		h, err := hosts.Open(t.Context(), fmt.Sprint(i), cfg)
		if err == nil {
			works(t, h)
			reached++
		} else if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "the jump host narrow says: full") {
			t.Error(err)
		}
	}
	if n := logins(); n != maxLinks || reached != maxLinks {
		t.Errorf("%d connections, over which %d hosts were reached, want %d", n, reached, maxLinks)
	}
}

// narrowGate forwards so many channels per connection.
func narrowGate(t *testing.T, channels int) (logins func() int, port string) {
	t.Helper()
	dir := t.TempDir()
	keygen(t, dir+"/host", "-t", "ed25519")
	text, err := os.ReadFile(dir + "/host")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ServerConfig{NoClientAuth: true}
	config.AddHostKey(signer)
	var mu sync.Mutex
	count := 0
	var all sync.WaitGroup
	port = listen(t, func(conn net.Conn) {
		mu.Lock()
		count++
		mu.Unlock()
		all.Go(func() { forwardSome(conn, config, channels) })
	})
	t.Cleanup(all.Wait)
	return func() int { mu.Lock(); defer mu.Unlock(); return count }, port
}

func forwardSome(conn net.Conn, config *ssh.ServerConfig, room int) {
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	var all sync.WaitGroup
	defer all.Wait()
	for asked := range channels {
		var to struct {
			Host     string
			Port     uint32
			From     string
			FromPort uint32
		}
		ssh.Unmarshal(asked.ExtraData(), &to)
		out, err := net.Dial("tcp", net.JoinHostPort(to.Host, fmt.Sprint(to.Port)))
		if room == 0 || err != nil {
			asked.Reject(ssh.ResourceShortage, "full")
			continue
		}
		room--
		channel, rest, _ := asked.Accept()
		go ssh.DiscardRequests(rest)
		all.Go(func() { io.Copy(out, channel); out.Close() })
		all.Go(func() { io.Copy(channel, out); channel.Close() })
	}
}
