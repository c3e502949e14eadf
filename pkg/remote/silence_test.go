package remote

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// set gives a variable another value for one test.
func set[T any](t *testing.T, variable *T, value T) {
	t.Helper()
	before := *variable
	*variable = value
	t.Cleanup(func() { *variable = before })
}

// dialBriefly has no deadline of its own: Dial must have one.
func dialBriefly(t *testing.T, ctx context.Context, cfg Config) error {
	t.Helper()
	begin := time.Now()
	h, err := Dial(ctx, cfg)
	if err == nil {
		h.Close()
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	return err
}

func TestASilentServerDoesNotHang(t *testing.T) {
	s := serve(t)
	_, port := silent(t)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := dialBriefly(t, ctx, s.configAt(t, port)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want that of ctx", err)
	}
	err := dialBriefly(t, t.Context(), s.configAt(t, port, "ConnectTimeout 1"))
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "does not speak SSH in time") {
		t.Errorf("error %v, want ErrUnreachable that says why", err)
	}
	err = dialBriefly(t, t.Context(), s.configAt(t, port, "ConnectTimeout 1", "ProxyCommand sleep 100"))
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "ProxyCommand did not get there in time") {
		t.Errorf("error %v, want ErrUnreachable that says why", err)
	}
}

func TestAServerThatIsSilentAfterItsBannerDoesNotHang(t *testing.T) {
	port := listen(t, func(conn net.Conn) {
		t.Cleanup(func() { conn.Close() })
		io.WriteString(conn, "SSH-2.0-odd\r\n")
	})
	err := dialBriefly(t, t.Context(), serve(t).configAt(t, port, "ConnectTimeout 1"))
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "in time") {
		t.Errorf("error %v, want ErrUnreachable that says why", err)
	}
}

func TestALoginMayTakeLongerThanTheConnection(t *testing.T) {
	s := serve(t)
	socket := serveAgent(t, slow{keyring(t, s.path("id")), 2 * time.Second})
	h := mustDial(t, s.config(t, "IdentityAgent "+socket, "IdentityFile none", "ConnectTimeout 2"))
	works(t, h)
}

// slow takes its time to sign, as an agent that waits for a touch.
type slow struct {
	agent.ExtendedAgent
	time time.Duration
}

func (s slow) SignWithFlags(key ssh.PublicKey, data []byte, flags agent.SignatureFlags) (*ssh.Signature, error) {
	time.Sleep(s.time)
	return s.ExtendedAgent.SignWithFlags(key, data, flags)
}

func TestASSHConfigThatHangsIsNotWaitedFor(t *testing.T) {
	s := serve(t)
	config := s.config(t, `Match exec "sleep 8"`)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	time.AfterFunc(200*time.Millisecond, func() { cancel(why) })
	if err := dialBriefly(t, ctx, config); !errors.Is(err, why) {
		t.Errorf("error %v, want %v", err, why)
	}
}

func TestWhatASSHConfigLeavesRunningIsNotWaitedFor(t *testing.T) {
	s := serve(t)
	if err := dialBriefly(t, t.Context(), s.config(t, `Match exec "sleep 8 &"`)); err != nil {
		t.Error(err)
	}
}

// serveAgent answers for keys, or accepts and stays silent when keys is nil.
func serveAgent(t *testing.T, keys agent.Agent) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent") // short, unlike t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	accept(t, listener, func(conn net.Conn) {
		if keys == nil {
			io.Copy(io.Discard, conn)
			return
		}
		agent.ServeAgent(keys, conn)
	})
	return socket
}

