package remote

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/sshauth"
	"github.com/colmena-go/colmena-go/tests/lacking"
)

func TestSSHAsksThroughUs(t *testing.T) {
	s := serve(t)
	s.lock(t)
	p := &person{answers: []string{"mistyped", "open sesame"}}
	cfg := s.config(t, viaSSH)
	cfg.Credentials = sshauth.NewCredentials(p)
	var all sync.WaitGroup
	for i := range 4 {
		cfg := cfg
		cfg.Node = fmt.Sprint("web-", i)
		all.Go(func() {
			h, err := dial(t, cfg)
			if err != nil {
				t.Error(err)
			} else if err := h.Run(t.Context(), "true", nil, nil, nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	who, _, _ := strings.Cut(p.texts(), " | ")
	if want := fmt.Sprintf("%s | passphrase for key '%s'\n%[1]s | it was wrong; passphrase for key '%[2]s'\n", who, s.path("id")); p.texts() != want {
		t.Errorf("asked\n%s", p.texts())
	}
}

func TestAWrongPassphraseForSSHIsKeptByNobody(t *testing.T) {
	s := serve(t)
	s.lock(t)
	p := &person{answers: []string{"1", "2", "3", "open sesame"}}
	cfg := asked(s.config(t, viaSSH), p)
	if _, err := dial(t, cfg); !errors.Is(err, ErrAuth) {
		t.Error(err)
	}
	for range 2 {
		if _, err := dial(t, cfg); err != nil {
			t.Error(err)
		}
	}
	if len(p.asked) != 4 {
		t.Errorf("asked\n%s", p.texts())
	}
}

func TestAPasswordForSSHIsForOneHost(t *testing.T) {
	through := func(cfg Config, lines ...string) Config {
		text, _ := os.ReadFile(cfg.SSHConfigFile)
		os.WriteFile(cfg.SSHConfigFile, append([]byte(strings.Join(append(lines, viaSSH), "\n")+"\n"), text...), 0o600)
		return cfg
	}
	a := &questioner{password: "open sesame"}
	port := a.serve(t)
	login := "ops@127.0.0.1"
	p := &person{answers: []string{"mistyped", "open sesame"}}
	if _, err := dial(t, asked(through(anyUserConfig(t, port, "ops")), p)); err != nil {
		t.Error(err)
	}
	if want := "web | password of " + login + "\nweb | it was refused; password of " + login + "\n"; p.texts() != want || !slices.Equal(a.got, []string{"mistyped", "open sesame"}) {
		t.Errorf("told %q; asked\n%s", a.got, p.texts())
	}
	// An account is told three wrong ones in a run, and whoever gives none is not asked again.
	for name, c := range map[string]struct {
		answers []string
		told    int
		asked   int
	}{"wrong ones": {[]string{"1", "2", "3", "4", "5"}, 3, 3}, "none": {nil, 0, 1}} {
		a := &questioner{password: "open sesame"}
		p := &person{answers: c.answers}
		cfg := asked(through(anyUserConfig(t, a.serve(t), "ops")), p)
		for range 3 {
			if _, err := dial(t, cfg); !errors.Is(err, ErrAuth) || !Vain(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if len(a.got) != c.told || len(p.asked) != c.asked {
			t.Errorf("%s: told %q; asked\n%s", name, a.got, p.texts())
		}
	}
	b := &questioner{questions: []string{"Code: "}, code: "123"}
	p = &person{answers: []string{"123"}}
	if _, err := dial(t, asked(through(anyUserConfig(t, b.serve(t), "ops")), p)); err != nil || !strings.Contains(p.texts(), "Code:") || !strings.Contains(p.texts(), " -> answer for ops@127.0.0.1:") {
		t.Errorf("%v; asked\n%s", err, p.texts())
	}
	p = &person{answers: []string{"open sesame"}}
	if _, err := dial(t, asked(through(anyUserConfig(t, port, "ops"), "BatchMode yes"), p)); !errors.Is(err, ErrAuth) || len(p.asked) > 0 {
		t.Errorf("%v; asked\n%s", err, p.texts())
	}
}

// What a host asks is told as its words, whatever it says that it wants.
func TestAHostThatSpeaksLikeSSHIsHeardAsAHost(t *testing.T) {
	for _, words := range []string{"root@db's password: ", "passphrase of /root/.ssh/id_ed25519 (yes/no)? ", "Enter passphrase for key '/root/.ssh/id_ed25519': "} {
		b := &questioner{questions: []string{words}, code: "123"}
		p := &person{answers: []string{"123"}}
		cfg := asked(anyUserConfig(t, b.serve(t), "ops"), p)
		text, err := os.ReadFile(cfg.SSHConfigFile)
		if err == nil {
			err = os.WriteFile(cfg.SSHConfigFile, append([]byte(viaSSH+"\n"), text...), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dial(t, cfg); err != nil || len(p.asked) != 1 {
			t.Fatalf("%v; asked\n%s", err, p.texts())
		}
		if q := p.asked[0]; !strings.HasPrefix(q.Text, "answer for ops@127.0.0.1:") || !strings.Contains(q.Heard, words) || q.Echo {
			t.Errorf("%q is asked as %+v", words, q)
		}
	}
}

func TestSSHAsksOfAHostKeyWhereAskWasWritten(t *testing.T) {
	s := serve(t)
	for answer, want := range map[string]error{"no": ErrHostKey, "yes": nil} {
		s.write(t, "known_hosts", "")
		p := &person{answers: []string{answer}}
		_, err := dial(t, asked(s.config(t, viaSSH, "StrictHostKeyChecking ask"), p))
		if !errors.Is(err, want) || want == nil && err != nil || len(p.asked) != 1 || !strings.Contains(p.texts(), fingerprint(t, s.read(t, "host_ed25519.pub"))) {
			t.Errorf("%s: %v; asked\n%s", answer, err, p.texts())
		}
		if recorded := s.read(t, "known_hosts") != ""; recorded != (want == nil) {
			t.Errorf("%s: recorded %v", answer, recorded)
		}
	}
}

// A key in a token of SoftHSM, which has its PIN asked for as a real one has.
func TestAKeyOfATokenOpensTheDoor(t *testing.T) {
	module := ""
	for _, pattern := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/*/softhsm/libsofthsm2.so"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			module = found[0]
		}
	}
	if module == "" {
		lacking.Skip(t, errors.New("no softhsm2"))
	}
	s := serve(t)
	if err := os.Mkdir(s.path("tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.write(t, "softhsm2.conf", "directories.tokendir = "+s.path("tokens")+"\n")
	t.Setenv("SOFTHSM2_CONF", s.path("softhsm2.conf"))
	for _, args := range [][]string{
		{"openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", s.path("key.pem")},
		{"softhsm2-util", "--init-token", "--free", "--label", "door", "--so-pin", "5678", "--pin", "1234"},
		{"softhsm2-util", "--import", s.path("key.pem"), "--token", "door", "--label", "key", "--id", "01", "--pin", "1234"},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatal(args, err, string(out))
		}
	}
	public, err := exec.Command("ssh-keygen", "-y", "-f", s.path("key.pem")).Output()
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "authorized_keys", string(public))
	if err := os.Remove(s.path("key.pem")); err != nil {
		t.Fatal(err)
	}
	p := &person{answers: []string{"1234"}}
	cfg := asked(s.config(t, "PKCS11Provider "+module), p)
	for range 3 { // the PIN is typed once in a run
		h := mustDial(t, cfg)
		if err := h.Run(t.Context(), "true", nil, nil, nil); err != nil {
			t.Error(err)
		}
	}
	if want := "web | PIN for 'door'\n"; p.texts() != want {
		t.Errorf("asked\n%s", p.texts())
	}
	wrong := &person{answers: []string{"4321", "4321", "4321", "4321"}}
	if _, err := dial(t, asked(s.config(t, "PKCS11Provider "+module), wrong)); !errors.Is(err, ErrAuth) || len(wrong.asked) > 3 {
		t.Errorf("%v; asked\n%s", err, wrong.texts())
	}
}
