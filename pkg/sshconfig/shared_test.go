package sshconfig

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// asked has ssh -G say what q.ask should.
func (q Query) asked(t *testing.T) (options, error) {
	t.Helper()
	words, err := Arguments(q.Options)
	if err != nil {
		t.Fatal(err)
	}
	found, _, err := sshG(t.Context(), append(q.arguments(words), "--", q.Host)...)
	return found, err
}

// concluded is how many of hosts were not asked about, with q for each. It sees that
// what is said of them is what ssh says.
func (q Query) concluded(t *testing.T, hosts ...string) (n int) {
	t.Helper()
	words, err := Arguments(q.Options)
	if err != nil {
		t.Fatal(err)
	}
	for _, q.Host = range hosts {
		before := asks.Load()
		got, err := q.ask(t.Context(), words, q.Host)
		if asks.Load() == before {
			n++
		}
		want, wrong := q.asked(t)
		if (err == nil) != (wrong == nil) || err != nil && err.Error() != wrong.Error() {
			t.Fatalf("%s: error %v; ssh says %v", q.Host, err, wrong)
		}
		if err == nil && !got.alike(want) {
			t.Fatalf("%s:\n%v\nssh says\n%v", q.Host, got, want)
		}
	}
	return n
}

func TestHostsOfOneKindAreNotAskedAboutEach(t *testing.T) {
	hosts := []string{"a1", "a2", "a3", "b4", "b5"}
	for text, want := range map[string]int{
		"":                             3,
		"Host *\n IdentityFile /key\n": 3,
		"ConnectTimeout 5\nHost=other\n  User x\nMatch all\n\tIdentityFile ~/.ssh/%h\n": 0, // tokens
		// What is of each host alone.
		"Host a1\n HostName 10.0.0.1\nHost a2\n HostName 10.0.0.2\n Port 2\nHost a3 b4\n HostName %h.example.org\n User ops\nHost b5\n ControlPath ~/%r@%h\nHost *\n IdentityFile /key\n": 3,
		"User first\nHost a*\n User late\n Port 1\nHost a3\n Port 2\n": 3,
		// Kinds of two and three, and one of one more.
		"Host a*\n IdentityFile /a\nHost b*\n IdentityFile /b\n": 1,
		"Host a* !a2\n ForwardAgent yes\n":                       1, // a1, a3; a2, b4, b5
		"Host ?? !b*\n Host b*\n Compression yes\n":              3,
		// Where more than a name may make a difference.
		"Match host a*\n User x\n":                           0,
		"Match exec true\n User x\n":                         0,
		"Match final all\n User x\n":                         0,
		"CanonicalizeHostname yes\nCanonicalDomains invalid": 0,
		"Host \"a*\"\n User x\n":                             0,
		"Host a* # those\n User x\n":                         0,
		"\"Host\" a*\n User x\n":                             0,
		"HostName %h.%h\n":                                   3,
		"HostName %n.x\n":                                    0,
		"Port 22 \nUser \"ops\"\n":                           0,
		"SetEnv A=$B\n":                                      0,
		"KnownHostsCommand /bin/echo %H\n":                   0,
		"ProxyJump gate\n":                                   3,
		"ProxyJump b5\n":                                     2, // which cannot be reached through itself
	} {
		q := Query{File: file(t, text)}
		if got := q.concluded(t, hosts...); got != want {
			t.Errorf("%q: %d of %d are not asked about, want %d", text, got, len(hosts), want)
		}
	}
}

