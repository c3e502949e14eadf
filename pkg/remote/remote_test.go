package remote

import (
	"bytes"
	"fmt"
	"github.com/colmena-go/colmena-go/pkg/escalation"
	"io"
	"net"
	"os"
	"path/filepath"
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

// What goes through a Store is counted while it goes, and nobody but us can go
// through.
func TestAStoreCountsWhatMovesAndLeavesNothingBehind(t *testing.T) {
	s := serve(t)
	h := mustDial(t, s.config(t))
	url, stop, err := h.store(t.Context(), "sed -u s/ask/answered/")
	if err != nil {
		t.Fatal(err)
	}
	socket := strings.TrimPrefix(url, "unix://")
	if info, err := os.Stat(filepath.Dir(socket)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("whoever reaches the socket in %s is root on the host: %v, %v", socket, info.Mode(), err)
	}
	for i := range int64(2) {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(conn, "ask")
		answer := make([]byte, len("answered\n"))
		if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "answered\n" {
			t.Errorf("%q, %v", answer, err)
		}
		if sent, received := h.Traffic(); sent != 4*(i+1) || received != 9*i && received != 9*(i+1) {
			t.Errorf("%d sent and %d received after %d questions", sent, received, i+1)
		}
		conn.Close()
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if sent, received := h.Traffic(); sent != 8 || received != 18 {
		t.Errorf("%d sent and %d received in the end", sent, received)
	}
	if _, err := os.Stat(filepath.Dir(socket)); !os.IsNotExist(err) {
		t.Errorf("the socket's folder is left behind: %v", err)
	}
}

func TestForwardJoinsASocketAndACommand(t *testing.T) {
	s := serve(t)
	h := mustDial(t, s.config(t))
	socket, stop, err := h.forward(t.Context(), t.TempDir(), "cat")
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
