package keysource

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

// counting is a shared command that leaves a byte behind each time it runs, and says
// which time it is.
func counting(dir, attr string) hive.Key {
	key := command("sh", "-c", `printf x >>"$1"; wc -c <"$1"; sleep 0.2`, "sh", filepath.Join(dir, "runs"))
	key.Attr, key.Shared = attr, true
	return key
}

func runs(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "runs"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return len(text)
}

func resolved(t *testing.T, r *Resolver, node string, keys ...hive.Key) string {
	t.Helper()
	got, err := r.Resolve(t.Context(), hive.Node{Name: node, Keys: keys}, silent)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, key := range keys {
		said = append(said, strings.TrimSpace(string(got[key.Attr].Reveal())))
	}
	return strings.Join(said, " ")
}

func TestASharedCommandRunsOnceForAllKeysOfAllNodes(t *testing.T) {
	dir := t.TempDir()
	r := &Resolver{Limit: 1}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			if got := resolved(t, r, fmt.Sprint("node", i), counting(dir, "a"), counting(dir, "b")); got != "1 1" {
				t.Errorf("got %q", got)
			}
		})
	}
	all.Wait()
	if got := resolved(t, r, "late", counting(dir, "a")); got != "1" || runs(t, dir) != 1 {
		t.Errorf("one that comes later gets %q, after %d runs", got, runs(t, dir))
	}
	// Who comes again wants what is so now, as after a reboot; all who do have one run.
	for _, node := range []string{"node3", "node5"} {
		if got := resolved(t, r, node, counting(dir, "a")); got != "2" {
			t.Errorf("%s gets %q the second time", node, got)
		}
	}
}

func TestWhatIsNotTheSameIsNotShared(t *testing.T) {
	dir := t.TempDir()
	alone, environment, timeout, argument := counting(dir, "alone"), counting(dir, "environment"), counting(dir, "timeout"), counting(dir, "argument")
	alone.Shared = false
	environment.Environment = []string{"A=b"}
	timeout.Timeout = time.Minute
	argument.Command = append(argument.Command, "more")
	resolved(t, new(Resolver), "web", counting(dir, "a"), alone, environment, timeout, argument)
	if n := runs(t, dir); n != 5 {
		t.Errorf("%d runs, want 5", n)
	}
}

func TestAWatchKeepsNothingOfASharedCommand(t *testing.T) {
	dir := t.TempDir()
	r := &Resolver{KeepNothing: true}
	if got := resolved(t, r, "web", counting(dir, "a"), counting(dir, "b")) + resolved(t, r, "db", counting(dir, "a")); got != "1 12" {
		t.Errorf("got %q", got)
	}
	if len(r.shared.runs) != 0 {
		t.Error("its output is kept")
	}
}

func TestASharedCommandThatFailsFailsEachNodeOnce(t *testing.T) {
	dir := t.TempDir()
	failing := func(attr string) hive.Key {
		key := command("sh", "-c", `printf x >>"$1"; exit 7`, "sh", filepath.Join(dir, "runs"))
		key.Attr, key.Shared = attr, true
		return key
	}
	r := new(Resolver)
	for _, node := range []string{"web", "db"} {
		other := command("false")
		other.Attr = "other"
		_, err := r.Resolve(t.Context(), hive.Node{Name: node, Keys: []hive.Key{failing("a"), failing("b"), other}}, silent)
		if !errors.Is(err, ErrCommand) || strings.Count(err.Error(), "exit status 7") != 1 || !strings.Contains(err.Error(), fmt.Sprintf("node %q: deployment.keys.\"a\"", node)) ||
			!strings.Contains(err.Error(), `"other"`) {
			t.Errorf("%v", err)
		}
	}
	if n := runs(t, dir); n != 1 {
		t.Errorf("%d runs, want 1", n)
	}
}

func TestWhatMayBeEmptyIsForEachKeyThatSharesACommandToSay(t *testing.T) {
	dir := t.TempDir()
	quiet := func(attr string, allowed bool) hive.Key {
		key := command("sh", "-c", `printf x >>"$1"`, "sh", filepath.Join(dir, "runs"))
		key.Attr, key.Shared, key.AllowEmpty = attr, true, allowed
		return key
	}
	_, err := new(Resolver).Resolve(t.Context(), hive.Node{Name: "web", Keys: []hive.Key{quiet("may", true), quiet("must not", false)}}, silent)
	if !errors.Is(err, ErrBlank) || strings.Contains(err.Error(), `"may"`) || !strings.Contains(err.Error(), `"must not"`) || runs(t, dir) != 1 {
		t.Errorf("%v", err)
	}
}

