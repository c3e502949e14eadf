package sshconfig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/colmena-go/colmena-go/tests/lacking"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// file is an ssh_config with some text.
func file(t *testing.T, text string) string {
	t.Helper()
	if !Installed() {
		lacking.Skip(t, "no ssh: install openssh-client")
	}
	path := filepath.Join(t.TempDir(), "ssh_config")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheTargetGoesBeforeOptionsAndTheseBeforeTheFile(t *testing.T) {
	config := file(t, "Host box\n HostName 10.0.0.1\n Port 1\n User file\n ConnectTimeout 1\n IdentityFile /file\n AddressFamily inet\n")
	other := file(t, "Host box\n HostName 10.0.0.2\n") // and a file that -i may name
	for _, c := range []struct {
		options []string
		target  Query
		want    string
	}{
		{nil, Query{}, "file@10.0.0.1:1 tcp4 1s [/file]"},
		{[]string{"-p", "2", "-lopt", "-o", "ConnectTimeout=2", "-i" + other, "-6"}, Query{}, "opt@10.0.0.1:2 tcp6 2s [" + other + " /file]"},
		{[]string{"-oPort=2", "-o", "User opt", "-oAddressFamily=inet6"}, Query{}, "opt@10.0.0.1:2 tcp6 1s [/file]"},
		{[]string{"-oPort=2", "-p3", "-lopt"}, Query{Port: 4, User: "target"}, "target@10.0.0.1:4 tcp4 1s [/file]"},
		{[]string{"-o", "HostName=10.0.0.3"}, Query{}, "file@10.0.0.3:1 tcp4 1s [/file]"},
		{[]string{"-o", `IdentityFile="/a b"`}, Query{}, "file@10.0.0.1:1 tcp4 1s [/a b /file]"},
		{[]string{"-F", other, "-lopt", "-4i", other}, Query{}, "opt@10.0.0.2:22 tcp4 15s [" + other + "]"},
	} {
		q := c.target
		q.Host, q.File, q.Options = "box", config, c.options
		s, err := q.Settings(t.Context())
		got := fmt.Sprintf("%s@%s:%d %s %s %s", s.User, s.HostName, s.Port, s.Network, s.ConnectTimeout, s.IdentityFiles)
		if err != nil || got != c.want {
			t.Errorf("%q: %s, %v; want %s", c.options, got, err, c.want)
		}
	}
}

func TestWhatSSHFindsWrongIsTold(t *testing.T) {
	config := file(t, "")
	for _, c := range []struct {
		options []string
		says    string
	}{
		{[]string{"-o", "Prot=22"}, "deployment.sshOptions: Bad configuration option: prot"},
		{[]string{"-p", "70000"}, "Bad port '70000'"},
		{[]string{"-N"}, "deployment.sshOptions: -N makes no sense"},
	} {
		_, err := Query{Host: "box", File: config, Options: c.options}.Settings(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "exit status") {
			t.Errorf("%q: %v, want one line with %q", c.options, err, c.says)
		}
	}
	s, err := Query{Host: "box", File: config, Options: []string{"-i", "/nowhere"}}.Settings(t.Context())
	if err != nil || len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "/nowhere") {
		t.Errorf("%q, %v; want a warning of a file that is not there", s.Warnings, err)
	}
}

func TestThePlaceOfAnOptionIsToldWhateverTheVersion(t *testing.T) {
	for _, said := range []string{"command-line: line 0: Bad port 'x'.\r\n", "command-line line 0: Bad port 'x'.\r\n"} {
		if got := complaint(said); got != "deployment.sshOptions: Bad port 'x'." {
			t.Errorf("%q is told as %q", said, got)
		}
	}
}

func TestWithoutOpenSSHOnlyItsDefaultsAreUsed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	s, err := Query{Host: "[::1]", User: "ops"}.Settings(t.Context())
	if err != nil || s.HostName != "::1" || s.Port != 22 || s.User != "ops" || len(s.IdentityFiles) == 0 || len(s.UserKnownHosts) == 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := (Query{Host: "box", Options: []string{"-4"}}).Settings(t.Context()); err == nil || !strings.Contains(err.Error(), "no ssh in PATH") {
		t.Errorf("options that nobody reads: %v", err)
	}
}

