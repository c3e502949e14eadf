package sshconfig

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/tests/lacking"
)

// settingsFor reads the ssh_config of one test, as Dial does.
func settingsFor(t *testing.T, text string) (Settings, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ssh_config")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("ssh"); err != nil {
		lacking.Skip(t, "no ssh: install openssh-client")
	}
	return Query{Host: "box", Port: 77, User: "ops", File: path}.Settings(t.Context())
}

func TestTokensInFileNamesMeanWhatTheyMeanToOpenSSH(t *testing.T) {
	t.Setenv("COLMENA_GO_TEST", "a%h")
	local, _ := os.Hostname()
	label, _, _ := strings.Cut(local, ".")
	for _, c := range []struct{ config, name, want string }{
		{"", "%n %k %h %p %r", "box box 10.0.0.1 77 ops"},
		{"HostKeyAlias twin", "%n %k %h", "box twin 10.0.0.1"},
		{"", "%l %L %%h", local + " " + label + " %h"},
		{"", "%j.", "."},
		{"", "${COLMENA_GO_TEST}$X", "a%h$X"},
	} {
		s, err := settingsFor(t, "HostName 10.0.0.1\nIdentityFile \"/i "+c.name+"\"\nCertificateFile \"/c "+c.name+"\"\n"+c.config)
		if err != nil {
			t.Error(err)
		}
		if !slices.Equal(s.IdentityFiles, []string{"/i " + c.want}) || !slices.Equal(s.CertificateFiles, []string{"/c " + c.want}) {
			t.Errorf("%s became %q and %q, want %q", c.name, s.IdentityFiles, s.CertificateFiles, c.want)
		}
	}
}

// OpenSSH itself says what these are, in versions whose ssh -G expands them.
func TestAPathIsExpandedOnceThoughSSHExpandsSomeItself(t *testing.T) {
	t.Setenv("COLMENA_GO_TEST", "%h")
	s, err := settingsFor(t, "HostName 10.0.0.1\nIdentityFile /i/%%h/%C\nIdentityAgent /a/%%h/%n\nUserKnownHostsFile /u/%%h/%k /u/%C /u/${COLMENA_GO_TEST}\nGlobalKnownHostsFile /g/%%h")
	if err != nil {
		t.Fatal(err)
	}
	if len(s.UserKnownHosts) != 3 || len(s.IdentityFiles) != 1 {
		t.Fatalf("%q, %q", s.UserKnownHosts, s.IdentityFiles)
	}
	hash := strings.TrimPrefix(s.UserKnownHosts[1], "/u/")
	got := strings.Join([]string{s.IdentityAgent, s.UserKnownHosts[0], s.UserKnownHosts[2], s.GlobalKnownHosts[0], s.IdentityFiles[0]}, " ")
	if want := "/a/%h/box /u/%h/box /u/%h /g/%%h /i/%h/" + hash; got != want || len(hash) != 40 {
		t.Errorf("%s, want %s", got, want)
	}
}

// As with an OpenSSH whose ssh -G expands nothing.
func TestWhatSSHLeavesUnexpandedWeExpand(t *testing.T) {
	t.Setenv("HOME", "/home/50%h")
	s, err := read("box", options{
		"hostname": {"10.0.0.1"}, "port": {"22"}, "user": {"ops"},
		"identityagent": {"~/%n"}, "userknownhostsfile": {"~/%k /u/%h"}, "globalknownhostsfile": {"~/%n"}, "identityfile": {"none"},
	}, options{"userknownhostsfile": {probe}})
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(slices.Concat([]string{s.IdentityAgent}, s.UserKnownHosts, s.GlobalKnownHosts, s.IdentityFiles), " ")
	if want := "/home/50%h/box /home/50%h/box /u/10.0.0.1 /home/50%h/%n"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestATokenThatMayNotStandThereIsNamed(t *testing.T) {
	for _, c := range []struct{ config, option, token string }{
		{"IdentityFile /i/%H", "identityfile", "%H"},
		{"CertificateFile /c/%T", "certificatefile", "%T"},
		{"IdentityFile /i/100%", "identityfile", "% "},
		{"IdentityFile /i/${COLMENA_GO_UNSET}", "identityfile", "${COLMENA_GO_UNSET}"},
	} {
		_, err := settingsFor(t, c.config)
		if err == nil || !strings.Contains(err.Error(), c.option) || !strings.Contains(err.Error(), c.token) {
			t.Errorf("%s: %v, want an error that names %s and %s", c.config, err, c.option, c.token)
		}
	}
}

func TestIdentityAgentMayNameAVariable(t *testing.T) {
	t.Setenv("COLMENA_GO_TEST", "/socket")
	for value, want := range map[string]string{
		"$COLMENA_GO_TEST": "/socket", "$COLMENA_GO_UNSET": "none", "SSH_AUTH_SOCK": "", "none": "none",
	} {
		if s, err := settingsFor(t, "IdentityAgent "+value); err != nil || s.IdentityAgent != want {
			t.Errorf("%s: %q, %v; want %q", value, s.IdentityAgent, err, want)
		}
	}
}
