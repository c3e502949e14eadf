package cli_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/tests/nixenv"
	"github.com/colmena-go/colmena-go/tests/typist"
)

// deep has nodes that Nix evaluates for minutes, without a word; 2.8 hears no signal
// meanwhile.
const deep = `let
	spin = n: let l = builtins.genList (x: x) 1000; sum = builtins.foldl'; in
		sum (a: b: sum (a: b: sum (a: b: a + b) a l) a l) 0 (builtins.genList (x: x) n);
	node = n: { deployment.tags = [ (toString (spin n)) ]; };
in { meta.nixpkgs = <nixpkgs>; a = node 5000; b = node 5001; }`

// evaluating is a command that evaluates such nodes.
func evaluating(t *testing.T) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "hive.nix"), []byte(deep), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("colmena-go", "build")
	cmd.Dir, cmd.Env = dir, append(nixenv.Env(t), "NIX_PATH=nixpkgs="+nixenv.Nixpkgs(t), "GORACE=atexit_sleep_ms=0")
	return cmd
}

// deepIn waits until all that Nix does for a program is to evaluate, and returns its
// processes.
func deepIn(t *testing.T, program int) (pids []int) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		pids = nil
		tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(program) + "/task/*/children")
		for _, path := range tasks {
			text, _ := os.ReadFile(path)
			for _, child := range strings.Fields(string(text)) {
				stat, _ := os.ReadFile("/proc/" + child + "/stat")
				_, rest, _ := strings.Cut(string(stat), "(nix-instantiate) ")
				if fields := strings.Fields(rest); len(fields) > 11 {
					pid, _ := strconv.Atoi(child)
					if ticks, _ := strconv.Atoi(fields[11]); ticks > 150 { // hundredths of a second of its own
						pids = append(pids, pid)
					}
				}
			}
		}
		if len(pids) > 0 {
			return pids
		}
	}
	t.Fatal("Nix does not evaluate")
	return nil
}

// busy is how many programs share a processor now (proc_loadavg(5)), at least 1.
func busy() float64 {
	text, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(text), " ")
	load, _ := strconv.ParseFloat(first, 64)
	return max(1, load/float64(runtime.NumCPU()))
}

// soon reports that it took longer than it may, a second on an idle machine, or that
// something is left.
func soon(t *testing.T, took time.Duration, pids []int) {
	t.Helper()
	if limit := time.Duration(busy() * float64(time.Second)); took > limit {
		t.Errorf("it took %s, more than %s", took, limit)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d of Nix is left: %v", pid, err)
		}
	}
}

func TestAnInterruptDeepInANodeEndsAllWithinASecond(t *testing.T) {
	t.Run("on a terminal", func(t *testing.T) {
		s := typist.Start(t, evaluating(t))
		pids := deepIn(t, s.Cmd.Process.Pid)
		begin := time.Now()
		s.Type("\x03")
		if code := s.Wait(); code != 130 {
			t.Errorf("it exits with %d", code)
		}
		soon(t, time.Since(begin), pids)
	})
	t.Run("without one", func(t *testing.T) {
		cmd := evaluating(t)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Process.Kill()
		pids := deepIn(t, cmd.Process.Pid)
		begin := time.Now()
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if cmd.Wait(); cmd.ProcessState.ExitCode() != 130 {
			t.Errorf("it exits with %d", cmd.ProcessState.ExitCode())
		}
		soon(t, time.Since(begin), pids)
	})
}
