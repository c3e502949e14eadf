package remote

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/colmena-go/colmena-go/pkg/ask"
	"github.com/colmena-go/colmena-go/pkg/secret"
	"github.com/colmena-go/colmena-go/pkg/sshauth"
)

// person gives answers in turn and remembers the questions; without one it gives none.
type person struct {
	mu      sync.Mutex
	answers []string
	slow    time.Duration
	asked   []ask.Question
	next    func() // called after each answer; may be nil
}

func (p *person) Can(ask.Kind) error { return nil }

func (p *person) Ask(ctx context.Context, q ask.Question) (secret.Secret, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, q)
	select {
	case <-time.After(p.slow):
	case <-ctx.Done():
		return secret.Secret{}, context.Cause(ctx)
	}
	if p.next != nil {
		p.next()
	}
	if len(p.answers) == 0 {
		return secret.Secret{}, ask.ErrNoAnswer
	}
	answer := p.answers[0]
	p.answers = p.answers[1:]
	return secret.New([]byte(answer)), nil
}

// texts are the questions as they would be shown.
func (p *person) texts() string {
	var b strings.Builder
	for _, q := range p.asked {
		fmt.Fprintf(&b, "%s | %s%s\n", q.Who, map[bool]string{true: q.Heard + " -> "}[q.Heard != ""], q.Text)
	}
	return b.String()
}

// lock encrypts the server's identity.
func (s *server) lock(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ssh-keygen", append([]string{"-q", "-a", "1", "-p", "-P", "", "-N", "open sesame", "-f", s.path("id")}, args...)...).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
}

func asked(cfg Config, p *person) Config {
	cfg.Node = "web"
	cfg.Credentials = sshauth.NewCredentials(p)
	return cfg
}

func TestEncryptedKeysOfAllFormsOpenTheDoor(t *testing.T) {
	for name, c := range map[string]struct{ make, lock []string }{
		"ed25519": {[]string{"-t", "ed25519"}, nil},
		"ecdsa":   {[]string{"-t", "ecdsa"}, nil},
		"rsa":     {[]string{"-t", "rsa", "-b", "2048"}, nil},
		"rsa PEM": {[]string{"-t", "rsa", "-b", "2048", "-m", "PEM"}, []string{"-m", "PEM"}},
		"ec PEM":  {[]string{"-t", "ecdsa", "-m", "PEM"}, []string{"-m", "PEM"}},
	} {
		for _, public := range []bool{true, false} { // whether the public half lies beside it
			s := serve(t)
			os.Remove(s.path("id"))
			os.Remove(s.path("id.pub"))
			keygen(t, s.path("id"), c.make...)
			s.write(t, "authorized_keys", s.read(t, "id.pub"))
			s.lock(t, c.lock...)
			if !public {
				os.Remove(s.path("id.pub"))
			}
			p := &person{answers: []string{"mistyped", "open sesame"}}
			cfg := asked(s.config(t), p)
			for range 3 {
				mustDial(t, cfg)
			}
			if want := fmt.Sprintf("web | passphrase of %s\nweb | it was wrong; passphrase of %[1]s\n", s.path("id")); p.texts() != want {
				t.Errorf("%s: asked\n%s", name, p.texts())
			}
		}
	}
}

// Nobody knocks at a door to which there is no key.
func TestTheOnlyKeyIsUnlockedBeforeTheHostIsTouched(t *testing.T) {
	s := serve(t)
	s.lock(t)
	listener, port := silent(t)
	knocked := make(chan struct{})
	go func() {
		if conn, err := listener.Accept(); err == nil {
			close(knocked)
			conn.Close()
		}
	}()
	p := &person{answers: []string{"open sesame"}, slow: 300 * time.Millisecond}
	go dial(t, asked(s.configAt(t, port), p))
	<-knocked
	if !p.mu.TryLock() { // held while it answers
		t.Fatal("the host was connected to before there was an answer")
	}
	defer p.mu.Unlock()
	if len(p.asked) != 1 {
		t.Error("the host was connected to before anybody was asked")
	}
}

