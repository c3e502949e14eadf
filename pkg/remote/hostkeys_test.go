package remote

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

func TestAHostKeyIsTrustedAsOpenSSHWould(t *testing.T) {
	s := serve(t)
	ed := strings.TrimSpace(s.read(t, "host_ed25519.pub"))
	ecdsa := strings.TrimSpace(s.read(t, "host_ecdsa.pub"))
	keygen(t, s.path("stranger"), "-t", "ed25519")
	stranger := strings.TrimSpace(s.read(t, "stranger.pub"))
	keygen(t, s.path("rsa"), "-t", "rsa")
	rsa := strings.TrimSpace(s.read(t, "rsa.pub"))
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
		{"known without the port", "127.0.0.1 " + ed, "StrictHostKeyChecking yes", "", false},
		{"known by a pattern", "[127.*]:* " + ed, "StrictHostKeyChecking yes", "", false},
		{"not known by a pattern", "[127.*]:*,!" + strings.TrimSpace(here) + " " + ed, "StrictHostKeyChecking yes", "StrictHostKeyChecking is yes", false},
		{"known among lines that make no sense", "odd\n" + here + "ssh-new AAAA\n" + here + ed, "StrictHostKeyChecking yes", "", false},
		{"known by a hash", xknownhosts.HashHostname(strings.TrimSpace(here)) + " " + ed, "StrictHostKeyChecking yes", "", false},
		{"changed, by a hash", xknownhosts.HashHostname(strings.TrimSpace(here)) + " " + stranger, "", "known_hosts:1", false},
		{"several keys, of which one is right", here + stranger + "\n" + here + ed, "StrictHostKeyChecking yes", "", false},
		{"changed, with both fingerprints", here + stranger, "", "there " + fingerprint(t, stranger) + ", now " + fingerprint(t, ed), false},
		{"only a kind that the host does not have", here + rsa, "", "known_hosts:1 (there " + fingerprint(t, rsa), false},
		{"only a kind that we cannot do", here + "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIJ1L9pEZAVg8gvbYnJ5w6nbUJBl5NmBjYQmuUZ9d5tLzAAAABHNzaDo=", "", "known_hosts:1", false},
		{"another kind is shown, as ssh_config has it", here + rsa, "HostKeyAlgorithms +ssh-rsa", "known_hosts:1", false},
		{"another kind is wanted by ssh_config alone", here + ecdsa, "HostKeyAlgorithms ssh-ed25519", "known_hosts:1", false},
		{"another kind is preferred by ssh_config", here + ecdsa, "HostKeyAlgorithms ^ssh-ed25519", "", false},
		{"no kind that ssh_config wants", "", "HostKeyAlgorithms rsa-sha2-512", "has no key of the kinds", false},
		{"another, but this machine needs to show nothing", here + stranger, "NoHostAuthenticationForLocalhost yes", "", false},
		{"of an authority, and the host has no certificate", "@cert-authority * " + stranger, "", "shows no certificate of the authority in " + s.path("known_hosts") + ":1", false},
		{"of an authority, and nobody can be asked", "@cert-authority * " + stranger, "StrictHostKeyChecking ask", "shows no certificate", false},
		{"of an authority, by the ssh program", "@cert-authority * " + stranger, viaSSH, "Host key verification failed", false},
		{"of an authority, and any key is accepted", "@cert-authority * " + stranger, "StrictHostKeyChecking accept-new", "", true},
		{"of an authority, and any is, as of old", "@cert-authority * " + stranger, "StrictHostKeyChecking no", "", true},
		{"of an authority, but known", "@cert-authority * " + stranger + "\n" + here + ed, "", "", false},
		{"of an authority for others", "@cert-authority *.net " + stranger, "", "", true},
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

func fingerprint(t *testing.T, line string) string {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	return ssh.FingerprintSHA256(key)
}

// sign has an authority vouch for the key of a server.
func (s *server) sign(t *testing.T, options ...string) (authority string) {
	t.Helper()
	if _, err := os.Stat(s.path("ca")); err != nil {
		keygen(t, s.path("ca"), "-t", "ecdsa") // of another kind than the key
	}
	args := append([]string{"-q", "-s", s.path("ca"), "-I", "host", "-h"}, options...)
	if out, err := exec.Command("ssh-keygen", append(args, s.path("host_ed25519.pub"))...).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, out)
	}
	return strings.TrimSpace(s.read(t, "ca.pub"))
}

