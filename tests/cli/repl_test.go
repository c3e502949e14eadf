package cli_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/tests/lacking"
	"github.com/colmena-go/colmena-go/tests/nixenv"
)

// session is a program on a terminal of its own, typed into by a test.
type session struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	mu   sync.Mutex
	text strings.Builder // what the terminal shows
	read int             // how much of it was awaited
}

// Write takes what the terminal shows.
func (s *session) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// await waits for a text to be shown, after what was awaited before.
func (s *session) await(text string) {
	s.t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		at := strings.Index(s.text.String()[s.read:], text)
		if at >= 0 {
			s.read += at + len(text)
		}
		s.mu.Unlock()
		if at >= 0 {
			return
		}
	}
	s.t.Fatalf("%q did not come:\n%s", text, s.text.String())
}

func (s *session) write(text string) {
	if _, err := io.WriteString(s.in, text); err != nil {
		s.t.Fatal(err)
	}
}

// onTerminal runs a script of sh there, in a folder with a hive.
func onTerminal(t *testing.T, script string) *session {
	t.Helper()
	if _, err := exec.LookPath("script"); err != nil {
		lacking.Skip(t, "script(1) is not installed")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "hive.nix"), []byte("{ meta.nixpkgs = <nixpkgs>; web = { }; }"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := &session{t: t, cmd: exec.Command("script", "-qec", script, "/dev/null")}
	s.cmd.Dir, s.cmd.Env = dir, append(nixenv.Env(t), "NIX_PATH=nixpkgs="+nixenv.Nixpkgs(t), "TMPDIR="+filepath.Join(dir, "tmp"), "TERM=dumb", "GORACE=atexit_sleep_ms=0")
	s.cmd.Stdout, s.cmd.Stderr = s, s
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return s
}

const prompt = "nix-repl> "

func TestInterruptsInTheReplAreTheRepls(t *testing.T) {
	s := onTerminal(t, "colmena-go repl")
	s.await(prompt)
	s.write("nodes.web.co\x03")
	s.await("^C")
	s.write("\n") // Nix 2.8 takes the next line for the rest of what was broken off
	s.await(prompt)
	s.write("builtins.attrNames nodes\n")
	s.await(`"web"`)
	s.await(prompt)
	s.write("\x04")
	// Nix 2.26's own repl ends with an interrupt's status if there ever was one.
	err := s.cmd.Wait()
	if status := s.cmd.ProcessState.ExitCode(); status != 0 && status != 130 || strings.Contains(s.text.String(), "interrupted") {
		t.Errorf("%v:\n%s", err, s.text.String())
	}
}

// Whoever ends the program ends the repl, and has the terminal back as it was.
func TestAReplEndsWithTheProgramAndLeavesTheTerminal(t *testing.T) {
	s := onTerminal(t, `sh -c 'echo $$ >pid; exec colmena-go repl'; echo "exit $?"; stty -a | grep -qw -- '-icanon' || echo as before; ls tmp; echo over`)
	s.await(prompt)
	text, err := os.ReadFile(filepath.Join(s.cmd.Dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSpace(string(text))
	var children string
	tasks, err := filepath.Glob("/proc/" + id + "/task/*/children")
	for _, path := range tasks {
		text, _ := os.ReadFile(path)
		children += string(text)
	}
	child := strings.Fields(children)
	if err != nil || len(child) != 1 {
		t.Fatalf("children of %s: %q, %v", id, children, err)
	}
	pid, err := strconv.Atoi(id)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.await("exit 130")
	s.await("as before\r\nover\r\n") // and nothing is left in the folder for temporary files
	if _, err := os.Stat("/proc/" + child[0]); err == nil {
		t.Errorf("nix, process %s, still runs", child[0])
	}
	if err := s.cmd.Wait(); err != nil {
		t.Error(err)
	}
}
