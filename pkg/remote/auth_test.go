package remote

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/tests/lacking"
)

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
	for _, word := range []string{"ssh-add", s.path("id"), me(t) + "@127.0.0.1"} {
		if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), word) {
			t.Errorf("error %v, want ErrAuth that says %q", err, word)
		}
	}
}

func TestKeysOfTheAgentOpenTheDoor(t *testing.T) {
	s := serve(t)
	agent := exec.Command("ssh-agent", "-D", "-a", s.path("agent"))
	if err := agent.Start(); err != nil {
		lacking.Skip(t, err)
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

func TestIdentitiesOnlyOffersNoOtherKeyOfTheAgent(t *testing.T) {
	s := serve(t)
	keygen(t, s.path("other"), "-t", "ed25519")
	socket := "IdentityAgent " + serveAgent(t, keyring(t, s.path("other"), s.path("id")))
	for _, name := range []string{"id", "id.pub"} { // the agent alone has the key that opens the door
		if err := os.Rename(s.path(name), s.path("moved_"+name)); err != nil {
			t.Fatal(err)
		}
	}
	other, right := "IdentityFile "+s.path("other.pub"), "IdentityFile "+s.path("moved_id.pub")
	if _, err := dial(t, s.config(t, socket, other)); err != nil {
		t.Error("without IdentitiesOnly the agent's keys are all offered:", err)
	}
	if _, err := dial(t, s.config(t, socket, other, "IdentitiesOnly yes")); !errors.Is(err, ErrAuth) {
		t.Errorf("error %v, want ErrAuth: only a key that does not fit is named", err)
	}
	if _, err := dial(t, s.config(t, socket, right, "IdentitiesOnly yes")); err != nil {
		t.Error("the key that fits is named:", err)
	}
}

func TestACertificateOpensTheDoor(t *testing.T) {
	ca := t.TempDir() + "/ca"
	keygen(t, ca, "-t", "ed25519")
	s := serve(t, "TrustedUserCAKeys "+ca+".pub")
	if out, err := exec.Command("ssh-keygen", "-q", "-s", ca, "-I", "test", "-n", me(t), s.path("id.pub")).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	s.write(t, "authorized_keys", "")
	if _, err := dial(t, s.config(t)); err != nil {
		t.Error("beside the key:", err)
	}
	if err := os.Rename(s.path("id-cert.pub"), s.path("certificate")); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, s.config(t)); !errors.Is(err, ErrAuth) {
		t.Errorf("error %v, want ErrAuth: the key alone does not open the door", err)
	}
	certificate := "CertificateFile " + s.path("certificate")
	if _, err := dial(t, s.config(t, certificate)); err != nil {
		t.Error("with the key of a file:", err)
	}
	socket := "IdentityAgent " + serveAgent(t, keyring(t, s.path("id")))
	if err := os.Remove(s.path("id")); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, s.config(t, certificate, socket)); err != nil {
		t.Error("with the key of the agent:", err)
	}
}

func TestTheUserComesFromSSHConfigUnlessGiven(t *testing.T) {
	s := serve(t)
	config := s.config(t, "User stranger")
	if _, err := dial(t, config); !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), "stranger@127.0.0.1") {
		t.Errorf("error %v, want ErrAuth for stranger", err)
	}
	config.User = me(t)
	if _, err := dial(t, config); err != nil {
		t.Error("targetUser wins:", err)
	}
}

