package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// logged is an entry of the program's log, and when it came.
type logged struct {
	Event, Step, Node, Message string
	at                         time.Duration
}

// ran is what is known of a run of the program. memory, in bytes, and cpu are of the
// program itself, without the processes that it starts.
type ran struct {
	took, cpu time.Duration
	memory    int64
	events    []logged
}

// follow runs a command on the hive.
func (b *bench) follow(command string, args ...string) (ran, error) {
	return b.run(exec.Command(b.bin, append([]string{command, "-f", b.dir + "/hive.nix", "--log-format", "json"}, args...)...))
}

func (b *bench) run(cmd *exec.Cmd) (r ran, err error) {
	cmd.Env = b.env
	log, err := cmd.StderrPipe()
	if err != nil {
		return r, err
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return r, err
	}
	ended := make(chan struct{})
	usage := make(chan ran)
	go func() { usage <- watch(cmd.Process.Pid, ended) }()
	var said bytes.Buffer
	lines := json.NewDecoder(io.TeeReader(log, &said))
	for {
		var e logged
		if err := lines.Decode(&e); err != nil {
			io.Copy(&said, log)
			break
		}
		e.at = time.Since(begin)
		r.events = append(r.events, e)
	}
	close(ended)
	own := <-usage
	err = cmd.Wait()
	r.took, r.cpu, r.memory = time.Since(begin), own.cpu, own.memory
	if err != nil {
		return r, fmt.Errorf("%w: %s", err, &said)
	}
	return r, nil
}

// watch looks at a process again and again until it ends, and returns what the last
// look found (proc_pid_stat(5), proc_pid_status(5)).
func watch(pid int, ended <-chan struct{}) (r ran) {
	const tick = 10 * time.Millisecond // USER_HZ is 100 on all of Linux' platforms that Go knows
	for {
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
			fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
			user, _ := strconv.ParseInt(fields[11], 10, 64)
			system, _ := strconv.ParseInt(fields[12], 10, 64)
			r.cpu = time.Duration(user+system) * tick
		}
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err == nil {
			if _, after, found := strings.Cut(string(text), "VmHWM:"); found {
				kib, _ := strconv.ParseInt(strings.Fields(after)[0], 10, 64)
				r.memory = kib << 10
			}
		}
		select {
		case <-ended:
			return r
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// memoryGroup is a control group whose processes get so much memory together.
type memoryGroup struct{ dir, most string }

// newMemoryGroup makes one, of version 1 or 2.
func newMemoryGroup(limit int64) (memoryGroup, error) {
	name := fmt.Sprintf("colmena-go-bench-%d", time.Now().UnixNano())
	os.WriteFile("/sys/fs/cgroup/cgroup.subtree_control", []byte("+memory"), 0) // or the next fails
	var errs error
	for _, v := range []struct{ top, limit, most string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes"},
		{"/sys/fs/cgroup", "memory.max", "memory.peak"},
	} {
		g := memoryGroup{dir: filepath.Join(v.top, name), most: v.most}
		err := os.Mkdir(g.dir, 0o755)
		if err == nil {
			if err = writeExisting(filepath.Join(g.dir, v.limit), limit); err == nil {
				return g, nil
			}
			os.Remove(g.dir)
		}
		errs = errors.Join(errs, err)
	}
	return memoryGroup{}, errs
}

func writeExisting(file string, number int64) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strconv.FormatInt(number, 10))
	return errors.Join(err, f.Close())
}

// command is one that runs in the group.
func (g memoryGroup) command(args ...string) *exec.Cmd {
	return exec.Command("sh", append([]string{"-ec", `echo $$ >"$1/cgroup.procs"; shift; exec "$@"`, "sh", g.dir}, args...)...)
}

func (g memoryGroup) peak() int64 {
	text, err := os.ReadFile(filepath.Join(g.dir, g.most))
	if err != nil {
		return 0
	}
	peak, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return peak
}

func (g memoryGroup) remove() { os.Remove(g.dir) }
