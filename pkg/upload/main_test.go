//go:build linux

package upload

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/colmena-go/colmena-go/tests/hostdouble"
	"github.com/colmena-go/colmena-go/tests/namespace"
)

// The tests run the host's half with the real sh and coreutils of this machine, as
// root, in a mount namespace of their own with a fresh /run and /srv: a host
// without SSH in between. tests/hosts does the same over SSH on booted hosts.

func TestMain(m *testing.M) {
	if trick := os.Getenv(attackEnv); trick != "" {
		attack(trick)
	}
	// Fuzzing has a protocol of its own between processes; its targets are pure.
	if slices.ContainsFunc(os.Args, func(arg string) bool { return strings.HasPrefix(arg, "-test.fuzz") }) {
		os.Exit(m.Run())
	}
	if !namespace.Enter("/run", "/srv", "/var/lib") {
		os.Exit(m.Run())
	}
	if err := os.Mkdir("/run/bin", 0o755); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// local runs commands on this machine with the shell named as `sh`.
type local struct {
	shell string
	// stdin, when set, stands between the deployer and the host.
	stdin func(io.Reader) io.Reader
	// started, when set, is told the process.
	started func(*os.Process)
}

func (l local) Run(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) error {
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.WaitDelay = 300 * time.Millisecond // a killed job must not be waited for
	if l.shell != "" {
		path, err := withSh(l.shell)
		if err != nil {
			return err
		}
		cmd.Env = append(os.Environ(), "PATH="+path+":"+os.Getenv("PATH"))
	}
	streams := hostdouble.Streams{In: stdin, Out: stdout, Err: stderr, Started: l.started}
	if l.stdin != nil {
		streams.In = l.stdin(stdin)
	}
	return hostdouble.Run(ctx, cmd, streams)
}

// withSh makes a folder in which sh is the given shell.
func withSh(shell string) (string, error) {
	path, err := exec.LookPath(shell)
	if err != nil {
		return "", err
	}
	dir := filepath.Join("/run/bin", shell)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := os.Symlink(path, filepath.Join(dir, "sh")); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return dir, nil
}