func TestWithoutOpenSSHItsUsualFilesAreUsed(t *testing.T) {
	s := serve(t)
	home := t.TempDir()
	if err := os.Mkdir(home+"/.ssh", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.path("id"), home+"/.ssh/id_ed25519"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", home)
	t.Setenv("SSH_AUTH_SOCK", "")
	t.Setenv("PATH", t.TempDir())
	port, err := strconv.Atoi(s.port)
	if err != nil {
		t.Fatal(err)
	}
	h := mustDial(t, Config{Host: "127.0.0.1", Port: port})
	if err := h.Run(t.Context(), "true", nil, nil, nil); err != nil {
		t.Error(err)
	}
	if known, err := os.ReadFile(home + "/.ssh/known_hosts"); err != nil || !strings.HasPrefix(string(known), "[127.0.0.1]:"+s.port+" ") {
		t.Errorf("known_hosts has %q, %v", known, err)
	}
}

func TestARefusedLoginSaysWhatTheHostWants(t *testing.T) {
	const password, noKeys = "PasswordAuthentication yes", "PubkeyAuthentication no"
	asks := []string{"UsePAM yes", "KbdInteractiveAuthentication yes"}
	for name, c := range map[string]struct {
		sshd    []string
		trusted bool
		want    []string
	}{
		"a key":                         {[]string{"KbdInteractiveAuthentication no"}, false, []string{"accepts none of our keys; tried: ", "; allow one of them on the host"}},
		"only a password":               {[]string{password, noKeys, "KbdInteractiveAuthentication no"}, true, []string{"takes no keys, only a password, which", "PubkeyAuthentication", "ssh-copy-id"}},
		"only answers":                  {append(asks, noKeys), true, []string{"takes no keys, only answers (keyboard-interactive), which"}},
		"a password in place of a key":  {[]string{password, "KbdInteractiveAuthentication no"}, false, []string{"accepts none of our keys; tried: ", "it would take a password, too", "ssh-copy-id"}},
		"a password as well as the key": {[]string{password, "AuthenticationMethods publickey,password"}, true, []string{"takes our key, but then wants a password as well", "AuthenticationMethods"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, c.sshd...)
			if !c.trusted {
				s.write(t, "authorized_keys", "")
			}
			_, err := dial(t, s.config(t))
			for _, text := range append(c.want, "the host refused the login: "+me(t)+"@127.0.0.1:"+s.port) {
				if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), text) {
					t.Errorf("%v, want ErrAuth that says %q", err, text)
				}
			}
		})
	}
}

func TestTooManyKeysOfAnAgentAreTold(t *testing.T) {
	s := serve(t, "MaxAuthTries 2")
	var paths []string
	for _, name := range []string{"a", "b", "c"} {
		keygen(t, s.path(name), "-t", "ed25519")
		paths = append(paths, s.path(name))
	}
	_, err := dial(t, s.config(t, "IdentityAgent "+serveAgent(t, keyring(t, append(paths, s.path("id"))...))))
	if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), "IdentitiesOnly") {
		t.Errorf("%v, want ErrAuth that says how to choose", err)
	}
}

func TestAnAgentThatIsGoneIsNamed(t *testing.T) {
	s := serve(t, "KbdInteractiveAuthentication no")
	s.write(t, "authorized_keys", "")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: s.path("stale"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	for socket, want := range map[string]string{"gone": "which does not exist", "stale": "where nobody listens any more"} {
		t.Setenv("SSH_AUTH_SOCK", s.path(socket))
		_, err := dial(t, s.config(t, "IdentityAgent SSH_AUTH_SOCK"))
		if err == nil || !strings.Contains(err.Error(), "no agent: SSH_AUTH_SOCK names the socket "+s.path(socket)+", "+want) {
			t.Errorf("%v, want that the agent %s", err, want)
		}
	}
}

func TestAKeyFileThatOthersMayReadIsIgnored(t *testing.T) {
	s := serve(t)
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o644} {
		if err := os.Chmod(s.path("id"), mode); err != nil {
			t.Fatal(err)
		}
		if _, err := dial(t, s.config(t)); !errors.Is(err, ErrAuth) {
			t.Errorf("mode %#o: %v", mode, err)
		}
	}
	cfg := s.config(t)
	var noted []string
	cfg.Note = func(text string) { noted = append(noted, text) }
	_, err := dial(t, cfg)
	want := s.path("id") + " is ignored, as by ssh: others may read it (mode 0644): chmod 600 " + s.path("id")
	if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), want) || !slices.Contains(noted, "ssh: "+want) {
		t.Errorf("%v; noted %q", err, noted)
	}
	if out, err := exec.Command("ssh", "-F", cfg.SSHConfigFile, "-oBatchMode=yes", "box", "true").CombinedOutput(); err == nil || !strings.Contains(string(out), "UNPROTECTED") {
		t.Errorf("ssh itself: %v, %s", err, out)
	}
	os.Chmod(s.path("id"), 0o400)
	if _, err := dial(t, cfg); err != nil {
		t.Error(err)
	}
}
