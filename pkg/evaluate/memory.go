package evaluate

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ofFree is the part of the memory that is free when the evaluation begins which
// all of its processes may take together.
const ofFree = 0.7

// PartOfFree is a part of the memory that is free now, in bytes; 0 if that is not
// known.
func PartOfFree(part float64) int64 { return int64(float64(freeMemory()) * part) }

// freeMemory is how much this process and what it starts may yet take, in bytes: of
// the machine (MemAvailable, proc_meminfo(5)) and of every control group that we are
// in (memory.max of version 2, memory.limit_in_bytes of version 1; Linux'
// cgroup-v2.rst and cgroup-v1/memory.rst). 0 if it is not known.
func freeMemory() int64 {
	free := available("/proc/meminfo")
	for _, group := range groups("/proc/self/cgroup", "/sys/fs/cgroup") {
		if left, limited := group.left(); limited && (free == 0 || left < free) {
			free = max(left, 1)
		}
	}
	return free
}

func available(meminfo string) int64 {
	text, err := os.ReadFile(meminfo)
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(text), "\n") {
		var kib int64
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}

// group is a control group that may limit memory.
type group struct{ dir, limit, usage, cache string }

// groups are those that a process is in, with those around them.
func groups(table, root string) (all []group) {
	text, err := os.ReadFile(table)
	if err != nil {
		return nil
	}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		part := strings.SplitN(line, ":", 3) // ID:CONTROLLERS:PATH (cgroups(7))
		if len(part) != 3 {
			continue
		}
		g := group{limit: "memory.max", usage: "memory.current", cache: "inactive_file"}
		roots := []string{root, filepath.Join(root, "unified")}
		if part[1] != "" {
			if !strings.Contains(","+part[1]+",", ",memory,") {
				continue
			}
			g = group{limit: "memory.limit_in_bytes", usage: "memory.usage_in_bytes", cache: "total_inactive_file"}
			roots = []string{filepath.Join(root, "memory")}
		}
		for _, root := range roots {
			// In a container, the path may be one of outside.
			for at := filepath.Join(root, part[2]); strings.HasPrefix(at, root); at = filepath.Dir(at) {
				g.dir = at
				all = append(all, g)
			}
		}
	}
	return all
}

// left is what the group may yet take. Files that nobody has used for long make room.
func (g group) left() (bytes int64, limited bool) {
	limit, err := number(filepath.Join(g.dir, g.limit))
	if err != nil {
		return 0, false
	}
	used, err := number(filepath.Join(g.dir, g.usage))
	if err != nil {
		return 0, false
	}
	text, _ := os.ReadFile(filepath.Join(g.dir, "memory.stat"))
	for _, line := range strings.Split(string(text), "\n") {
		if value, ok := strings.CutPrefix(line, g.cache+" "); ok {
			cached, _ := strconv.ParseInt(value, 10, 64)
			used -= cached
		}
	}
	return limit - used, true
}

// number reads a file of one number; "max" is none.
func number(file string) (int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}

// residentMemory is what a process takes now, in bytes; 0 if that cannot be known
// (proc_pid_statm(5)).
func residentMemory(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// yieldToBuilds has what nodes that are done need, their builds above all, go before the
// evaluation of others, which takes all processors: with this, one that runs beside
// two that evaluate on two processors has one to itself.
func yieldToBuilds(pid int) {
	syscall.Setpriority(syscall.PRIO_PROCESS, pid, 3)
}

// killFirst has the kernel end this process before us where memory runs out
// (oom_score_adj, proc_pid_oom_score_adj(5)).
func killFirst(pid int) {
	os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte("500"), 0)
}