func TestWhatIsOfOneHostIsAsked(t *testing.T) {
	config := file(t, "Host *\n IdentityFile /key\n")
	for _, c := range []struct {
		q     Query
		hosts []string
		want  int
	}{
		{Query{Port: 7, User: "ops"}, []string{"a1", "a2", "a3"}, 1},
		{Query{Options: []string{"-i", "/k", "-oConnectTimeout=3"}}, []string{"a1", "a2", "a3"}, 1},
		{Query{Options: []string{"-oHostName=x"}}, []string{"a1", "a2", "a3"}, 0},
		{Query{Options: []string{"-oPort=7"}}, []string{"a1", "a2", "a3"}, 0},
		{Query{Options: []string{"-luser"}}, []string{"a1", "a2", "a3"}, 0},
		{Query{Options: []string{"-oIdentityFile=/%h"}}, []string{"a1", "a2", "a3"}, 0},
		{Query{Options: []string{"-oCanonicalizeHostname=always"}}, []string{"a1", "a2", "a3"}, 0},
		{Query{}, []string{"A1", "a1", "::1", "a2", "-x"[1:], "u@a3", "a3"}, 2}, // x and a3
		{Query{User: "o ps"}, []string{"a1", "a2", "a3"}, 0},
	} {
		c.q.File = filepath.Join(t.TempDir(), "config")
		text, _ := os.ReadFile(config)
		if err := os.WriteFile(c.q.File, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := c.q.concluded(t, c.hosts...); got != c.want {
			t.Errorf("%+v, %q: %d are not asked about, want %d", c.q, c.hosts, got, c.want)
		}
	}
}

func TestFilesThatChangedAreReadAnew(t *testing.T) {
	config := file(t, "User one\n")
	q := Query{File: config}
	q.concluded(t, "a1", "a2", "a3")
	if err := os.WriteFile(config, []byte("IdentityFile /two\nUser two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := q.concluded(t, "a1", "a2", "a3", "a4"); n != 2 {
		t.Errorf("%d are not asked about, want 2", n)
	}
	// One that is not new is not read again, whatever is in it.
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(config, old, old); err != nil {
		t.Fatal(err)
	}
	q.concluded(t, "a1")
	before := answers.of(config)
	if answers.of(config) != before {
		t.Error("a file that is as it was is read anew")
	}
	for _, change := range []func() error{
		func() error { return os.Chtimes(config, old, old.Add(time.Second)) },
		func() error { return os.Remove(config) },
		func() error { return os.WriteFile(config, nil, 0o600) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if now := answers.of(config); now == before {
			t.Error("a file that changed is taken for what it was")
		} else {
			before = now
		}
	}
}

func TestFilesThatComeToBeIncludedAreNoticed(t *testing.T) {
	dir := t.TempDir()
	q := Query{File: file(t, "Include "+dir+"/*\nUser one\n")}
	old := time.Now().Add(-time.Hour)
	if err := errors.Join(os.Chtimes(q.File, old, old), os.Chtimes(dir, old, old)); err != nil {
		t.Fatal(err)
	}
	q.concluded(t, "a1", "a2", "a3")
	if err := os.WriteFile(dir+"/more", []byte("User two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	q.concluded(t, "a1", "a2", "a3", "a4")
}

// A script in ssh's place may do anything with a name.
func TestAScriptIsAskedAboutEach(t *testing.T) {
	config := file(t, "")
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/ssh", []byte("#!/bin/sh\nPATH=/usr/bin:/bin exec ssh \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	if n := (Query{File: config}).concluded(t, "a1", "a2", "a3"); n != 0 {
		t.Errorf("%d were not asked about", n)
	}
}

// pieces of configurations, usual ones and odd ones.
var pieces = strings.Split(`Host a*
Host *
Host a1
Host a2 b?
Host * !a3
Host !b1 *
Host = a?  b1
HOST	a*	b*
Host a1,a2
Host A*
Host "a1" b2
Host a* b*  # both
Host ?1 ?2
Host
Match all
Match host a1
Match originalhost a*
Match user ops
Match exec "test %h = a1"
Match final all
Match canonical
Match localuser root
Match tagged x
 Port 23
 port=24
 Port  =  25
 Port 0
 Port ssh
 User ops
	user  root
 User "o p"
 User %u
 HostName %h.example.org
 HostName 10.0.0.%p
 HostName 10.1.2.3
 hostname FOO.example
 HostName fe80::1
 Hostname "%h"
 HostName %%h
 HostKeyAlias alias
 HostKeyAlias %h
 IdentityFile ~/.ssh/one
 IdentityFile "/a b"
 IdentityFile ~/.ssh/%h-%r
 IdentityFile ${HOME}/key
 CertificateFile none
 UserKnownHostsFile ~/.ssh/%k /dev/null
 ControlPath ~/.ssh/%C
 ProxyJump gate
 ProxyJump a3
 ProxyJump none
 ProxyCommand nc %h %p
 ForwardAgent yes
 SendEnv LANG LC_*
 SetEnv A=B C="d e"
 ServerAliveInterval 7
 StrictHostKeyChecking accept-new
 Ciphers +aes128-cbc
 KexAlgorithms ^curve25519-sha256
 RekeyLimit 1G 1h
 CanonicalizeHostname yes
 CanonicalizeHostname no
 CanonicalDomains invalid
 CanonicalizePermittedCNAMEs *.x:*.y
 AddressFamily inet
 LogLevel quiet
 Tag x
 IgnoreUnknown foo*,Bar
 foobar 1
 AddKeysToAgent yes
 RequestTTY no
 LocalCommand echo %h
 PKCS11Provider /usr/lib/x.so
Include DIR/one
Include DIR/o* DIR/two
 Include DIR/two
include DIR/none DIR/.hidden
Include "DIR/one"
Include DIR/*
# Host a1

   # comment
Host * `+"\r", "\n")

func randomly(r *rand.Rand, dir string, lines int) string {
	var text strings.Builder
	for range lines {
		piece := pieces[r.IntN(len(pieces))]
		if r.IntN(3) > 0 { // usual ones more often, or hardly anything is concluded
			piece = pieces[[]int{0, 1, 2, 3, 4, 5, 23, 24, 28, 32, 34, 39, 42, 54, 56, 71, 72}[r.IntN(17)]]
		}
		text.WriteString(strings.ReplaceAll(piece, "DIR", dir) + "\n")
	}
	return text.String()
}

// Whatever is concluded, ssh says the same.
func TestOddConfigurationsMeanWhatTheyMeanToSSH(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	hosts := []string{"a1", "a2", "a3", "b1", "b2", "other", "a12", "b22"}
	concluded, failed := 0, 0
	for i := range 40 {
		dir := t.TempDir()
		for _, name := range []string{"one", "two", ".hidden"} {
			if err := os.WriteFile(dir+"/"+name, []byte(randomly(r, dir+"/none", 1+r.IntN(4))), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		text := randomly(r, dir, 1+r.IntN(7))
		q := Query{File: file(t, text)}
		if r.IntN(4) == 0 {
			q.Port, q.User = 1+r.IntN(9), "ops"
		}
		ok := t.Run(fmt.Sprint(i), func(t *testing.T) { concluded += q.concluded(t, hosts...) })
		if !ok {
			failed++
			t.Logf("seed %d:\n%s", seed, text)
		}
	}
	t.Logf("%d of %d were not asked about", concluded, 40*len(hosts))
	if concluded == 0 && failed == 0 {
		t.Error("nothing was concluded: nothing is tested")
	}
}

// What ssh says of how it came to its answer is the proof: a mistake here must not go
// unnoticed.
func TestWithoutSSHsAgreementNothingIsConcluded(t *testing.T) {
	c := &config{texts: []text{{"/c", nil}, {"/inc", nil}}, sections: []section{{}, {place: "/c line 1"}, {place: "/inc line 3"}, {place: "/c line 9"}}}
	const how = "debug1: Reading configuration data /c\r\ndebug1: /c line 1: Applying options for a*\r\ndebug1: Reading configuration data /inc\r\ndebug1: /c line 7: Skipping Host block because of negated match for a\r\ndebug1: /c line 9: Applying options for *\r\n"
	for _, sections := range [][]int{{0, 1}, {0, 1, 2, 3}, {0, 3, 1}, {}} {
		if c.explain(how, sections) {
			t.Errorf("%v is taken for explained", sections)
		}
	}
	if !c.explain(how, []int{0, 1, 3}) {
		t.Error("what ssh says is not understood")
	}
	c.texts = slices.Clone(c.texts)[:1]
	if c.explain(how, []int{0, 1, 3}) {
		t.Error("a file that was not read here does not count")
	}
}