func TestAPassphraseIsAskedForOnceForManyHosts(t *testing.T) {
	s := serve(t)
	s.lock(t)
	p := &person{answers: []string{"open sesame"}, slow: 100 * time.Millisecond}
	cfg := asked(s.config(t), p)
	var all sync.WaitGroup
	for i := range 8 {
		cfg := cfg
		cfg.Node = fmt.Sprint("web-", i)
		all.Go(func() {
			if _, err := dial(t, cfg); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(p.asked) != 1 {
		t.Errorf("asked\n%s", p.texts())
	}
}

func TestNobodyIsAskedInVain(t *testing.T) {
	s := serve(t)
	keygen(t, s.path("plain"), "-t", "ed25519")
	key := s.path("id")
	unlocked := keyring(t, key)
	s.lock(t)
	plain := "IdentityFile " + s.path("plain")
	s.write(t, "authorized_keys", s.read(t, "authorized_keys")+s.read(t, "plain.pub"))
	for name, config := range map[string][]string{
		"the agent has the key":      {"IdentityAgent " + serveAgent(t, unlocked)},
		"another key opens the door": {plain},
	} {
		p := &person{answers: []string{"open sesame"}}
		if _, err := dial(t, asked(s.config(t, config...), p)); err != nil || len(p.asked) > 0 {
			t.Errorf("%s: %v; asked\n%s", name, err, p.texts())
		}
	}
	s.write(t, "authorized_keys", s.read(t, "id.pub"))
	p := &person{answers: []string{"open sesame"}}
	if _, err := dial(t, asked(s.config(t, plain), p)); err != nil || len(p.asked) != 1 {
		t.Errorf("the encrypted one is wanted: %v; asked\n%s", err, p.texts())
	}
	for says, config := range map[string][]string{
		"its passphrase is not asked for (ssh_config says BatchMode)": {"BatchMode yes"},
		"its passphrase was not given":                                nil,
	} {
		p := &person{}
		for range 2 { // who gave none is not asked again, unless the next run
			_, err := dial(t, asked(s.config(t, config...), p))
			if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), says) {
				t.Errorf("%v, want ErrAuth that says %q", err, says)
			}
		}
	}
	p = &person{answers: []string{"1", "2", "3", "open sesame"}}
	cfg := asked(s.config(t), p)
	for range 2 {
		if _, err := dial(t, cfg); !errors.Is(err, ErrAuth) || strings.Count(err.Error(), s.path("id")) != 1 || !strings.Contains(err.Error(), "the passphrase of "+s.path("id")+" was wrong 3 times") ||
			!strings.Contains(err.Error(), "enter the right passphrase") || strings.Contains(err.Error(), "accepts none") || len(p.asked) != 3 {
			t.Errorf("%v; asked\n%s", err, p.texts())
		}
	}
}

func TestACertificateOfAnEncryptedKeyOpensTheDoor(t *testing.T) {
	ca := t.TempDir() + "/ca"
	keygen(t, ca, "-t", "ed25519")
	s := serve(t, "TrustedUserCAKeys "+ca+".pub")
	if out, err := exec.Command("ssh-keygen", "-q", "-s", ca, "-I", "test", "-n", me(t), s.path("id.pub")).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	s.write(t, "authorized_keys", "")
	s.lock(t)
	p := &person{answers: []string{"open sesame"}}
	if _, err := dial(t, asked(s.config(t), p)); err != nil || len(p.asked) != 1 {
		t.Errorf("%v; asked\n%s", err, p.texts())
	}
}

// questioner is an SSH server of our own: PAM would want an account of this machine.
type questioner struct {
	password, code string
	questions      []string // of keyboard-interactive; nil: it asks nothing so
	rounds         int      // in which it asks; 0: one
	patience       time.Duration
	hostKey        ssh.Signer // nil: one of its own
	port           string     // to listen on; "": any
	close          func()
	got            []string
	mu             sync.Mutex
}

func (a *questioner) serve(t *testing.T) (port string) {
	t.Helper()
	_, key, _ := ed25519.GenerateKey(nil)
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	config := &ssh.ServerConfig{MaxAuthTries: 10}
	if a.hostKey != nil {
		signer = a.hostKey
	}
	config.AddHostKey(signer)
	if a.password != "" {
		config.PasswordCallback = func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
			a.mu.Lock()
			want := a.password
			a.mu.Unlock()
			return nil, a.judge(string(password), want)
		}
	}
	if a.questions != nil {
		config.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, challenge ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			var answers []string
			for range max(1, a.rounds) {
				var err error
				if answers, err = challenge("PAM", "of the host", a.questions, make([]bool, len(a.questions))); err != nil {
					return nil, err
				}
			}
			return nil, a.judge(strings.Join(answers, "+"), a.code)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+cmp.Or(a.port, "0"))
	if err != nil {
		t.Fatal(err)
	}
	a.close = func() { listener.Close() }
	accept(t, listener, func(conn net.Conn) {
		if a.patience > 0 {
			conn.SetDeadline(time.Now().Add(a.patience))
		}
		_, channels, requests, err := ssh.NewServerConn(conn, config)
		if err != nil {
			return
		}
		conn.SetDeadline(time.Time{})
		var tasks sync.WaitGroup
		defer tasks.Wait()
		tasks.Go(func() { ssh.DiscardRequests(requests) })
		for c := range channels {
			c.Reject(ssh.Prohibited, "")
		}
	})
	_, port, _ = net.SplitHostPort(listener.Addr().String())
	return port
}

