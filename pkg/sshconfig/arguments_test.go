package sshconfig

import (
	"slices"
	"strings"
	"testing"
)

func TestOptionsMayBeWrittenAsForSSH(t *testing.T) {
	for _, c := range []struct{ words, want []string }{
		{[]string{"-o", "Port=22"}, []string{"-o", "Port=22"}},
		{[]string{"-oPort=22"}, []string{"-o", "Port=22"}},
		{[]string{"-o Port 22"}, []string{"-o", " Port 22"}},
		{[]string{"-o", `ProxyCommand="nc" %h %p`}, []string{"-o", `ProxyCommand="nc" %h %p`}},
		{[]string{"-i", "-o"}, []string{"-i", "-o"}},
		{[]string{"-4p22", "-6CA"}, []string{"-4", "-p", "22", "-6", "-C", "-A"}},
		{[]string{"-vvv", "-qi", "my key"}, []string{"-i", "my key"}},
		{[]string{"-J", "a,b", "-Fx", "-lme", "-b", "::1", "-Blo"}, []string{"-J", "a,b", "-F", "x", "-l", "me", "-b", "::1", "-B", "lo"}},
		{[]string{"-tMS", "/socket", "-4"}, []string{"-4"}},
		{nil, nil},
	} {
		got, err := Arguments(c.words)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, %v; want %q", c.words, got, err, c.want)
		}
	}
}

func TestAnOptionThatMakesNoSenseIsNamedWithoutItsValue(t *testing.T) {
	for _, c := range []struct {
		words []string
		says  string
	}{
		{[]string{"gate"}, "word 1 is not an option"},
		{[]string{"-4", "--", "gate"}, "word 2 is not an option"},
		{[]string{"-"}, "word 1 is not an option"},
		{[]string{""}, "word 1 is not an option"},
		{[]string{"-N"}, "-N makes no sense"},
		{[]string{"-4N"}, "-N makes no sense"},
		{[]string{"-W", "secret:22"}, "-W makes no sense"},
		{[]string{"-o"}, "-o needs a value"},
		{[]string{"-4i"}, "-i needs a value"},
		{[]string{"-o", "Port"}, "-o needs a name and a value"},
		{[]string{"-o", "=secret"}, "-o needs a name and a value"},
		{[]string{"-o", "remotecommand secret"}, "-o remotecommand makes no sense"},
		{[]string{"-oLocalForward=1 secret:2"}, "-o localforward makes no sense"},
		{[]string{"--proxy=secret"}, `"--proxy=…" is not an option of ssh`},
		{[]string{"-i", "a\x00b"}, "-i has no value, or one"},
	} {
		_, err := Arguments(c.words)
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v; want an error that says %q", c.words, err, c.says)
		}
	}
}