func TestAHostMayShowACertificate(t *testing.T) {
	s := serve(t)
	certificate := "HostCertificate " + s.path("host_ed25519-cert.pub")
	for _, c := range []struct {
		name    string
		options []string
		known   string
		says    string
	}{
		{"good", []string{"-n", "box,127.0.0.1"}, "@cert-authority [127.*]:* ", ""},
		{"for another host", []string{"-n", "other"}, "@cert-authority * ", "the certificate of 127.0.0.1 is of the authority in " + s.path("known_hosts") + ":1, but does not hold"},
		{"expired", []string{"-n", "127.0.0.1", "-V", "20200101:20200102"}, "@cert-authority * ", "does not hold"},
		{"signed as it may not be", []string{"-n", "127.0.0.1"}, "@cert-authority * ", "signed with ecdsa-sha2-nistp256, which CASignatureAlgorithms does not allow"},
		{"its authority is unknown", []string{"-n", "127.0.0.1"}, "@cert-authority other ", "StrictHostKeyChecking is yes"},
		{"its authority is revoked", []string{"-n", "127.0.0.1"}, "@cert-authority * CA\n@revoked * ", "revoked by " + s.path("known_hosts") + ":2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			authority := s.sign(t, c.options...)
			again := s.again(t, certificate)
			again.write(t, "known_hosts", strings.ReplaceAll(c.known, "CA", authority)+authority+"\n")
			lines := []string{"StrictHostKeyChecking yes"}
			if strings.HasPrefix(c.name, "signed") {
				lines = append(lines, "CASignatureAlgorithms ssh-ed25519")
			}
			_, err := dial(t, again.config(t, lines...))
			if c.says == "" && err != nil || c.says != "" && (!errors.Is(err, ErrHostKey) || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%v, want one that says %q", err, c.says)
			}
		})
	}
	// Where no authority is known, the key in the certificate is like any other.
	s.sign(t, "-n", "127.0.0.1")
	again := s.again(t, certificate)
	again.write(t, "known_hosts", "")
	for _, line := range []string{"HostKeyAlgorithms ssh-ed25519-cert-v01@openssh.com,ssh-ed25519", "StrictHostKeyChecking yes"} {
		mustDial(t, again.config(t, line))
	}
	if known := again.read(t, "known_hosts"); known != "[127.0.0.1]:"+again.port+" "+trimmed(again.read(t, "host_ed25519.pub"))+"\n" {
		t.Errorf("known_hosts has %q", known)
	}
}

// trimmed is a public key without its comment.
func trimmed(line string) string { return strings.Join(strings.Fields(line)[:2], " ") }

