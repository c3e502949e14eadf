package knownhosts

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/colmena-go/colmena-go/tests/lacking"
)

// identity is a key pair, as a line of a file has the public one.
type identity struct {
	ssh.Signer
	line string
}

func newIdentity(t *testing.T) identity {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return identity{signer, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))}
}

func (i identity) certify(t *testing.T, by identity, change func(*ssh.Certificate)) *ssh.Certificate {
	t.Helper()
	c := &ssh.Certificate{Key: i.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: []string{"box"}, ValidBefore: ssh.CertTimeInfinity}
	if change != nil {
		change(c)
	}
	if err := c.SignCert(rand.Reader, by.Signer); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAKeyIsJudgedByTheLinesForItsHost(t *testing.T) {
	one, two := newIdentity(t), newIdentity(t)
	other := "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg="
	for _, c := range []struct {
		host  Host
		lines string
		want  Kind
		at    int
	}{
		{Host{"box", 22}, "", Unknown, 0},
		{Host{"box", 22}, "box " + one.line, Trusted, 0},
		{Host{"BOX", 22}, "box " + one.line, Trusted, 0},
		{Host{"box", 22}, "# box " + one.line + "\n\nbox " + two.line, Changed, 3},
		{Host{"box", 22}, "box " + two.line + "\nbox " + one.line, Trusted, 0},
		{Host{"box", 22}, "box " + other, Changed, 1}, // of another type
		{Host{"box", 22}, "box " + other + "\nbox " + two.line, Changed, 2},
		{Host{"box", 22}, "box " + other + "\nbox " + one.line, Trusted, 0},
		{Host{"box", 22}, "box sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIJ1L9pEZAVg8gvbYnJ5w6nbUJBl5NmBjYQmuUZ9d5tLzAAAABHNzaDo=", Changed, 1},
		{Host{"box", 22}, "a,box " + one.line, Trusted, 0},
		{Host{"box.net", 22}, "*.net,!box.net " + two.line, Unknown, 0},
		{Host{"box.net", 22}, "*.net " + one.line, Trusted, 0},
		{Host{"box1", 22}, "box? " + one.line, Trusted, 0},
		{Host{"box", 22}, knownhosts.HashHostname("box") + " " + one.line, Trusted, 0},
		{Host{"box", 22}, knownhosts.HashHostname("box") + " " + two.line, Changed, 1},
		{Host{"box", 2222}, "[box]:2222 " + one.line, Trusted, 0},
		{Host{"box", 2222}, "[*]:2222 " + two.line, Changed, 1},
		{Host{"box", 2222}, "box " + one.line, Trusted, 0},
		{Host{"box", 2222}, "box " + two.line, Unknown, 0},
		{Host{"::1", 22}, "::1 " + one.line, Trusted, 0},
		{Host{"::1", 2222}, "[::1]:2222 " + one.line, Trusted, 0},
		{Host{"alias", 0}, "alias " + one.line, Trusted, 0},
		{Host{"box", 22}, "@revoked * " + one.line + "\nbox " + one.line, Revoked, 1},
		{Host{"box", 2222}, "[box]:2222 " + one.line + "\n@revoked box " + one.line, Revoked, 2},
		{Host{"box", 22}, "box " + one.line + "\n@revoked [box]:2222 " + one.line, Trusted, 0},
		{Host{"box", 22}, "@revoked other " + one.line + "\nbox " + one.line, Trusted, 0},
		{Host{"box", 22}, "@cert-authority * " + one.line, Unknown, 0}, // an authority's key is no host's
		{Host{"box", 22}, "box ssh-ed25519 !!!\nbox ssh-new AAAA\nbox\n@odd box " + two.line + "\nbox " + one.line, Trusted, 0},
	} {
		var k Known
		k.Add("file", c.lines)
		got := k.Judge(c.host, one.PublicKey())
		if got.Kind != c.want || got.Entry.Line != c.at {
			t.Errorf("%v with\n%s\nis %d by line %d, want %d by line %d", c.host, c.lines, got.Kind, got.Entry.Line, c.want, c.at)
		}
	}
}

func TestACertificateIsJudgedByItsAuthority(t *testing.T) {
	authority, host, stranger := newIdentity(t), newIdentity(t), newIdentity(t)
	trusted := "@cert-authority box,*.net " + authority.line
	for name, c := range map[string]struct {
		lines string
		key   ssh.PublicKey
		want  Kind
	}{
		"good":                 {trusted, host.certify(t, authority, nil), Trusted},
		"for another name":     {trusted, host.certify(t, authority, func(c *ssh.Certificate) { c.ValidPrincipals = []string{"other"} }), Refused},
		"expired":              {trusted, host.certify(t, authority, func(c *ssh.Certificate) { c.ValidBefore = uint64(time.Now().Add(-time.Hour).Unix()) }), Refused},
		"a user's":             {trusted, host.certify(t, authority, func(c *ssh.Certificate) { c.CertType = ssh.UserCert }), Refused},
		"of a stranger":        {trusted, host.certify(t, stranger, nil), Unknown},
		"of no authority":      {"box " + host.line, host.certify(t, stranger, nil), Trusted},
		"of another's":         {"@cert-authority other " + authority.line, host.certify(t, authority, nil), Unknown},
		"authority revoked":    {trusted + "\n@revoked * " + authority.line, host.certify(t, authority, nil), Revoked},
		"its key revoked":      {trusted + "\n@revoked * " + host.line, host.certify(t, authority, nil), Revoked},
		"the host's key anew":  {"box " + stranger.line, host.certify(t, authority, nil), Changed},
		"no certificate shown": {trusted, host.PublicKey(), Unknown},
	} {
		var k Known
		k.Add("file", c.lines)
		if got := k.Judge(Host{"box", 22}, c.key); got.Kind != c.want {
			t.Errorf("%s: %d (%v), want %d", name, got.Kind, got.Why, c.want)
		}
	}
}

func TestTheHostIsAskedForKeysThatCanBeJudged(t *testing.T) {
	certificate, rsaCertificate := "ssh-ed25519-cert-v01@openssh.com", "rsa-sha2-512-cert-v01@openssh.com"
	can := []string{certificate, rsaCertificate, "rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519", "ecdsa-sha2-nistp256"}
	asIs := []string{"rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519", "ecdsa-sha2-nistp256", certificate, rsaCertificate}
	one := newIdentity(t)
	for lines, want := range map[string][]string{
		"":                                  asIs,
		"box " + one.line:                   {"ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256", "ecdsa-sha2-nistp256", certificate, rsaCertificate},
		"[box]:2222 " + one.line:            asIs,
		"@cert-authority * " + one.line:     can,
		"@cert-authority other " + one.line: asIs,
		"@revoked box " + one.line:          asIs,
		"box " + one.line + "\n@cert-authority * " + one.line: {certificate, rsaCertificate, "ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256", "ecdsa-sha2-nistp256"},
	} {
		var k Known
		k.Add("file", lines)
		if got := k.Algorithms(Host{"box", 22}, can); !slices.Equal(got, want) {
			t.Errorf("%s: %s, want %s", lines, got, want)
		}
	}
}

// ssh-keygen says which lines OpenSSH would take.
func TestOpenSSHFindsTheSameLines(t *testing.T) {
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		lacking.Skip(t, "no ssh-keygen: install openssh-client")
	}
	names := []string{"box", "a.net", "b.net", "[box]:2222", "[a.net]:22", "::1", "[::1]:7", "fe80::1%eth0", "10.0.0.1", "B.net", "*", "xax"}
	patterns := []string{"box", "*", "*.net,!b.net", "?.net", "[box]:*", "[*]:2222", "::1", "[::1]:7", "fe80::1%*", "10.0.0.?", "!box", "*a*", "a*b*c", "BOX", "**", knownhosts.HashHostname("box"), knownhosts.HashHostname("[box]:2222"), "|1|bad", "|1|AAAA|AAAA"}
	key := newIdentity(t).line
	path := filepath.Join(t.TempDir(), "known_hosts")
	for _, pattern := range patterns {
		if err := os.WriteFile(path, []byte(pattern+" "+key+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			out, err := exec.Command("ssh-keygen", "-F", name, "-f", path).CombinedOutput()
			if theirs, ours := err == nil && len(out) > 0, matches(pattern, strings.ToLower(name)); theirs != ours {
				t.Errorf("%s for %s: %t, and for OpenSSH %t (%s)", pattern, name, ours, theirs, out)
			}
		}
	}
}

func TestAKeyIsLearntOnceByManyProcesses(t *testing.T) {
	if file := os.Getenv("COLMENA_GO_LEARN"); file != "" { // one of them
		for i := range 10 {
			key := ssh.PublicKey(nil)
			text, _ := os.ReadFile(fmt.Sprint(file, ".", i, ".pub"))
			key, _, _, _, err := ssh.ParseAuthorizedKey(text)
			if err != nil {
				t.Fatal(err)
			}
			if v, err := new(Files).Learn(t.Context(), file, Host{fmt.Sprint("box", i), 22}, key, i%2 == 0); err != nil || v.Kind != Unknown && v.Kind != Trusted {
				t.Error(v, err)
			}
		}
		return
	}
	file := filepath.Join(t.TempDir(), "deep", "known_hosts")
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if err := os.WriteFile(fmt.Sprint(file, ".", i, ".pub"), []byte(newIdentity(t).line), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, []byte("# no line feed"), 0o600); err != nil {
		t.Fatal(err)
	}
	var all []*exec.Cmd
	for range 8 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestAKeyIsLearntOnceByManyProcesses$")
		cmd.Env = append(os.Environ(), "COLMENA_GO_LEARN="+file)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, cmd)
	}
	for _, cmd := range all {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(strings.TrimSpace(string(text)), "\n"); len(lines) != 11 || lines[0] != "# no line feed" {
		t.Errorf("%d lines:\n%s", len(lines), text)
	}
}

func TestWhatIsLearntIsTheOwnersAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new", "known_hosts")
	one, two := newIdentity(t), newIdentity(t)
	if v, err := new(Files).Learn(t.Context(), file, Host{"box", 2222}, one.PublicKey(), false); err != nil || v.Kind != Unknown {
		t.Error(v, err)
	}
	if v, err := new(Files).Learn(t.Context(), file, Host{"box", 2222}, two.PublicKey(), false); err != nil || v.Kind != Changed || v.Entry.Line != 1 {
		t.Error("a key that came to be known meanwhile is not heeded:", v, err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "[box]:2222 "+one.line+"\n" {
		t.Errorf("%q, %v", text, err)
	}
	for path, want := range map[string]os.FileMode{file: 0o600, filepath.Dir(file): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestALockThatIsHeldIsNotWaitedForLong(t *testing.T) {
	limit := lockLimit
	lockLimit = 100 * time.Millisecond
	defer func() { lockLimit = limit }()
	file := filepath.Join(t.TempDir(), "known_hosts")
	holder, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	lock(t.Context(), holder)
	if _, err := new(Files).Learn(t.Context(), file, Host{"box", 22}, newIdentity(t).PublicKey(), false); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(text), "box ") {
		t.Errorf("%q, %v", text, err)
	}
}

// ssh-keygen -R and editors put another file in its place.
func TestAKeyIsLearntInTheFileThatIsThereOnceItIsLocked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known_hosts")
	holder, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	lock(t.Context(), holder)
	key, done := newIdentity(t), make(chan error)
	go func() {
		_, err := new(Files).Learn(t.Context(), file, Host{"box", 22}, key.PublicKey(), false)
		done <- err
	}()
	for !isOpen(t, file, 2) {
		time.Sleep(time.Millisecond)
	}
	if err := os.WriteFile(file+".new", []byte("# new\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
	holder.Close() // and the lock goes
	if err := <-done; err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "# new\nbox "+key.line+"\n" {
		t.Errorf("%q, %v", text, err)
	}
}

// isOpen reports whether this process has a file open so often.
func isOpen(t *testing.T, file string, often int) bool {
	t.Helper()
	descriptors, err := filepath.Glob("/proc/self/fd/*")
	if err != nil || descriptors == nil {
		t.Skip("no /proc")
	}
	for _, descriptor := range descriptors {
		if target, _ := os.Readlink(descriptor); target == file {
			often--
		}
	}
	return often <= 0
}

func BenchmarkAThousandLines(b *testing.B) {
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "[10.0.%d.%d]:2222 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGK7mfqDwPFdyXKK6Bq8XZC4nMsbwtHpKTYnSp1n/Ag9\n", i/256, i%256)
	}
	for b.Loop() {
		var k Known
		k.Add("file", text.String())
		k.Algorithms(Host{"10.0.3.7", 2222}, []string{"ssh-ed25519"})
	}
}
