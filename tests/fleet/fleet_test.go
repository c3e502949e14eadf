package fleet_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/tests/fleet"
)

func TestMain(m *testing.M) { fleet.Main(m) }

func shell(t *testing.T, h *fleet.Host, script string) string {
	t.Helper()
	out, err := h.Shell(script)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func ssh(f *fleet.Fleet, host, command string) (string, error) {
	out, err := exec.Command("ssh", "-F", f.SSHConfig, "-o", "ConnectTimeout=2", host, command).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func TestHostsAreRealAndReachEachOther(t *testing.T) {
	f := fleet.Require(t, 2)
	for _, h := range f.Hosts[:2] {
		if out, err := ssh(f, h.Name, "hostname; cat /proc/1/comm"); err != nil || out != h.Name+"\nsystemd" {
			t.Errorf("%s: %q, %v", h.Name, out, err)
		}
		// Which looks its host's name up.
		if out, err := ssh(f, "deployer@"+h.Name, "sudo -n true; cat /etc/resolv.conf"); err != nil || out != "" {
			t.Errorf("%s: sudo says %q, %v", h.Name, out, err)
		}
		for range 100 {
			if shell(t, h, "systemctl is-system-running || :") == "running" {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if got := shell(t, h, "systemctl is-system-running || systemctl --failed"); got != "running" {
			t.Errorf("%s: %s", h.Name, got)
		}
		if got := shell(t, h, "findmnt -no FSTYPE /run/keys; stat -c %a /run/keys"); got != "ramfs\n750" {
			t.Errorf("%s: /run/keys is %q", h.Name, got)
		}
	}
	shell(t, f.Hosts[0], "ping -c1 -W2 "+f.Hosts[1].IP+" 2>/dev/null || bash -c 'echo </dev/tcp/"+f.Hosts[1].IP+"/22'")
}

func TestARebootIsANewBoot(t *testing.T) {
	f := fleet.Require(t, 1)
	h := f.Hosts[0]
	shell(t, h, "touch /run/marker /root/kept")
	if err := h.Reboot(); err != nil {
		t.Fatal(err)
	}
	if got := shell(t, h, "ls /run/marker 2>/dev/null || :; ls /root/kept"); got != "/root/kept" {
		t.Errorf("after the reboot: %q", got)
	}
	if _, err := ssh(f, h.Name, "true"); err != nil {
		t.Error(err)
	}
}

func TestACutOffHostIsSilent(t *testing.T) {
	f := fleet.Require(t, 1)
	h := f.Hosts[0]
	if err := h.CutOff(); err != nil {
		t.Fatal(err)
	}
	if out, err := ssh(f, h.Name, "true"); err == nil || strings.Contains(out, "refused") {
		t.Errorf("%q, %v: want silence", out, err)
	}
	shell(t, h, "true") // but it lives
	if err := h.Reconnect(); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if _, err := ssh(f, h.Name, "true"); err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Error("it does not come back")
}

func TestSSHCanBeStoppedAndStarted(t *testing.T) {
	f := fleet.Require(t, 1)
	h := f.Hosts[0]
	if err := h.StopSSHD(); err != nil {
		t.Fatal(err)
	}
	if _, err := ssh(f, h.Name, "true"); err == nil {
		t.Error("it still answers")
	}
	if err := h.StartSSHD(); err != nil {
		t.Fatal(err)
	}
	if _, err := ssh(f, h.Name, "true"); err != nil {
		t.Error(err)
	}
}

// begun starts `fleet run` in a process group of its own, with a command that waits
// once the hosts are up, and returns when it does.
func begun(t *testing.T, hosts, wait string) *exec.Cmd {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "fleet")
	if out, err := exec.Command("go", "build", "-o", bin, "./cmd/fleet").CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	marker := filepath.Join(t.TempDir(), "marker")
	cmd := exec.Command(bin, "run", "-n", hosts, "--", "sh", "-c", "touch '"+marker+"'; "+wait)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 600 {
		if _, err := os.Stat(marker); err == nil {
			return cmd
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("it does not boot")
	return nil
}

// gone waits until no process has words in its command line.
func gone(t *testing.T, words string) {
	t.Helper()
	left := ""
	for range 100 {
		out, _ := exec.Command("pgrep", "-f", words).Output()
		if left = strings.TrimSpace(string(out)); left == "" {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("a process is left: ", left)
}

// Killed with SIGKILL, a fleet leaves no process, no mount and no cgroup that
// the next one would not sweep away.
func TestAKilledFleetLeavesNothing(t *testing.T) {
	fleet.Require(t, 1)
	cmd := begun(t, "2", "sleep 1000.625")
	cmd.Process.Kill()
	cmd.Wait()
	gone(t, "sleep 1000.625")
}

// With ^C, which all of them get, the command may end as it likes to, and then the
// hosts do.
func TestAnInterruptedFleetEndsWithItsCommand(t *testing.T) {
	fleet.Require(t, 1)
	cmd := begun(t, "1", "trap 'exit 42' INT; sleep 1000.75 & wait")
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 42 {
		t.Errorf("it ends with %d, not as its command does", got)
	}
	gone(t, "sleep 1000.75")
}
