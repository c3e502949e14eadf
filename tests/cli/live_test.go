package cli_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/colmena-go/colmena-go/tests/nixenv"
	"github.com/colmena-go/colmena-go/tests/typist"
)

// gated has two nodes that need a derivation which is built once the gate is opened.
const gated = `let
  drv = name: script: derivation { inherit name; salt = "SALT"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-ec" script ]; PATH = "/usr/bin:/bin"; };
  kernel = drv "linux-6.6.31" "read x <GATE; : >$out";
  node = { boot.loader.grub.enable = false; fileSystems."/".device = "/dev/vda1"; system.stateVersion = "26.05"; environment.etc.kernel.text = "${kernel}"; };
in { meta.nixpkgs = <nixpkgs>; web-01 = node; web-02 = node; }`

// lookingOn runs a command line on a terminal, in a shell with job control, beside a
// gated hive. open lets the build go on.
func lookingOn(t *testing.T, line string) (s *typist.Session, open func()) {
	t.Helper()
	dir := t.TempDir()
	gate := filepath.Join(dir, "gate")
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("GATE", gate, "SALT", dir).Replace(gated)
	if err := os.WriteFile(filepath.Join(dir, "hive.nix"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "--norc", "--noprofile", "-i")
	cmd.Dir = dir
	cmd.Env = append(nixenv.Env(t), "NIX_PATH=nixpkgs="+nixenv.Nixpkgs(t), "GORACE=atexit_sleep_ms=0",
		"CI=", "GITHUB_ACTIONS=", "TERM=dumb", "LANG=C.UTF-8", "LC_ALL=", "NO_COLOR=1", "PS1=shell> ")
	s = typist.Start(t, cmd)
	s.Await("shell> ")
	s.Type(line + "\n")
	return s, func() {
		if err := os.WriteFile(gate, []byte("go\n"), 0); err != nil {
			t.Error(err)
		}
	}
}

func TestWhoLooksOnSeesHowFarItIs(t *testing.T) {
	s, open := lookingOn(t, "TERM=xterm colmena-go build")
	s.Await("· 2 nodes")
	s.Await("linux-6.6.31")

	s.Resize(15, 40) // there is no room for all of it
	s.Await("\x1b[J")
	s.Await("build  linux-6.6.31")

	s.Type("\x1a")
	s.Await("\x1b[J") // the shell must not write into it
	s.Await("Stopped")
	s.Await("shell> ")
	s.Type("fg\n")
	s.Await("▸ web-01 +1  build")

	open()
	s.Await("\x1b[J")
	s.Await("2 of 2 nodes succeeded in ")
	if after := s.Await("shell> "); strings.Contains(after, "\x1b[") || strings.Contains(after, "▸") {
		t.Errorf("after the end: %q", after)
	}
	if shown := s.Shown(); strings.Contains(shown, "NODE") || strings.Contains(shown, "\x1b[?25") {
		t.Error("what went well is no table, and the cursor is never hidden")
	}
}

func TestWhoLeavesEarlyHasTheTableAndNoPicture(t *testing.T) {
	s, _ := lookingOn(t, "TERM=xterm colmena-go build")
	s.Await("linux-6.6.31")
	s.Type("\x03")
	s.Await("interrupted: starting nothing new")
	s.Await("0 of 2 nodes succeeded, 2 cancelled")
	s.Await("again: colmena-go build --on web-01,web-02")
	if after := s.Await("shell> "); strings.Contains(after, "\x1b[") {
		t.Errorf("after the end: %q", after)
	}
}

// A killed program can take nothing away, but leaves a terminal that is fit for use.
func TestAKilledProgramLeavesTheCursorBelowWhatItHasDrawn(t *testing.T) {
	s, _ := lookingOn(t, "TERM=xterm colmena-go build; stty -a | grep -ow -- '-echo' || echo fit")
	s.Await("linux-6.6.31")
	for _, pid := range children(t, s.Cmd.Process.Pid) {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	s.Await("Killed")
	s.Await("fit")
}

// children are the processes that one has started.
func children(t *testing.T, pid int) (list []int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, child := range strings.Fields(string(text)) {
		n, _ := strconv.Atoi(child)
		list = append(list, n)
	}
	return list
}

func TestWithoutATerminalThatMovesThereAreLinesWithTheirTimes(t *testing.T) {
	for name, env := range map[string]string{"a dumb one": "TERM=dumb", "none that is known": "TERM=", "a machine that keeps a log": "TERM=xterm CI=true"} {
		t.Run(name, func(t *testing.T) {
			s, open := lookingOn(t, env+" colmena-go build")
			s.Await("web-01 | building")
			open()
			s.Await("2 of 2 nodes succeeded")
			s.Await("shell> ")
			if shown := s.Shown(); strings.Contains(shown, "\x1b[") || !strings.Contains(shown, "\n+0.") {
				t.Errorf("%q", shown)
			}
		})
	}
}
