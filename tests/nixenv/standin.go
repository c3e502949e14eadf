package nixenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// standIn writes down what it is called with, and prints the next answer. What the
// store is asked for, the real one answers.
const standIn = `#!/bin/sh
dir=${0%/*}
{ printf '%s\0' "${0##*/}" "$@"; printf '\001'; } >>"$dir/calls"
[ "$1" != --serve ] || exec REAL "$@"
head -n 1 "$dir/answers"
sed -i 1d "$dir/answers"
`

// StandIn puts stand-ins for nix, nix-store and nix-instantiate first in PATH, which
// print one answer a call, and returns a function that lists the calls so far:
// program and arguments in one line each, Nix expressions as EXPR.
func StandIn(t *testing.T, answers ...string) (calls func() []string) {
	t.Helper()
	dir := t.TempDir()
	real, err := exec.LookPath("nix-store")
	if err != nil {
		t.Fatal(err)
	}
	script := strings.ReplaceAll(standIn, "REAL", real)
	for name, text := range map[string]string{"nix": script, "nix-store": script, "nix-instantiate": script, "answers": strings.Join(answers, "\n") + "\n", "calls": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return func() (calls []string) {
		text, err := os.ReadFile(filepath.Join(dir, "calls"))
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range strings.Split(strings.TrimSuffix(string(text), "\x01"), "\x01") {
			words := strings.Split(strings.TrimSuffix(call, "\x00"), "\x00")
			for i := range words {
				if i > 0 && (words[i-1] == "--expr" || words[i-1] == "--apply") {
					words[i] = "EXPR"
				}
			}
			calls = append(calls, strings.Join(words, " "))
		}
		return calls
	}
}

// Calls is what the calls of a [StandIn] are to be, each in a line: how they begin,
// and what is among them or, unless it is "", is not.
type Calls struct{ Begin, Has, Lacks string }

// Check fails the test if the calls are not so.
func (want Calls) Check(t *testing.T, calls []string) {
	t.Helper()
	made := strings.Join(calls, "\n")
	if !strings.HasPrefix(made, want.Begin) || !strings.Contains(made+" ", want.Has) {
		t.Errorf("%s\ndoes not begin with %q or lacks %q", made, want.Begin, want.Has)
	}
	if want.Lacks != "" && strings.Contains(made, want.Lacks) {
		t.Errorf("%s\nhas %q", made, want.Lacks)
	}
}