func (a *questioner) judge(got, want string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.got = append(a.got, got)
	if got != want {
		return errors.New("wrong")
	}
	return nil
}

func TestAPasswordIsTypedForOneHost(t *testing.T) {
	a := &questioner{password: "open sesame"}
	port := a.serve(t)
	cfg := anyUserConfig(t, port, "ops")
	p := &person{answers: []string{"mistyped", "open sesame"}}
	cfg = asked(cfg, p)
	for range 2 { // the second time it is known
		if _, err := dial(t, cfg); err != nil {
			t.Fatal(err)
		}
	}
	login := "ops@127.0.0.1:" + port
	if want := "web | password of " + login + "\nweb | it was refused; password of " + login + "\n"; p.texts() != want {
		t.Errorf("asked\n%s", p.texts())
	}
	if !slices.Equal(a.got, []string{"mistyped", "open sesame", "open sesame"}) {
		t.Errorf("the host was told %q", a.got)
	}
	// Another host is not told what that one takes.
	other := &questioner{password: "another"}
	cfg2 := anyUserConfig(t, other.serve(t), "ops")
	cfg2.Node, cfg2.Credentials = "db", cfg.Credentials
	if _, err := dial(t, cfg2); !errors.Is(err, ErrAuth) || len(other.got) > 0 {
		t.Errorf("%v; it was told %q", err, other.got)
	}
}

// Two sites may have the same addresses behind their jump hosts.
func TestAPasswordIsOfANodeAndItsHostKey(t *testing.T) {
	a := &questioner{password: "open sesame"}
	port := a.serve(t)
	first := asked(anyUserConfig(t, port, "ops"), &person{answers: []string{"open sesame"}})
	if _, err := dial(t, first); err != nil {
		t.Fatal(err)
	}
	other := first
	other.Node = "web at another site"
	if _, err := dial(t, other); !Vain(err) || len(a.got) != 1 {
		t.Errorf("%v; told %q", err, a.got)
	}
	// At the same address, and with a key of its own: what answers is another host.
	moved := &questioner{password: "open sesame", port: port}
	a.close()
	moved.serve(t)
	if _, err := dial(t, first); !errors.Is(err, ErrAuth) || len(moved.got) > 0 {
		t.Errorf("%v; told %q", err, moved.got)
	}
}

