package fleet

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Host is one machine of the fleet.
type Host struct {
	Name string // also what ssh calls it
	IP   string

	dir    string
	init   string // what is started as PID 1, "" for the root file system's systemd
	mu     sync.Mutex
	nspawn *exec.Cmd
	ended  chan struct{}
	pid    atomic.Int64 // of the host's PID 1, as seen from here
}

// Start boots the host, unless it runs, and waits until it answers ssh.
func (h *Host) Start() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.runs() {
		return nil
	}
	console, err := os.Create(h.dir + "/console")
	if err != nil {
		return err
	}
	defer console.Close()
	boot := "--boot"
	if h.init != "" {
		boot = "-- " + h.init
	}
	script := fmt.Sprintf(`for top in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
  [ -w "$top/cgroup.procs" ] || continue
  mkdir -p "$top/%[1]s" 2>/dev/null && echo $$ >"$top/%[1]s/cgroup.procs" || :
done
exec systemd-nspawn -q -D %[2]s/root --register=no --keep-unit --machine=%[3]s \
  --network-namespace-path=/run/netns/%[3]s --console=pipe --resolv-conf=off --timezone=off --link-journal=no %[4]s`,
		cgroupName(h.Name), h.dir, h.Name, boot)
	cmd := exec.Command("sh", "-c", script)
	cmd.Stdout, cmd.Stderr = console, console
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	h.nspawn, h.ended = cmd, make(chan struct{})
	h.pid.Store(0)
	go func(ended chan struct{}) {
		cmd.Wait()
		close(ended)
	}(h.ended)
	err = until(60*time.Second, h.Name+" boots", func() bool {
		h.pid.Store(int64(firstChild(cmd.Process.Pid))) // nspawn has another one at first
		return h.PID() != 0 && answersSSH(h.IP) || !h.runs()
	})
	if err == nil && !h.runs() {
		err = fmt.Errorf("%s ended while it booted", h.Name)
	}
	if err != nil {
		text, _ := os.ReadFile(h.dir + "/console")
		return fmt.Errorf("%w; its console says: %s", err, text)
	}
	return nil
}

func (h *Host) runs() bool {
	if h.nspawn == nil {
		return false
	}
	select {
	case <-h.ended:
		return false
	default:
		return true
	}
}

// firstChild is the PID of a process's only child, 0 if there is none yet.
func firstChild(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0
	}
	var child int
	fmt.Sscan(string(text), &child)
	return child
}

func answersSSH(ip string) bool {
	conn, err := net.DialTimeout("tcp", ip+":22", 300*time.Millisecond)
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	banner := make([]byte, 4)
	n, _ := conn.Read(banner)
	return string(banner[:n]) == "SSH-"
}

// Stop powers the host off in order.
func (h *Host) Stop() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.runs() {
		return nil
	}
	syscall.Kill(h.PID(), syscall.Signal(38)) // SIGRTMIN+4: poweroff.target (systemd(1))
	select {
	case <-h.ended:
		return nil
	case <-time.After(30 * time.Second):
		return fmt.Errorf("%s does not power off", h.Name)
	}
}

// Kill ends the host at once, as when its power fails.
func (h *Host) Kill() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.runs() {
		return
	}
	if h.PID() != 0 {
		syscall.Kill(h.PID(), syscall.SIGKILL)
	}
	select {
	case <-h.ended:
	case <-time.After(5 * time.Second):
		syscall.Kill(-h.nspawn.Process.Pid, syscall.SIGKILL)
		<-h.ended
	}
}

// Reboot powers the host off and boots it again: /run is empty then.
func (h *Host) Reboot() error {
	if err := h.Stop(); err != nil {
		return err
	}
	return h.Start()
}

// Runs reports whether the host is powered.
func (h *Host) Runs() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.runs()
}

// ReturnsFromReboots has the host boot again whenever it has ended by itself, as a
// machine does, until stop is called.
func (h *Host) ReturnsFromReboots() (stop func()) {
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-over:
				return
			case <-time.After(20 * time.Millisecond):
			}
			if !h.Runs() {
				h.Start()
			}
		}
	}()
	return func() { close(over); <-done }
}

