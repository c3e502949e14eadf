// Package namespace gives a test process mounts of its own, so that the host's
// half of the program can be run on this machine as root and harm nothing.
package namespace

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

const insideEnv = "COLMENA_GO_TEST_NAMESPACE"

// Enter is for TestMain. It returns in a mount namespace in which each of dirs is
// an empty file system in memory, having run the program a second time in there
// and passed its status on. Without root it returns false and nothing is changed:
// the tests that need it are to be skipped.
func Enter(dirs ...string) bool {
	if os.Getuid() != 0 {
		fmt.Println("tests that run the host's half need root; only the pure ones run")
		return false
	}
	if os.Getenv(insideEnv) == "" {
		os.Exit(again())
	}
	os.Unsetenv(insideEnv)
	if err := furnish(dirs); err != nil {
		fmt.Fprintln(os.Stderr, "cannot prepare the mount namespace:", err)
		os.Exit(1)
	}
	return true
}

func again() int {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideEnv+"=1")
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
	fmt.Fprintln(os.Stderr, "cannot enter a mount namespace:", err)
	return 1
}

func furnish(dirs []string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755"); err != nil {
			return err
		}
	}
	return nil
}