// Who looks for a host again and again, as after a reboot, locks no account.
func TestAnAccountIsToldThreeWrongPasswordsInARun(t *testing.T) {
	for name, c := range map[string]struct {
		config  string
		answers []string
		told    []string
		asked   int
	}{
		"wrong ones":         {"", []string{"1", "2", "3", "4", "5"}, []string{"1", "2", "3"}, 3},
		"one at a time":      {"NumberOfPasswordPrompts 1", []string{"1", "2", "3", "4", "5"}, []string{"1", "2", "3"}, 3},
		"nothing more":       {"", []string{"1"}, []string{"1"}, 2},
		"more in ssh_config": {"NumberOfPasswordPrompts 4", []string{"1", "2", "3", "4", "5"}, []string{"1", "2", "3", "4"}, 4},
	} {
		for _, byQuestion := range []bool{false, true} {
			a := &questioner{password: "open sesame"}
			if byQuestion {
				a = &questioner{questions: []string{"Password: "}, code: "open sesame"}
			}
			p := &person{answers: slices.Clone(c.answers)}
			cfg := asked(anyUserConfig(t, a.serve(t), "ops"), p)
			text, _ := os.ReadFile(cfg.SSHConfigFile)
			os.WriteFile(cfg.SSHConfigFile, append([]byte(c.config+"\n"), text...), 0o600)
			for range 6 {
				if _, err := dial(t, cfg); !errors.Is(err, ErrAuth) || !Vain(err) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if !slices.Equal(a.got, c.told) || len(p.asked) != c.asked {
				t.Errorf("%s: told %q; asked\n%s", name, a.got, p.texts())
			}
		}
	}
}

func TestAPasswordThatIsRefusedLaterIsForgotten(t *testing.T) {
	a := &questioner{password: "old"}
	p := &person{answers: []string{"old", "new"}}
	cfg := asked(anyUserConfig(t, a.serve(t), "ops"), p)
	mayDial := func() {
		t.Helper()
		if _, err := dial(t, cfg); err != nil {
			t.Fatal(err)
		}
	}
	mayDial()
	a.mu.Lock()
	a.password = "new"
	a.mu.Unlock()
	mayDial()
	mayDial()
	if !slices.Equal(a.got, []string{"old", "old", "new", "new"}) || len(p.asked) != 2 {
		t.Errorf("told %q; asked\n%s", a.got, p.texts())
	}
}

func TestPasswordsFollowSSHConfig(t *testing.T) {
	for name, c := range map[string]struct {
		config  string
		answers []string
		asked   int
		says    string
	}{
		"three tries":          {"", []string{"1", "2", "3", "4"}, 3, "and the password was wrong"},
		"one try":              {"NumberOfPasswordPrompts 1", []string{"1", "2"}, 1, "and the password was wrong"},
		"no password":          {"PasswordAuthentication no", []string{"1"}, 0, "accepts none of our keys"},
		"batch mode":           {"BatchMode yes", []string{"1"}, 0, "ssh_config says BatchMode"},
		"keys alone preferred": {"PreferredAuthentications publickey", []string{"1"}, 0, "accepts none of our keys"},
		"no answer":            {"", nil, 1, "and no answer was given"},
	} {
		a := &questioner{password: "open sesame"}
		cfg := anyUserConfig(t, a.serve(t), "ops")
		text, _ := os.ReadFile(cfg.SSHConfigFile)
		os.WriteFile(cfg.SSHConfigFile, append([]byte(c.config+"\n"), text...), 0o600)
		p := &person{answers: c.answers}
		if _, err := dial(t, asked(cfg, p)); !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), c.says) || len(p.asked) != c.asked ||
			Vain(err) != (c.asked > 0) {
			t.Errorf("%s: %v; asked\n%s", name, err, p.texts())
		}
	}
}

func TestWhatAHostAsksIsAskedInItsWords(t *testing.T) {
	a := &questioner{questions: []string{"Password: ", "Code: "}, code: "pw+123"}
	cfg := anyUserConfig(t, a.serve(t), "ops")
	p := &person{answers: []string{"pw", "123"}}
	if _, err := dial(t, asked(cfg, p)); err != nil {
		t.Error(err)
	}
	if got := p.texts(); !strings.Contains(got, "web | PAM of the host Password:  -> answer for ops@127.0.0.1") || !strings.Contains(got, "web | Code:  -> answer for") {
		t.Errorf("asked\n%s", got)
	}
	for name, a := range map[string]*questioner{
		"many questions": {questions: slices.Repeat([]string{"more?"}, 100)},
		"many rounds":    {questions: []string{}, rounds: 100},
	} {
		p := &person{answers: slices.Repeat([]string{"y"}, 1000)}
		if _, err := dial(t, asked(anyUserConfig(t, a.serve(t), "ops"), p)); err == nil || len(p.asked) > 24 {
			t.Errorf("%s: %v after %d questions", name, err, len(p.asked))
		}
	}
}

// sshd_config(5), LoginGraceTime.
func TestAHostThatDoesNotWaitForPeopleIsComeBackTo(t *testing.T) {
	set(t, &handshakeGrace, 100*time.Millisecond)
	a := &questioner{password: "open sesame", patience: time.Second}
	p := &person{answers: []string{"open sesame", "open sesame"}, slow: 1500 * time.Millisecond}
	p.next = func() { p.slow = 0 }
	cfg := asked(anyUserConfig(t, a.serve(t), "ops"), p)
	if _, err := dial(t, cfg); err != nil {
		t.Errorf("%v; asked\n%s", err, p.texts())
	}
}

// mockSecurityKey is an agent with a key like those of FIDO tokens, in software, whose
// touch a test plays: no real one can be had here.
type mockSecurityKey struct {
	agent.Agent
	key    ed25519.PrivateKey
	public ssh.PublicKey
	touch  chan string // what is to be touched sends here, and waits for the test
	wait   sync.Mutex  // a real one has a single button
	busy   bool
	t      *testing.T
}

const skType = "sk-ssh-ed25519@openssh.com"

