package activation

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/colmena-go/colmena-go/tests/hostdouble"
	"github.com/colmena-go/colmena-go/tests/namespace"
)

// The tests run the host's half with the real sh, coreutils and util-linux of this
// machine, as root, in a mount namespace with a fresh /run: a host without SSH in
// between and without systemd, so that activations run detached. tests/activation
// does the same over SSH on booted hosts, where they run in units.

func TestMain(m *testing.M) {
	if !namespace.Enter("/run") {
		os.Exit(m.Run())
	}
	goleak.VerifyTestMain(m)
}

func needHost(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
}

// local runs commands on this machine as pkg/remote would on another: when ctx is
// done the channel closes, and the process learns it from the end of its input.
type local struct {
	shell   string                    // "" for sh
	stdin   func(io.Reader) io.Reader // stands between the deployer and the host
	started func(group int)           // is told the process group
}

func (l local) Run(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) error {
	if l.shell == "" {
		l.shell = "sh"
	}
	cmd := exec.CommandContext(ctx, l.shell, "-c", command)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 20 * time.Second
	streams := hostdouble.Streams{In: stdin, Out: stdout, Err: stderr, HangUp: true}
	if l.started != nil {
		streams.Started = func(p *os.Process) { l.started(p.Pid) }
	}
	if l.stdin != nil {
		streams.In = l.stdin(stdin)
	}
	return hostdouble.Run(ctx, cmd, streams)
}

// system makes a stand-in for a toplevel, whose switch-to-configuration is the
// given shell script.
func system(t *testing.T, script string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/run", "system-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "bin/switch-to-configuration")
	// As an activation does, it makes itself the current system.
	const activate = "case $1 in switch | test) ln -sfn ${0%/bin/*} /run/current-system ;; esac\n"
	t.Cleanup(func() { os.Remove("/run/current-system") })
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"+activate+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// activations lists what activations left on the host.
func activations(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("/run/colmena-go/activate-*")
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func contains(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || strings.TrimSpace(string(got)) != want {
		t.Errorf("%s holds %q (%v), want %q", path, got, err, want)
	}
}

// eventually waits for something that happens on the host by itself.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !happened(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Which of the processes that wait for a switch.
const (
	all    = ""
	oldest = "-o"
)

// killWaiting kills those of the one activation that runs, and of no other on this
// machine: its folder's name is its own.
func killWaiting(t *testing.T, which string) {
	t.Helper()
	pattern := "[/]" + filepath.Base(activations(t)[0]) + "/script run"
	out, err := exec.Command("sh", "-c", "pkill -KILL "+which+" -f '"+pattern+"'").CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v: %s", pattern, err, out)
	}
}
