package remote

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/knownhosts"
	"github.com/colmena-go/colmena-go/pkg/sshauth"
)

const unrecorded = "UserKnownHostsFile /dev/null"

func TestAHostWhoseKeyIsNotRecordedShowsTheSameAllRun(t *testing.T) {
	s, stranger := serve(t), serve(t)
	stranger.write(t, "authorized_keys", s.read(t, "id.pub")) // who lets in anybody
	for name, file := range map[string]string{"null": unrecorded, "none": "UserKnownHostsFile none", "read only": "UserKnownHostsFile /proc/nowhere/known_hosts"} {
		t.Run(name, func(t *testing.T) {
			var a Hosts
			defer a.Close()
			var notes []string
			open := func(port string, lines ...string) error {
				cfg := s.configAt(t, port, append(lines, file)...)
				cfg.Note = func(text string) { notes = append(notes, text) }
				_, err := a.Reopen(t.Context(), node, cfg)
				return err
			}
			for _, line := range []string{"", "HostKeyAlgorithms ^ecdsa-sha2-nistp256", ""} {
				if err := open(s.port, line); err != nil {
					t.Errorf("%s: %v", line, err)
				}
			}
			if all := strings.Join(notes, "\n"); len(notes) != 1 || !strings.Contains(all, "recorded") || !strings.Contains(all, "the next run accepts any again") {
				t.Errorf("notes: %q", notes)
			}
			logins := stranger.logins()
			err := open(stranger.port)
			if !errors.Is(err, ErrHostKey) || !strings.Contains(err.Error(), "it had before in this run (then "+fingerprint(t, s.read(t, "host_ed25519.pub"))+", now "+fingerprint(t, stranger.read(t, "host_ed25519.pub"))) {
				t.Errorf("a stranger: %v", err)
			}
			if stranger.logins() != logins {
				t.Error("a stranger was logged in to")
			}
			if err := open(s.port, "HostKeyAlgorithms ecdsa-sha2-nistp256"); !errors.Is(err, ErrHostKey) {
				t.Errorf("its other key: %v", err)
			}
			if err := open(s.port); err != nil {
				t.Errorf("it is refused after a stranger: %v", err)
			}
		})
	}
}

func TestAJumpHostWhoseKeyIsNotRecordedShowsTheSameAllRun(t *testing.T) {
	for _, line := range []string{"", viaSSH} { // of the host behind it
		s, gate, stranger := serve(t), serve(t), serve(t)
		stranger.write(t, "authorized_keys", gate.read(t, "id.pub"))
		f := behind(t, s, map[string]*server{"gate": gate})
		var a Hosts
		defer a.Close()
		way := []string{"Host gate", unrecorded, "Host box", "ProxyJump gate", line}
		if _, err := a.Open(t.Context(), node, f.config(t, way...)); err != nil {
			t.Fatal(err)
		}
		a.jumps.close() // as if it went down
		a.jumps.closed = false
		if _, err := a.Reopen(t.Context(), node, f.config(t, append([]string{"Host gate", "Port " + stranger.port}, way...)...)); !errors.Is(err, ErrHostKey) || !strings.Contains(err.Error(), "jump host gate: ") {
			t.Errorf("%q: a stranger: %v", line, err)
		}
		if _, err := os.Stat(stranger.path("known_hosts")); stranger.logins() > 0 || err == nil {
			t.Errorf("%q: a stranger was logged in to", line)
		}
	}
}

func TestTheSSHProgramIsShownTheSameKeyAllRun(t *testing.T) {
	s, stranger := serve(t), serve(t)
	stranger.write(t, "authorized_keys", s.read(t, "id.pub"))
	var a Hosts
	defer a.Close()
	var notes []string
	open := func(port string, lines ...string) error {
		cfg := s.configAt(t, port, append(lines, unrecorded, "HostKeyAlias box")...) // as ssh knows another port as another host
		cfg.Note = func(text string) { notes = append(notes, text) }
		_, err := a.Reopen(t.Context(), node, cfg)
		return err
	}
	for _, line := range []string{viaSSH, "", viaSSH} {
		if err := open(s.port, line); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "recorded nowhere") {
		t.Errorf("notes: %q", notes)
	}
	err := open(stranger.port, viaSSH)
	if !errors.Is(err, ErrHostKey) {
		t.Errorf("a stranger: %v", err)
	}
	if stranger.logins() > 0 {
		t.Error("a stranger was logged in to")
	}
	if err := open(s.port, viaSSH); err != nil {
		t.Errorf("it is refused after a stranger: %v", err)
	}
}

func TestWhatTheSSHProgramLearnsIsRecordedAsOurs(t *testing.T) {
	s := serve(t)
	for _, hash := range []string{"no", "yes"} {
		file := s.path(`known "` + hash + `" 100%`)
		s.write(t, `known "`+hash+`" 100%`, "# mine\n")
		cfg := s.config(t, viaSSH, "HashKnownHosts "+hash)
		cfg.SSHOptions = []string{`-oUserKnownHostsFile="` + strings.NewReplacer(`"`, `\"`, "%", "%%").Replace(file) + `"`}
		mustDial(t, cfg)
		text := s.read(t, `known "`+hash+`" 100%`)
		if lines := strings.Split(text, "\n"); len(lines) != 3 || strings.HasPrefix(lines[1], "|1|") != (hash == "yes") {
			t.Errorf("HashKnownHosts %s: %q", hash, text)
		}
		cfg.SSHOptions = append(cfg.SSHOptions, "-oStrictHostKeyChecking=yes")
		mustDial(t, cfg)
	}
}

func TestAJumpHostOfTheSSHProgramWithAnotherKeyIsRefused(t *testing.T) {
	s, gate := serve(t), serve(t)
	keygen(t, gate.path("stranger"), "-t", "ed25519")
	f := behind(t, s, map[string]*server{"gate": gate})
	gate.write(t, "known_hosts", "[127.0.0.1]:"+gate.port+" "+gate.read(t, "stranger.pub"))
	for _, check := range []string{"no", "accept-new", "yes"} {
		_, err := dial(t, f.config(t, "Host gate", "StrictHostKeyChecking "+check, viaSSH, "Host box", "ProxyJump gate"))
		if !errors.Is(err, ErrHostKey) || errors.Is(err, ErrUnreachable) {
			t.Errorf("StrictHostKeyChecking %s: %v", check, err)
		}
	}
}

func TestTheSSHProgramHeedsWhatIsRevokedOnAnyPort(t *testing.T) {
	s := serve(t)
	key := s.read(t, "host_ed25519.pub")
	s.write(t, "global", "@revoked 127.0.0.1 "+key)
	for _, known := range []string{"", "[127.0.0.1]:" + s.port + " " + key} {
		s.write(t, "known_hosts", known)
		if _, err := dial(t, s.config(t, viaSSH, "GlobalKnownHostsFile "+s.path("global"))); !errors.Is(err, ErrHostKey) || s.logins() > 0 {
			t.Errorf("with %q: %v after %d logins", known, err, s.logins())
		}
	}
}

// Two connections may be the first ones at once: then one of them is.
func TestTheFirstKeyOfAHostIsKept(t *testing.T) {
	s := serve(t)
	var m met
	first := sshauth.PublicKey(s.path("host_ed25519.pub"))
	if got := m.keep("box", first); !knownhosts.Same(got, first) {
		t.Error(got)
	}
	if got := m.keep("box", sshauth.PublicKey(s.path("host_ecdsa.pub"))); !knownhosts.Same(got, first) || !knownhosts.Same(m.of("box"), first) {
		t.Error("another key takes its place")
	}
}
