package remote

import (
	"bytes"
	"errors"
	"net"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
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

func TestKeysForAllUsersCount(t *testing.T) {
	s := serve(t)
	keygen(t, s.path("stranger"), "-t", "ed25519")
	here := "[127.0.0.1]:" + s.port + " "
	global := "GlobalKnownHostsFile " + s.path("none") + " " + s.path("global")
	s.write(t, "global", here+s.read(t, "host_ed25519.pub"))
	if _, err := dial(t, s.config(t, global, "StrictHostKeyChecking yes")); err != nil {
		t.Error(err)
	}
	s.write(t, "global", here+s.read(t, "stranger.pub"))
	if _, err := dial(t, s.config(t, global)); !errors.Is(err, ErrHostKey) || !strings.Contains(err.Error(), s.path("global")+":1") {
		t.Errorf("error %v, want ErrHostKey that names the line", err)
	}
	if learned := s.read(t, "known_hosts"); learned != "" {
		t.Errorf("known_hosts has %q", learned)
	}
}

func TestAHostIsRecordedWithoutItsNameWhereAsked(t *testing.T) {
	s := serve(t)
	if _, err := dial(t, s.config(t, "HashKnownHosts yes")); err != nil {
		t.Fatal(err)
	}
	if line := s.read(t, "known_hosts"); !strings.HasPrefix(line, "|1|") || strings.Contains(line, "127.0.0.1") {
		t.Errorf("known_hosts has %q", line)
	}
	if _, err := dial(t, s.config(t, "StrictHostKeyChecking yes")); err != nil {
		t.Error("the recorded key is not accepted:", err)
	}
	if out, err := exec.Command("ssh-keygen", "-F", "[127.0.0.1]:"+s.port, "-f", s.path("known_hosts")).CombinedOutput(); err != nil {
		t.Errorf("OpenSSH does not find the host: %v: %s", err, out)
	}
}

// A server shows its key at each key exchange.
func TestAHostKeyIsLearnedOnce(t *testing.T) {
	s := serve(t, "RekeyLimit 16K")
	cfg := s.config(t)
	var notes []string
	cfg.Note = func(text string) { notes = append(notes, text) }
	var out bytes.Buffer
	if err := mustDial(t, cfg).Run(t.Context(), "head -c 300000 /dev/zero", nil, &out, nil); err != nil || out.Len() != 300000 {
		t.Fatal(err, out.Len())
	}
	if lines := strings.Count(s.read(t, "known_hosts"), "\n"); len(notes) != 1 || lines != 1 {
		t.Errorf("%d lines in known_hosts; notes %q", lines, notes)
	}
}

func TestAHostKeyThatChangesOnTheWayIsRefused(t *testing.T) {
	s := serve(t)
	read := func(name string) ssh.PublicKey {
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(s.read(t, name)))
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	known, err := newHostKeys(settings{HostName: "box", Port: 22, UserKnownHosts: []string{s.path("known_hosts")}}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	at := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 22}
	if err := known.check("", at, read("host_ed25519.pub")); err != nil {
		t.Error(err)
	}
	if err := known.check("", at, read("host_ecdsa.pub")); !errors.Is(err, ErrHostKey) {
		t.Errorf("another key in the same connection: %v", err)
	}
}
