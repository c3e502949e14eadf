package keysource

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

// As gpg does it: the first command starts an agent, in a session of its own,
// that all others use.
const (
	startsAgent = `setsid sh -c 'echo $$ >"$1/pid"; echo >"$1/up"; while read -r _ <"$1/ask"; do echo served >"$1/answer"; done' sh "$1" >/dev/null 2>&1 </dev/null &
cat "$1/up" "$1/begun"
exit 1`
	usesAgent = `echo >"$1/begun"; cat "$1/failed" >/dev/null; echo >"$1/ask"; cat "$1/answer"`
)

func TestAFailedCommandTakesNoAgentFromOthers(t *testing.T) {
	dir := t.TempDir()
	for _, pipe := range []string{"up", "begun", "failed", "ask", "answer"} {
		if err := syscall.Mkfifo(filepath.Join(dir, pipe), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := &Resolver{Timeout: 10 * time.Second}
	failed := make(chan error)
	go func() {
		_, err := r.Resolve(t.Context(), hive.Node{Name: "a", Keys: []hive.Key{command("sh", "-c", startsAgent, "sh", dir)}}, silent)
		if err := os.WriteFile(filepath.Join(dir, "failed"), []byte("\n"), 0); err != nil {
			t.Error(err)
		}
		failed <- err
	}()
	got, err := r.Resolve(t.Context(), hive.Node{Name: "b", Keys: []hive.Key{command("sh", "-c", usesAgent, "sh", dir)}}, silent)
	if err != nil || string(got["k"].Reveal()) != "served\n" {
		t.Errorf("%v: the agent was killed by a command that failed", err)
	}
	if pipe, err := os.OpenFile(filepath.Join(dir, "failed"), os.O_RDONLY|syscall.O_NONBLOCK, 0); err == nil {
		defer pipe.Close() // or the other waited for ever, were this one not to read
	}
	if err := <-failed; err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("%v", err)
	}
	pid, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	for range 500 {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("the agent that a failed command started still runs: %s", pid)
}