func newMockSecurityKey(t *testing.T) *mockSecurityKey {
	t.Helper()
	public, key, _ := ed25519.GenerateKey(nil)
	parsed, err := ssh.ParsePublicKey(ssh.Marshal(struct {
		Name        string
		Key         []byte
		Application string
	}{skType, public, "ssh:"}))
	if err != nil {
		t.Fatal(err)
	}
	return &mockSecurityKey{Agent: agent.NewKeyring(), key: key, public: parsed, touch: make(chan string), t: t}
}

func (m *mockSecurityKey) List() ([]*agent.Key, error) {
	return []*agent.Key{{Format: skType, Blob: m.public.Marshal(), Comment: "token"}}, nil
}

func (m *mockSecurityKey) Sign(_ ssh.PublicKey, data []byte) (*ssh.Signature, error) {
	m.wait.Lock()
	if m.busy {
		m.t.Error("two signatures wait for one button")
	}
	m.busy = true
	m.wait.Unlock()
	m.touch <- "touched"
	m.wait.Lock()
	m.busy = false
	m.wait.Unlock()
	application, message := sha256.Sum256([]byte("ssh:")), sha256.Sum256(data)
	rest := append([]byte{1}, binary.BigEndian.AppendUint32(nil, 7)...) // a person was there
	blob := slices.Concat(application[:], rest, message[:])
	return &ssh.Signature{Format: skType, Blob: ed25519.Sign(m.key, blob), Rest: rest}, nil
}

// What is waited for is told by whoever shows it: see deploy.Tools.
func TestItIsKnownForWhatAConnectionWaits(t *testing.T) {
	s := serve(t)
	m := newMockSecurityKey(t)
	s.write(t, "authorized_keys", string(ssh.MarshalAuthorizedKey(m.public)))
	waits := s.path("waits")
	s.write(t, "command", "#!/bin/sh\ntouch "+waits+"; while [ -e "+waits+" ]; do sleep 0.05; done\n")
	os.Chmod(s.path("command"), 0o700)
	a := &questioner{password: "open sesame"}
	answer := make(chan struct{})
	p := &person{answers: []string{"open sesame"}, next: func() { <-answer }}
	var all Hosts
	defer all.Close()
	for name, c := range map[string]struct {
		cfg  func() Config
		wait string
		on   func()
	}{
		"touch":    {func() Config { return s.config(t, "IdentityAgent "+serveAgent(t, m)) }, "a touch of the security key", func() { <-m.touch }},
		"password": {func() Config { return asked(anyUserConfig(t, a.serve(t), "ops"), p) }, "an answer: password of ops@127.0.0.1:", func() { close(answer) }},
		"command":  {func() Config { return s.config(t, "KnownHostsCommand "+s.path("command")) }, "KnownHostsCommand", func() { os.Remove(waits) }},
	} {
		done, cfg := make(chan error, 1), c.cfg()
		go func() {
			_, err := all.Open(t.Context(), name, cfg)
			done <- err
		}()
		for end := time.Now().Add(10 * time.Second); !strings.HasPrefix(all.WaitsFor(name), c.wait); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: waits for %q", name, all.WaitsFor(name))
			}
		}
		c.on()
		if name == "command" {
			for end := time.Now().Add(10 * time.Second); len(done) == 0 && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
				os.Remove(waits) // it is asked twice
			}
		}
		<-done
		if got := all.WaitsFor(name); got != "" {
			t.Errorf("%s: then still %q", name, got)
		}
	}
}

func TestASecurityKeyIsTouchedForOneHostAfterTheOther(t *testing.T) {
	s := serve(t)
	m := newMockSecurityKey(t)
	s.write(t, "authorized_keys", string(ssh.MarshalAuthorizedKey(m.public)))
	cfg := s.config(t, "IdentityAgent "+serveAgent(t, m))
	cfg.Credentials = sshauth.NewCredentials(nil)
	told := make(chan string, 10)
	var all sync.WaitGroup
	for i := range 3 {
		cfg := cfg
		cfg.Node = fmt.Sprint("web-", i)
		cfg.Note = func(text string) {
			if strings.Contains(text, "touch") {
				told <- cfg.Node + ": " + text
			}
		}
		all.Go(func() {
			if _, err := dial(t, cfg); err != nil {
				t.Error(err)
			}
		})
	}
	for range 3 {
		text := <-told
		if !strings.Contains(text, "web-") || !strings.Contains(text, ": touch the security key: it is to sign for "+me(t)+"@127.0.0.1:"+s.port) {
			t.Error(text)
		}
		time.Sleep(100 * time.Millisecond) // in which others would ask, too
		if len(told) > 0 {
			t.Error("two hosts wait for a touch: ", <-told)
		}
		<-m.touch
	}
	all.Wait()
}
