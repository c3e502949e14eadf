package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The tests run host.sh with the real sh and coreutils of this machine, as
// root, in a mount namespace of their own with a fresh /run and /srv: a host
// without SSH in between. tests/hosts does the same over SSH on booted hosts.

const namespaceEnv = "COLMENA_GO_UPLOAD_TEST_NAMESPACE"

func TestMain(m *testing.M) {
	if trick := os.Getenv(attackEnv); trick != "" {
		attack(trick)
	}
	if os.Getuid() != 0 {
		fmt.Println("pkg/upload: the tests that run host.sh need root; only the pure ones run")
		os.Exit(m.Run())
	}
	// Fuzzing has a protocol of its own between processes; its targets are pure.
	if slices.ContainsFunc(os.Args, func(arg string) bool { return strings.HasPrefix(arg, "-test.fuzz") }) {
		os.Exit(m.Run())
	}
	if os.Getenv(namespaceEnv) == "" {
		os.Exit(inNamespace())
	}
	if err := furnish(); err != nil {
		fmt.Fprintln(os.Stderr, "pkg/upload: cannot prepare the namespace:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func inNamespace() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), namespaceEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	fmt.Fprintln(os.Stderr, "pkg/upload:", err)
	return 1
}

func furnish() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	for _, dir := range []string{"/run", "/srv"} {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755"); err != nil {
			return err
		}
	}
	return os.Mkdir("/run/bin", 0o755)
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
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.WaitDelay = 300 * time.Millisecond // a killed job must not be waited for
	if l.shell != "" {
		path, err := withSh(l.shell)
		if err != nil {
			return err
		}
		cmd.Env = append(os.Environ(), "PATH="+path+":"+os.Getenv("PATH"))
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if l.started != nil {
		l.started(cmd.Process)
	}
	if l.stdin != nil {
		stdin = l.stdin(stdin)
	}
	go func() {
		io.Copy(in, stdin)
		in.Close()
	}()
	return cmd.Wait()
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
