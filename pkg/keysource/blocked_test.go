//go:build linux

package keysource

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/tests/lacking"
)

// deaf mounts a FUSE file system that answers nothing, and returns a path in it.
func deaf(t *testing.T) string {
	t.Helper()
	device, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		lacking.Skip(t, "needs /dev/fuse: ", err)
	}
	dir := t.TempDir()
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=%d,group_id=%d", device.Fd(), os.Getuid(), os.Getgid())
	if err := syscall.Mount("deaf", dir, "fuse", syscall.MS_NODEV|syscall.MS_NOSUID, options); err != nil {
		device.Close()
		lacking.Skip(t, "needs to mount FUSE: ", err)
	}
	t.Cleanup(func() {
		device.Close() // whoever waits is told that the connection is gone
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "secret")
}

func TestAFileThatDoesNotAnswerHoldsNobodyUp(t *testing.T) {
	node := hive.Node{Name: "web", Keys: []hive.Key{{Attr: "k", File: deaf(t)}, command("true")}}
	node.Keys[1].AllowEmpty = true
	stopped := errors.New("stopped")
	ask := map[string]func(context.Context, *Resolver) error{
		"resolve": func(ctx context.Context, r *Resolver) error {
			_, err := r.Resolve(ctx, node, silent)
			return err
		},
		"check": func(ctx context.Context, r *Resolver) error { return r.Check(ctx, node) },
	}
	for name, f := range ask {
		r := &Resolver{Limit: 1}
		for range 2 { // the second finds no slot
			ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, stopped)
			begin := time.Now()
			if err := f(ctx, r); !errors.Is(err, stopped) || time.Since(begin) > 5*time.Second {
				t.Errorf("%s: %v after %v", name, err, time.Since(begin))
			}
			cancel()
			if len(r.files) != 1 {
				t.Errorf("%s: a thread hangs in the file, and its slot is free", name)
			}
		}
		begin := time.Now()
		err := f(t.Context(), &Resolver{Timeout: 200 * time.Millisecond})
		if !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), "was not read within 200ms") || time.Since(begin) > 5*time.Second {
			t.Errorf("%s: %v after %v", name, err, time.Since(begin))
		}
	}
}

// offspring is a command's child in its group and one in a session of its own,
// which write their process ids into $1.
const offspring = `sh -c 'echo $$ >>"$1"; exec sleep 60' sh "$1" & setsid sh -c 'echo $$ >>"$1"; exec sleep 60' sh "$1" >/dev/null 2>&1 &
while [ "$(wc -l <"$1")" != 2 ]; do sleep 0.01; done
`

func TestWhatACommandStartedEndsUnlessItEndsWell(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		err    error
		stays  bool
	}{
		"too slow":       {offspring + "wait", ErrTimeout, false},
		"failed":         {offspring + "exit 1", ErrCommand, false},
		"a background":   {`setsid sh -c 'echo $$ >>"$1"; exec sleep 60' sh "$1" >/dev/null 2>&1 & until [ -s "$1" ]; do sleep 0.01; done; echo v`, nil, true},
		"output is held": {offspring + "echo v", ErrCommand, false},
	} {
		t.Run(name, func(t *testing.T) {
			started := filepath.Join(t.TempDir(), "pids")
			if err := os.WriteFile(started, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			r := &Resolver{Timeout: 20 * time.Second}
			if c.err == ErrTimeout {
				r.Timeout = time.Second
			}
			_, err := r.Resolve(t.Context(), hive.Node{Name: "web", Keys: []hive.Key{command("sh", "-c", c.script, "sh", started)}}, silent)
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			text, err := os.ReadFile(started)
			pids := strings.Fields(string(text))
			if err != nil || len(pids) == 0 {
				t.Fatal("nothing was started: ", err)
			}
			for _, pid := range pids {
				if runs := !ends(pid, c.stays); runs != c.stays {
					t.Errorf("process %s runs: %v, want %v", pid, runs, c.stays)
				}
				if id, err := strconv.Atoi(pid); err == nil && c.stays {
					syscall.Kill(id, syscall.SIGKILL)
				}
			}
		})
	}
}

// ends reports whether a process ends within some time, or has ended at once.
func ends(pid string, atOnce bool) bool {
	for range 200 {
		state, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || strings.Contains(string(state), ") Z ") { // gone, or dead and not yet reaped by init
			return true
		}
		if atOnce {
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}