// keyring holds the private keys of files.
func keyring(t *testing.T, paths ...string) agent.ExtendedAgent {
	t.Helper()
	keys := agent.NewKeyring().(agent.ExtendedAgent)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		key, err := ssh.ParseRawPrivateKey(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := keys.Add(agent.AddedKey{PrivateKey: key}); err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

// undecided lists its keys but signs nothing, as an agent that waits for a touch.
type undecided struct {
	agent.ExtendedAgent
	end chan struct{}
}

func (u undecided) Sign(ssh.PublicKey, []byte) (*ssh.Signature, error) {
	<-u.end
	return nil, errors.New("not touched")
}

func (u undecided) SignWithFlags(key ssh.PublicKey, data []byte, _ agent.SignatureFlags) (*ssh.Signature, error) {
	return u.Sign(key, data)
}

func TestASilentAgentDoesNotHang(t *testing.T) {
	s := serve(t)
	set(t, &agentLimit, 300*time.Millisecond)
	socket := serveAgent(t, nil)
	if err := dialBriefly(t, t.Context(), s.config(t, "IdentityAgent "+socket)); err != nil {
		t.Error("an identity file opens the door nevertheless:", err)
	}
	os.Remove(s.path("id"))
	err := dialBriefly(t, t.Context(), s.config(t, "IdentityAgent "+socket))
	for _, words := range []string{socket, "does not answer"} {
		if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), words) {
			t.Errorf("error %v, want ErrAuth that says %q", err, words)
		}
	}
}

func TestAnAgentThatDoesNotSignDoesNotHang(t *testing.T) {
	s := serve(t)
	u := undecided{keyring(t, s.path("id")), make(chan struct{})}
	socket := serveAgent(t, u)
	t.Cleanup(func() { close(u.end) })
	set(t, &handshakeGrace, 500*time.Millisecond)
	err := dialBriefly(t, t.Context(), s.config(t, "IdentityAgent "+socket, "ConnectTimeout 1"))
	for _, words := range []string{socket, "does not answer", "sign"} {
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("error %v, want one that says %q", err, words)
		}
	}
}

func TestAnAgentIsNotWaitedForOnceCancelled(t *testing.T) {
	s := serve(t)
	u := undecided{keyring(t, s.path("id")), make(chan struct{})}
	sockets := []string{serveAgent(t, nil), serveAgent(t, u)}
	t.Cleanup(func() { close(u.end) })
	for _, socket := range sockets {
		config := s.config(t, "IdentityAgent "+socket)
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("enough")
		time.AfterFunc(300*time.Millisecond, func() { cancel(why) })
		begin := time.Now()
		if err := dialBriefly(t, ctx, config); !errors.Is(err, why) || time.Since(begin) > 2*time.Second {
			t.Errorf("error %v after %v, want %v at once", err, time.Since(begin), why)
		}
	}
}

// The agent's deadline may pass while the server is the silent one.
func TestASilentServerIsNotTakenForASilentAgent(t *testing.T) {
	s := serve(t)
	proxy := newProxy(t, "127.0.0.1:"+s.port)
	proxy.freeze()
	set(t, &handshakeGrace, 100*time.Millisecond)
	socket := serveAgent(t, keyring(t, s.path("id")))
	err := dialBriefly(t, t.Context(), s.configAt(t, proxy.port, "IdentityAgent "+socket, "ConnectTimeout 1"))
	if !errors.Is(err, ErrUnreachable) || strings.Contains(err.Error(), "agent") {
		t.Errorf("error %v, want ErrUnreachable without the agent", err)
	}
}

// docs/ssh.md tells how long: for the key ConnectTimeout, and for the login as long again
// and 30 seconds.
func TestALoginHasALimitOfItsOwn(t *testing.T) {
	if handshakeGrace != 30*time.Second {
		t.Errorf("%s", handshakeGrace)
	}
	set(t, &handshakeGrace, 500*time.Millisecond)
	s := serve(t)
	text, err := os.ReadFile(s.path("id"))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	end, shown := make(chan struct{}), make(chan time.Time, 1)
	config := &ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
		select {
		case shown <- time.Now():
		default:
		}
		<-end
		return nil, errors.New("no")
	}}
	config.AddHostKey(signer)
	port := listen(t, func(conn net.Conn) { ssh.NewServerConn(conn, config) })
	t.Cleanup(func() { close(end) })
	err = dialBriefly(t, t.Context(), s.configAt(t, port, "ConnectTimeout 1", "UserKnownHostsFile /dev/null"))
	if took := time.Since(<-shown); err == nil || took < 1300*time.Millisecond || took > 10*time.Second {
		t.Errorf("%v after %s, want an error after 1.5 s", err, took)
	}
}
