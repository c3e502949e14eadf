package remote

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/colmena-go/colmena-go/pkg/askpass"
)

func TestMain(m *testing.M) {
	if status, passes := PassWay(os.Args); passes { // as in cli.Main
		os.Exit(status)
	}
	if status, asks := askpass.Main(os.Args); asks {
		os.Exit(status)
	}
	goleak.VerifyTestMain(m)
}

// server is a real sshd on a loopback port, with keys and files of its own.
type server struct {
	dir, port string
	log       *buffer // what it says
}

// buffer may be read while it is written to.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// logins is how often it let somebody in.
func (s *server) logins() int { return strings.Count(s.log.String(), "Accepted publickey for") }

// client options of a test's ssh_config, over which the test's own go.
const baseConfig = `Host box
  HostName 127.0.0.1
  Port %s
  User %s
  IdentityFile %s
  IdentityAgent none
  UserKnownHostsFile %s
  GlobalKnownHostsFile /dev/null
`

func keygen(t *testing.T, path string, args ...string) {
	t.Helper()
	out, err := exec.Command("ssh-keygen", append([]string{"-q", "-N", "", "-f", path}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
}

// serve starts an sshd; more lines go into its configuration.
func serve(t *testing.T, lines ...string) *server {
	t.Helper()
	sshd, err := exec.LookPath("/usr/sbin/sshd")
	if err != nil {
		if os.Getenv("COLMENA_GO_FLEET") == "require" {
			t.Fatal("no sshd: install openssh-server")
		}
		t.Skip("no sshd: install openssh-server")
	}
	if os.Getuid() == 0 {
		os.MkdirAll("/run/sshd", 0o755)
	}
	s := &server{dir: t.TempDir(), port: freePort(t)}
	keygen(t, s.path("id"), "-t", "ed25519")
	for _, kind := range []string{"ed25519", "ecdsa"} {
		keygen(t, s.path("host_"+kind), "-t", kind)
		lines = append(lines, "HostKey "+s.path("host_"+kind))
	}
	public, err := os.ReadFile(s.path("id.pub"))
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "authorized_keys", string(public))
	s.write(t, "sshd_config", strings.Join(append(lines,
		"ListenAddress 127.0.0.1", "Port "+s.port, "AuthorizedKeysFile "+s.path("authorized_keys"),
		"StrictModes no", "UsePAM no", "PermitRootLogin yes", "PasswordAuthentication no",
		"MaxStartups 100", "PidFile none"), "\n")+"\n")
	s.begin(t, sshd, s.path("sshd_config"))
	return s
}

// again is one more sshd with the same files, and more lines.
func (s *server) again(t *testing.T, lines ...string) *server {
	t.Helper()
	other := *s
	other.port = freePort(t)
	s.write(t, "sshd_config."+other.port, strings.ReplaceAll(s.read(t, "sshd_config"), "Port "+s.port+"\n", "Port "+other.port+"\n")+strings.Join(lines, "\n")+"\n")
	other.begin(t, "/usr/sbin/sshd", s.path("sshd_config."+other.port))
	return &other
}

func (s *server) begin(t *testing.T, sshd, config string) {
	t.Helper()
	cmd := exec.Command(sshd, "-D", "-e", "-f", config)
	s.log = &buffer{}
	cmd.Stderr = s.log
	cmd.WaitDelay = time.Second // what its sessions began may go on
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("sshd: %s", s.log)
		}
	})
	for range 100 {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+s.port); err == nil {
			conn.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("sshd does not listen")
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// accept has each connection served in a goroutine of its own, and closed afterwards. All
// end with the test.
func accept(t *testing.T, listener net.Listener, serve func(conn net.Conn)) {
	var tasks sync.WaitGroup
	tasks.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			tasks.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		tasks.Wait()
	})
}

// silent is a server that never says anything, and its port.
func silent(t *testing.T) (net.Listener, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return l, port
}

func (s *server) path(name string) string { return filepath.Join(s.dir, name) }

func (s *server) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *server) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(s.path(name))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

// config is what Dial gets; lines go above the base, where they win.
func (s *server) config(t *testing.T, lines ...string) Config {
	t.Helper()
	return s.configAt(t, s.port, lines...)
}

func (s *server) configAt(t *testing.T, port string, lines ...string) Config {
	t.Helper()
	text := strings.Join(lines, "\n") + "\n" + fmt.Sprintf(baseConfig, port, me(t), s.path("id"), s.path("known_hosts"))
	s.write(t, "ssh_config", text)
	return Config{Host: "box", SSHConfigFile: s.path("ssh_config"), Note: func(note string) { t.Log(note) }}
}

// me is who runs the tests: an sshd that is not root's lets in nobody else.
func me(t *testing.T) string {
	t.Helper()
	current, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return current.Username
}

// dial connects within a bound that no test comes near.
func dial(t *testing.T, cfg Config) (*Host, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	h, err := Dial(ctx, cfg)
	if err == nil {
		t.Cleanup(func() { h.Close() })
	}
	return h, err
}

func mustDial(t *testing.T, cfg Config) *Host {
	t.Helper()
	h, err := dial(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}
