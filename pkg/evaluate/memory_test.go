package evaluate

import (
	"os"
	"path/filepath"
	"testing"
)

// tree writes files below a folder and returns it.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAControlGroupAndThoseAroundItLimitTheMemory(t *testing.T) {
	for name, c := range map[string]struct {
		table string
		files map[string]string
		want  int64 // the least that is left; 0 without a limit
	}{
		"none": {"0::/\n", nil, 0},
		"version 2": {"0::/a/b\n", map[string]string{
			"a/b/memory.max": "1000\n", "a/b/memory.current": "300\n", "a/b/memory.stat": "anon 1\ninactive_file 100\n",
		}, 800},
		"the one around it": {"0::/a/b\n", map[string]string{
			"a/b/memory.max": "max\n", "a/b/memory.current": "300\n", "a/memory.max": "500", "a/memory.current": "400",
		}, 100},
		"version 2 beside version 1": {"4:cpu:/x\n0::/a\n", map[string]string{"unified/a/memory.max": "70", "unified/a/memory.current": "20"}, 50},
		"version 1": {"4:cpu,memory:/a\n0::/\n", map[string]string{
			"memory/a/memory.limit_in_bytes": "900", "memory/a/memory.usage_in_bytes": "500", "memory/a/memory.stat": "total_inactive_file 50\n",
		}, 450},
		"in a container, whose path is one of outside": {"4:memory:/docker/abc\n", map[string]string{
			"memory/memory.limit_in_bytes": "900", "memory/memory.usage_in_bytes": "800",
		}, 100},
	} {
		t.Run(name, func(t *testing.T) {
			root := tree(t, c.files)
			table := filepath.Join(tree(t, map[string]string{"cgroup": c.table}), "cgroup")
			var least int64
			for _, g := range groups(table, root) {
				if left, limited := g.left(); limited && (least == 0 || left < least) {
					least = left
				}
			}
			if least != c.want {
				t.Errorf("%d, want %d", least, c.want)
			}
		})
	}
}

func TestTheMemoryOfThisMachineAndProcessIsKnown(t *testing.T) {
	if free := freeMemory(); free < 1<<20 {
		t.Errorf("%d bytes are free", free)
	}
	if now := residentMemory(os.Getpid()); now < 1<<20 {
		t.Errorf("this process takes %d bytes", now)
	}
	if residentMemory(0) != 0 {
		t.Error("no process takes memory")
	}
}