// ssh -G runs what Match exec names.
func TestAConfigurationThatHangsIsGivenUp(t *testing.T) {
	left := filepath.Join(t.TempDir(), "left")
	config := file(t, "Match exec \"sleep 2; touch "+left+"\"\n")
	limit := sshGLimit
	sshGLimit = 200 * time.Millisecond
	defer func() { sshGLimit = limit }()
	begin := time.Now()
	if _, err := (Query{Host: "box", File: config}).Settings(t.Context()); err == nil || !strings.Contains(err.Error(), "Match exec") {
		t.Errorf("%v, want an error that says Match exec", err)
	}
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := (Query{Host: "box", File: config}).Settings(ctx); !errors.Is(err, why) {
		t.Errorf("%v, want the cause of the end", err)
	}
	for time.Since(begin) < 2500*time.Millisecond {
		if _, err := os.Stat(left); err == nil {
			t.Fatal("what Match exec began goes on")
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func TestFewSSHRunAtOnce(t *testing.T) {
	dir := t.TempDir()
	config := file(t, "Match exec \"mkdir "+dir+"/$$; ls "+dir+" | wc -l >>"+dir+".n; sleep 0.05; rmdir "+dir+"/$$\"\n")
	t.Cleanup(func() { os.Remove(dir + ".n") })
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := (Query{Host: "box", File: config}).Settings(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	counts, err := os.ReadFile(dir + ".n")
	if err != nil {
		t.Fatal(err)
	}
	seen := strings.Fields(string(counts))
	if len(seen) != 20 || slices.Max(seen) > fmt.Sprint(cap(places)) { // of one digit
		t.Errorf("so many ran: %s", seen)
	}
}

func TestADefaultHoldsWhereNothingElseWasSaid(t *testing.T) {
	config := file(t, "Host box\n Port 7\nHost other\n ConnectTimeout 7\n")
	q := Query{Host: "box", File: "/dev/null", Options: []string{"-F", config}}
	text, err := q.Defaulting("Port 9", "ConnectTimeout 9")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Query{Host: "box", File: file(t, text)}.Settings(t.Context())
	if err != nil || s.Port != 7 || s.ConnectTimeout != 9*time.Second {
		t.Errorf("%d, %s, %v", s.Port, s.ConnectTimeout, err)
	}
}

func TestWhatOnlySSHCanDoIsTold(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "",
		"PKCS11Provider none\nTunnel no": "",
		"PKCS11Provider /x.so":           "pkcs11provider",
		"SecurityKeyProvider internal":   "",
		"ProxyUseFdpass yes\nTunnel yes": "proxyusefdpass tunnel",
		"VerifyHostKeyDNS yes":           "",
		"VerifyHostKeyDNS yes\nStrictHostKeyChecking yes": "verifyhostkeydns",
	} {
		s, err := Query{Host: "box", File: file(t, text)}.Settings(t.Context())
		if got := strings.Join(s.OnlyOpenSSH, " "); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
	found := options{"novelty": {"yes"}, "host": {"box"}}
	if got := onlyOpenSSH(found, options{"novelty": {"no"}}); !slices.Equal(got, []string{"novelty"}) {
		t.Errorf("an option of a newer OpenSSH: %q", got)
	}
}

func TestAFileMayHaveSpacesInItsName(t *testing.T) {
	dir := t.TempDir()
	known := filepath.Join(dir, "known hosts")
	if err := os.WriteFile(known, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Query{Host: "box", File: file(t, fmt.Sprintf("UserKnownHostsFile /none \"%s\" /other\n", known))}.Settings(t.Context())
	if want := []string{"/none", known, "/other"}; err != nil || !slices.Equal(s.UserKnownHosts, want) {
		t.Errorf("%q, %v; want %q", s.UserKnownHosts, err, want)
	}
}

func TestWhatIsSetIsRead(t *testing.T) {
	text := `GSSAPIAuthentication yes
HostbasedAuthentication yes
NoHostAuthenticationForLocalhost yes
RequiredRSASize 3072
CASignatureAlgorithms ssh-ed25519
RekeyLimit 1G 1h
ConnectionAttempts 3
BindAddress 192.0.2.1
BindInterface lo
StrictHostKeyChecking ask
RevokedHostKeys /r/%%h
HostKeyAlgorithms ssh-ed25519
ServerAliveInterval 7
ServerAliveCountMax 2
AddressFamily inet6
PreferredAuthentications password,publickey
NumberOfPasswordPrompts 1
PubkeyAuthentication no
PasswordAuthentication no
KbdInteractiveAuthentication no
BatchMode yes
HashKnownHosts yes
IdentitiesOnly yes
`
	got, err := Query{Host: "box", File: file(t, text)}.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, as := range map[string]bool{
		"gssapi": got.GSSAPI, "hostbased": got.HostBased, "loopback": got.TrustLoopback, "rsa": got.RSABits == 3072, "authorities": slices.Equal(got.AuthorityAlgorithms, []string{"ssh-ed25519"}),
		"rekey": got.RekeyBytes == 1<<30, "attempts": got.ConnectionAttempts == 3, "bind": got.BindAddress == "192.0.2.1" && got.BindInterface == "lo", "ask": got.Ask && !got.Strict,
		"revoked": slices.Equal(got.RevokedHostKeys, []string{"/r/%h"}), "host keys": slices.Equal(got.HostKeyAlgorithms, []string{"ssh-ed25519"}),
		"alive": got.AliveInterval == 7*time.Second && got.AliveCount == 2, "family": got.Network == "tcp6", "preferred": slices.Equal(got.PreferredAuthentications, []string{"password", "publickey"}),
		"prompts": got.PasswordPrompts == 1, "no": got.NoPublicKey && got.NoPassword && got.NoKeyboardInteractive, "batch": got.BatchMode, "hash": got.Hash, "only": got.IdentitiesOnly,
	} {
		if !as {
			t.Errorf("%s is not as it was set", name)
		}
	}
	plain, err := Query{Host: "box", File: file(t, "")}.Settings(t.Context())
	if err != nil || plain.GSSAPI || plain.HostBased || plain.TrustLoopback || plain.AuthorityAlgorithms != nil || plain.HostKeyAlgorithms != nil || plain.Ciphers != nil || plain.RekeyBytes != 0 || plain.ConnectionAttempts != 1 {
		t.Errorf("with nothing set: %+v, %v", plain, err)
	}
}
