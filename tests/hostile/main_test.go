// Package hostile_test deploys to an honest host and, at the same time, to one
// that does harm: whoever has root there says whatever he likes over our
// connection. Both are SSH servers in this process. The honest one runs what it
// is told with the sh and coreutils of this machine, in a mount namespace with a
// /run and /srv of its own; only Nix is a double.
package hostile_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

const namespaceEnv = "COLMENA_GO_HOSTILE_TEST_NAMESPACE"

func TestMain(m *testing.M) {
	if os.Getuid() != 0 {
		fmt.Println("tests/hostile: an honest host needs root")
		os.Exit(m.Run())
	}
	if os.Getenv(namespaceEnv) == "" {
		os.Exit(inNamespace())
	}
	if err := furnish(); err != nil {
		fmt.Fprintln(os.Stderr, "tests/hostile: cannot prepare the namespace:", err)
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
	fmt.Fprintln(os.Stderr, "tests/hostile:", err)
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
	return nil
}
