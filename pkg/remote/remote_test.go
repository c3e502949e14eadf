package remote

import (
	"github.com/colmena-go/colmena-go/pkg/escalation"
	"net"
	"strings"
	"sync"
	"testing"
)

func TestOptionsOfSSHGoBeforeItsConfiguration(t *testing.T) {
	s := serve(t)
	cfg := s.configAt(t, freePort(t), "IdentityFile /nowhere")
	s.write(t, "ssh_config", strings.ReplaceAll(s.read(t, "ssh_config"), s.path("id"), s.path("none")))
	cfg.SSHOptions = []string{"-4p" + s.port, "-i", s.path("id")}
	if err := mustDial(t, cfg).Run(t.Context(), "true", nil, nil, nil); err != nil {
		t.Error(err)
	}
}

func TestPrivilegesAreRaisedForOtherUsers(t *testing.T) {
	h := &Host{program: escalation.Of([]string{"sudo", "-H", "--", "it's"})}
	if got, want := h.asRoot(h.program.Silent(), "nix-daemon --stdio"), `sudo -n -H -- 'it'\''s' nix-daemon --stdio`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// proxy passes bytes until it is frozen.
type proxy struct {
	port   string
	frozen chan struct{}
	once   sync.Once
	mu     sync.Mutex
	conns  []net.Conn
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
			p.mu.Lock()
			p.conns = append(p.conns, client, server)
			p.mu.Unlock()
			tasks.Go(func() { pass(server, client) })
			tasks.Go(func() { pass(client, server) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		p.cut()
		tasks.Wait()
	})
	return p
}

// cut ends all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.conns {
		conn.Close()
	}
}

func (p *proxy) freeze() { p.once.Do(func() { close(p.frozen) }) }