// CutOff drops everything between the host and the others without a word, as
// when a cable is pulled; Reconnect plugs it in again.
func (h *Host) CutOff() error { return sh("ip link set v" + h.Name + " nomaster") }

// Reconnect undoes [Host.CutOff], and waits until the host answers ssh: who looked for it
// meanwhile has the kernel say for a moment that there is no way to it.
func (h *Host) Reconnect() error {
	if err := sh("ip link set v" + h.Name + " master fleet0 up"); err != nil {
		return err
	}
	return until(60*time.Second, h.Name+" is back", func() bool { return answersSSH(h.IP) })
}

// StopSSHD ends the SSH server and every connection to it.
func (h *Host) StopSSHD() error {
	_, err := h.Shell("systemctl stop ssh; pkill -KILL -f '^sshd' || :")
	return err
}

// KillConnections ends every SSH session, as seen from the host.
func (h *Host) KillConnections() error {
	_, err := h.Shell("pkill -KILL -f '^sshd-session' || :")
	return err
}

// StartSSHD starts the SSH server and waits until it answers.
func (h *Host) StartSSHD() error {
	if _, err := h.Shell("systemctl start ssh"); err != nil {
		return err
	}
	return until(10*time.Second, h.Name+" answers ssh", func() bool { return answersSSH(h.IP) })
}

// PID is that of the host's PID 1 in the fleet's namespace.
func (h *Host) PID() int { return int(h.pid.Load()) }

// Path is where a file of the host is found from here. It leads through the
// host's mount namespace, so that /run/keys is the host's own.
func (h *Host) Path(path string) string {
	return filepath.Join(fmt.Sprintf("/proc/%d/root", h.PID()), path)
}

// Shell runs a script on the host as root, past SSH, and returns its output.
func (h *Host) Shell(script string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", "-t", strconv.Itoa(h.PID()), "-m", "-u", "-i", "-n", "-p", "-r", "-w",
		"/bin/sh", "-c", script)
	cmd.Env = []string{"PATH=/run/current-system/sw/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("on %s: %s: %w: %s", h.Name, script, err, strings.TrimSpace(errs.String()+out.String()))
	}
	return out.String(), nil
}

// Processes counts what runs on the host, by command name.
func (h *Host) Processes() (map[string]int, error) {
	out, err := h.Shell("ps -eo comm=")
	if err != nil {
		return nil, err
	}
	count := map[string]int{}
	for _, name := range strings.Fields(out) {
		count[name]++
	}
	return count, nil
}

const cgroupPrefix = "colmena-go-fleet-"

// cgroupName differs between fleets that run at once: their PID namespaces do.
func cgroupName(host string) string {
	return cgroupPrefix + pidNamespace("self") + "-" + host
}

// pidNamespace is the number of a process's PID namespace, "" if it is gone.
func pidNamespace(process string) string {
	link, _ := os.Readlink("/proc/" + process + "/ns/pid")
	return strings.Trim(link, "pid:[]")
}

var cgroupTops = []string{"/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"}

// sweepCgroups removes what ended hosts left: cgroups outlive namespaces. Those
// of fleets that still run are theirs, even when they are empty.
func sweepCgroups(tops []string) {
	for _, top := range tops {
		dirs := glob(top + "/" + cgroupPrefix + "*")
		lives := map[string]bool{} // looked at after the list was made: none of it is new
		for _, process := range glob("/proc/[0-9]*") {
			lives[pidNamespace(filepath.Base(process))] = true
		}
		for _, dir := range dirs {
			namespace, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), cgroupPrefix), "-")
			if !lives[namespace] {
				removeTree(dir)
			}
		}
	}
}

// removeTree removes a cgroup and those in it, as far as they are empty.
func removeTree(dir string) {
	var dirs []string
	filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	slices.Reverse(dirs)
	for _, d := range dirs {
		os.Remove(d)
	}
}