func TestKeysMayBeRevokedByFilesOfTheirOwn(t *testing.T) {
	s := serve(t)
	s.write(t, "revoked", "# hi\n"+s.read(t, "host_ecdsa.pub")+s.read(t, "host_ed25519.pub"))
	if _, err := dial(t, s.config(t, "RevokedHostKeys "+s.path("revoked"))); !errors.Is(err, ErrHostKey) || !strings.Contains(err.Error(), "revoked by "+s.path("revoked")+":") {
		t.Errorf("revoked: %v", err)
	}
	// An authority that is revoked vouches for nobody, nor does a certificate's key.
	ca := t.TempDir() + "/ca"
	keygen(t, ca, "-t", "ed25519")
	if out, err := exec.Command("ssh-keygen", "-q", "-s", ca, "-I", "test", "-h", "-n", "127.0.0.1", s.path("host_ed25519.pub")).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	certified := s.again(t, "HostCertificate "+s.path("host_ed25519-cert.pub"))
	authority, err := os.ReadFile(ca + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "known_ca", "@cert-authority * "+string(authority))
	for what, revoked := range map[string]string{"authority": string(authority), "key": s.read(t, "host_ed25519.pub"), "": s.read(t, "id.pub")} {
		s.write(t, "revoked", revoked)
		_, err := dial(t, certified.config(t, "RevokedHostKeys "+s.path("revoked"), "UserKnownHostsFile "+s.path("known_ca"), "StrictHostKeyChecking yes"))
		if what != "" && !errors.Is(err, ErrHostKey) || what == "" && err != nil {
			t.Errorf("%q revoked: %v", what, err)
		}
	}
	s.write(t, "revoked", s.read(t, "id.pub"))
	if _, err := dial(t, s.config(t, "RevokedHostKeys "+s.path("revoked"))); err != nil {
		t.Errorf("another is revoked: %v", err)
	}
	s.write(t, "revoked", "what\n")
	for file, says := range map[string]string{"revoked": "revoked:1 is not a public key", "none": "no such file"} {
		if _, err := dial(t, s.config(t, "RevokedHostKeys "+s.path(file))); !errors.Is(err, ErrHostKey) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestACommandMayKnowHosts(t *testing.T) {
	s := serve(t)
	s.write(t, "know", "#!/bin/sh\necho \"$@\" >>"+s.path("asked")+"\necho \"$2 $(cat "+s.path("host_ed25519.pub")+")\"\n")
	if err := os.Chmod(s.path("know"), 0o700); err != nil {
		t.Fatal(err)
	}
	mustDial(t, s.config(t, "StrictHostKeyChecking yes", "KnownHostsCommand "+s.path("know")+` %I %H "%r is %%" %t`))
	here := "[127.0.0.1]:" + s.port
	if got, want := s.read(t, "asked"), fmt.Sprintf("ORDER %s %s is %% NONE\nHOSTNAME %[1]s %[2]s is %% ssh-ed25519\n", here, me(t)); got != want {
		t.Errorf("it was asked\n%swant\n%s", got, want)
	}
	for command, says := range map[string]string{
		"/bin/sh -c 'echo oh >&2; exit 3'": "KnownHostsCommand: exit status 3: oh",
		"/nowhere":                         "KnownHostsCommand: no such file",
		"know":                             "absolute path",
		"/bin/echo %Z":                     "%Z, which is not a token",
		"/bin/yes":                         "prints more than",
	} {
		if _, err := dial(t, s.config(t, "KnownHostsCommand "+command)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want an error that says %s", command, err, says)
		}
	}
	set(t, &commandLimit, 200*time.Millisecond)
	if _, err := dial(t, s.config(t, "KnownHostsCommand /bin/sleep 300")); !errors.Is(err, ErrHostKey) || !strings.Contains(err.Error(), "does not end") {
		t.Errorf("one that hangs: %v", err)
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
	known, err := newHostKeys(t.Context(), settings{HostName: "box", Port: 22, UserKnownHosts: []string{s.path("known_hosts")}}, Config{Note: func(string) {}})
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

func TestWhoWroteAskIsAsked(t *testing.T) {
	s := serve(t)
	print := fingerprint(t, s.read(t, "host_ed25519.pub"))
	for name, c := range map[string]struct {
		lines   []string
		answers []string
		asked   int
		says    string
	}{
		"nothing is written": {nil, nil, 0, ""},
		"yes":                {[]string{"StrictHostKeyChecking ask"}, []string{"yes"}, 1, ""},
		"the fingerprint":    {[]string{"StrictHostKeyChecking ask"}, []string{"", "SHA256:other", print}, 3, ""},
		"no":                 {[]string{"StrictHostKeyChecking ask"}, []string{"no"}, 1, "is not the right one"},
		"neither":            {[]string{"StrictHostKeyChecking ask"}, []string{"y", "n", "?", "yes"}, 3, "nobody said yes"},
		"no answer":          {[]string{"StrictHostKeyChecking ask"}, nil, 1, "no answer"},
		"nobody is asked":    {[]string{"StrictHostKeyChecking ask", "BatchMode yes"}, nil, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s.write(t, "known_hosts", "")
			p := &person{answers: c.answers}
			_, err := dial(t, asked(s.config(t, c.lines...), p))
			if c.says == "" && err != nil || c.says != "" && (!errors.Is(err, ErrHostKey) || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("%v, want one that says %q", err, c.says)
			}
			if n := strings.Count(p.texts(), "web | [127.0.0.1]:"+s.port+" is not known. Its key is ssh-ed25519 "+print+"."); n != c.asked || len(p.asked) != n {
				t.Errorf("asked\n%s", p.texts())
			}
			if learnt := s.read(t, "known_hosts") != ""; learnt != (c.says == "") {
				t.Errorf("learnt: %t", learnt)
			}
		})
	}
	s.write(t, "known_hosts", "")
	cfg := asked(s.config(t), &person{answers: []string{"no"}})
	cfg.SSHOptions = []string{"-oStrictHostKeyChecking=ask"}
	if _, err := dial(t, cfg); !errors.Is(err, ErrHostKey) {
		t.Errorf("written into deployment.sshOptions: %v", err)
	}
}

func TestAnRSAKeyMustBeLongEnough(t *testing.T) {
	s := serve(t)
	keygen(t, s.path("host_rsa"), "-t", "rsa", "-b", "2048")
	again := s.again(t, "HostKey "+s.path("host_rsa"))
	only := "HostKeyAlgorithms rsa-sha2-512"
	if _, err := dial(t, again.config(t, only, "RequiredRSASize 3072")); !errors.Is(err, ErrHostKey) || !strings.Contains(err.Error(), "has 2048 bits, and RequiredRSASize wants 3072") {
		t.Errorf("%v, want one that says how long", err)
	}
	if known := again.read(t, "known_hosts"); known != "" {
		t.Errorf("it is learnt: %s", known)
	}
	mustDial(t, again.config(t, only))
}

// No sshd has such a key without a token; ours asks the agent of the test.
func TestAHostKnownByASecurityKeyAloneIsReachedThroughSSH(t *testing.T) {
	m := newMockSecurityKey(t)
	go func() {
		for range m.touch { // at once
		}
	}()
	defer close(m.touch)
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	go agent.ServeAgent(m, server)
	signers, err := agent.NewClient(client).Signers()
	if err != nil {
		t.Fatal(err)
	}
	a := &questioner{password: "open sesame", hostKey: signers[0]}
	for name, c := range map[string]struct {
		key string
		err error
	}{"its own": {string(ssh.MarshalAuthorizedKey(m.public)), nil}, "another": {string(ssh.MarshalAuthorizedKey(newMockSecurityKey(t).public)), ErrHostKey}} {
		port := a.serve(t)
		known := filepath.Join(t.TempDir(), "known_hosts")
		if err := os.WriteFile(known, []byte("[127.0.0.1]:"+port+" "+c.key), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg := asked(anyUserConfig(t, port, "ops"), &person{answers: []string{"open sesame"}})
		cfg.SSHOptions = []string{"-oUserKnownHostsFile=" + known}
		if _, err := dial(t, cfg); !errors.Is(err, c.err) || c.err == nil && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
