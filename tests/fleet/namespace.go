package fleet

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"testing"
)

// Everything a fleet makes lives in mount, network and PID namespaces that end
// with the process that made them: a killed test leaves no host, mount or
// address behind. The program runs itself a second time in there.

const (
	insideEnv = "COLMENA_GO_FLEET_INSIDE"
	withinEnv = "COLMENA_GO_FLEET_WITHIN" // set for all that runs in a fleet's namespaces
	modeEnv   = "COLMENA_GO_FLEET"        // "require": no fleet is a failure; "skip": tests that need one are skipped
)

// Main is for TestMain: it runs the tests inside the namespaces. Without root
// they run outside, where [Require] skips or fails.
func Main(m *testing.M) {
	if os.Getuid() != 0 || os.Getenv(modeEnv) == "skip" {
		os.Exit(m.Run())
	}
	Enter()
	status := m.Run()
	shutdown()
	os.Exit(status)
}

// Enter returns inside the namespaces; outside, it runs the program there and
// exits with its status.
func Enter() {
	if os.Getenv(insideEnv) != "" {
		if err := arrive(); err != nil {
			fmt.Fprintln(os.Stderr, "fleet:", err)
			os.Exit(1)
		}
		return
	}
	exe, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
	args := append([]string{"--mount", "--net", "--pid", "--propagation", "private", "--fork",
		"--kill-child=KILL", "--mount-proc", exe}, os.Args[1:]...)
	cmd := exec.Command("unshare", args...)
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	tie(cmd)
	// ^C reaches those inside as well: wait until they have cleaned up.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	err = cmd.Run()
	// From within another fleet's namespace not all processes are seen.
	if os.Getenv(withinEnv) == "" {
		sweepCgroups(cgroupTops)
	}
	var exit *exec.ExitError
	switch {
	case err == nil:
		os.Exit(0)
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		os.Exit(exit.ExitCode())
	}
	fmt.Fprintln(os.Stderr, "fleet: cannot enter namespaces of its own:", err)
	os.Exit(1)
}

// arrive furnishes the new namespaces.
func arrive() error {
	os.Unsetenv(insideEnv)
	os.Setenv(withinEnv, "1")
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		return err
	}
	if err := mountMemory("/run/netns"); err != nil {
		return err
	}
	// The default of 128 inotify instances is shared by all hosts.
	if err := os.WriteFile("/proc/sys/fs/inotify/max_user_instances", []byte("8192"), 0o644); err != nil {
		return err
	}
	return sh(`ip link set lo up
ip link add fleet0 type bridge
ip addr add ` + gateway + `/24 dev fleet0
ip link set fleet0 up
sysctl -q -w net.ipv4.ip_forward=1`)
}

func sh(script string) error {
	out, err := exec.Command("sh", "-euc", script).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
