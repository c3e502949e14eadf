package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/tests/lacking"
	"github.com/colmena-go/colmena-go/tests/nixenv"
	"github.com/colmena-go/colmena-go/tests/typist"
)

// Real shells complete words after Tab, with the names of a hive that was evaluated once.
func TestShellsCompleteNodesAndFlags(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// testscript.Main makes this test binary the program where it is called so.
	if err := os.Symlink(self, filepath.Join(dir, "colmena-go")); err != nil {
		t.Fatal(err)
	}
	env := append(slices.Concat(nixenv.Env(t)), "NIX_PATH=nixpkgs="+nixenv.Nixpkgs(t), "PATH="+dir+":"+os.Getenv("PATH"), "TERM=dumb", "GORACE=atexit_sleep_ms=0")
	hive := `{ alpha.deployment.tags = [ "prod" ]; beta.deployment.tags = [ "prod" ]; "$(touch x)".deployment.targetHost = null; }`
	if err := os.WriteFile(filepath.Join(dir, "hive.nix"), []byte(hive), 0o644); err != nil {
		t.Fatal(err)
	}
	list := exec.Command("colmena-go", "list")
	list.Path, list.Dir, list.Env = filepath.Join(dir, "colmena-go"), dir, env
	if out, err := list.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}

	const show = `#!/bin/sh
mark=$1; shift
printf 'begin-%s ' $mark; printf '<%s> ' "$@"; echo end-$mark
`
	if err := os.WriteFile(filepath.Join(dir, "show"), []byte(show), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, shell := range []struct {
		name  string
		args  []string
		begin string
	}{
		{"bash", []string{"--norc", "--noprofile", "-i"}, "bind 'set enable-bracketed-paste off'; source <(colmena-go completion bash)"},
		{"zsh", []string{"-f", "-i"}, "unsetopt zle_bracketed_paste; autoload -U compinit; compinit -u -d " + dir + "/zcompdump; source <(colmena-go completion zsh)"},
		{"fish", []string{"--no-config", "-i"}, "colmena-go completion fish | source"},
	} {
		t.Run(shell.name, func(t *testing.T) {
			path, err := exec.LookPath(shell.name)
			if err != nil {
				lacking.Skip(t, "needs ", shell.name, ": ", err)
			}
			cmd := exec.Command(path, shell.args...)
			cmd.Dir, cmd.Env = dir, append(slices.Clone(env), "PS1=> ", "SHELL="+path)
			s := typist.Start(t, cmd)
			s.Type(shell.begin + "; echo rea''dy\n")
			s.Await("ready")
			for i, c := range []struct{ typed, want string }{
				{"reb\t", "<reboot>"},
				{"apply --on al\t", "<apply> <--on> <alpha>"},
				{"apply --on alpha,b\t", "<apply> <--on> <alpha,beta>"},
				{"apply --on=be\t", "<apply> <--on=beta>"},
				{"apply --on @pr\t", "<apply> <--on> <@prod>"},
				{"apply --on beta,@p\t", "<apply> <--on> <beta,@prod>"},
				{"apply --on \\$\t", "<apply> <--on> <$(touch x)>"},
				{"--config hi\t", "<--config> <hive.nix>"},
				{"--no-such \t", "<--no-such>"},
			} {
				// The program's place is taken by what shows its arguments.
				mark := fmt.Sprintf("m%d", i)
				s.Type(`colmena-go ` + c.typed)
				s.Type("\x01./show " + mark + " \x05\n") // ^A, ^E
				got := s.Await("end-" + mark)
				_, got, _ = strings.Cut(got, "begin-"+mark+" ")
				if got = strings.TrimSpace(got); got != "<colmena-go> "+c.want {
					t.Errorf("%q: %s, want %s", c.typed, got, c.want)
				}
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "x")); err == nil {
		t.Error("a node's name was run")
	}
}

// Who sources it where zsh's own completion is not loaded is told so.
func TestZshWithoutItsCompletionIsToldWhatIsMissing(t *testing.T) {
	zsh, err := exec.LookPath("zsh")
	if err != nil {
		lacking.Skip(t, "needs zsh: ", err)
	}
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "colmena-go")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(zsh, "-f", "-c", "source <(colmena-go completion zsh)")
	cmd.Env = append(slices.Clone(nixenv.Env(t)), "PATH="+dir+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if want := "colmena-go: completion needs zsh's own before it: autoload -Uz compinit && compinit\n"; err != nil || string(out) != want {
		t.Errorf("%v: %s, want %s", err, out, want)
	}
}