// While one waits for it, a command goes on; if nobody does, it ends before all are told.
func TestOneThatLeavesTakesNoSharedCommandFromOthers(t *testing.T) {
	dir := t.TempDir()
	for _, pipe := range []string{"begun", "on"} {
		if err := syscall.Mkfifo(filepath.Join(dir, pipe), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key := command("sh", "-c", `echo $$ >"$1/pid"; echo >"$1/begun"; cat "$1/on"; echo content`, "sh", dir)
	key.Shared = true
	r := new(Resolver)
	stopped := errors.New("stopped")
	leaving, leave := context.WithCancelCause(t.Context())
	first, second := make(chan error, 1), make(chan string, 1)
	go func() {
		_, err := r.Resolve(leaving, hive.Node{Name: "first", Keys: []hive.Key{key}}, silent)
		first <- err
	}()
	if _, err := os.ReadFile(filepath.Join(dir, "begun")); err != nil {
		t.Fatal(err)
	}
	go func() { second <- resolved(t, r, "second", key) }()
	for joined := 0; joined != 2; time.Sleep(time.Millisecond) {
		r.shared.mu.Lock()
		joined = r.shared.runs[common(key)].waiting
		r.shared.mu.Unlock()
	}
	leave(stopped)
	if err := <-first; !errors.Is(err, stopped) {
		t.Errorf("the first: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "on"), nil, 0); err != nil {
		t.Fatal(err)
	}
	if got := <-second; got != "content" {
		t.Errorf("the second gets %q", got)
	}

	leaving, leave = context.WithCancelCause(t.Context())
	go func() {
		_, err := r.Resolve(leaving, hive.Node{Name: "first", Keys: []hive.Key{key}}, silent)
		first <- err
	}()
	if _, err := os.ReadFile(filepath.Join(dir, "begun")); err != nil {
		t.Fatal(err)
	}
	leave(stopped)
	if err := <-first; !errors.Is(err, stopped) {
		t.Errorf("the last: %v", err)
	}
	pid, err := os.ReadFile(filepath.Join(dir, "pid"))
	if stat, gone := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat"); err != nil || gone == nil && !strings.Contains(string(stat), ") Z ") {
		t.Errorf("a command that nobody waits for still runs: %v, %s", err, stat)
	}
}

func TestACommandIsToldForWhomItRuns(t *testing.T) {
	t.Setenv("COLMENA_GO_NODE", "outer")
	t.Setenv("COLMENA_GO_KEY", "outer")
	t.Setenv("GIVEN", "outer")
	const script = `printf '%s/%s/%s/%s' "${COLMENA_GO_NODE-unset}" "${COLMENA_GO_KEY-unset}" "$GIVEN" "$ADDED"`
	for shared, want := range map[bool]string{false: "web/a key/inner/x y", true: "unset/unset/inner/x y"} {
		key := command("sh", "-c", script)
		key.Attr, key.Shared, key.Environment = "a key", shared, []string{"ADDED=x y", "GIVEN=inner"}
		if got := resolved(t, new(Resolver), "web", key); got != want {
			t.Errorf("shared %v: %q, want %q", shared, got, want)
		}
	}
}

func TestAKeysOwnTimeoutCountsMore(t *testing.T) {
	quick, slow := command("sleep", "60"), command("sh", "-c", "sleep 1; echo v")
	quick.Timeout, slow.Timeout = 200*time.Millisecond, time.Minute
	r := &Resolver{Timeout: 30 * time.Second}
	if _, err := r.Resolve(t.Context(), hive.Node{Name: "web", Keys: []hive.Key{quick}}, silent); !errors.Is(err, ErrTimeout) || !strings.Contains(err.Error(), "after 200ms") {
		t.Errorf("%v", err)
	}
	if got := resolved(t, &Resolver{Timeout: 200 * time.Millisecond}, "web", slow); got != "v" {
		t.Errorf("got %q", got)
	}
}
