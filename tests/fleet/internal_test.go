package fleet

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOnlyCgroupsOfEndedFleetsAreSwept(t *testing.T) {
	top := t.TempDir()
	for name, stays := range map[string]bool{
		cgroupName("host1"):            true, // our own namespace lives
		"colmena-go-fleet-1-host1":     false,
		"somebody-else.slice":          true,
		"colmena-go-fleet-77777-host2": false,
	} {
		if err := os.MkdirAll(filepath.Join(top, name, "init.scope"), 0o755); err != nil {
			t.Fatal(err)
		}
		sweepCgroups([]string{top})
		if _, err := os.Stat(filepath.Join(top, name)); (err == nil) != stays {
			t.Errorf("%s: stays is %t, want %t", name, err == nil, stays)
		}
	}
}

func TestAHalfMadeRootFileSystemIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := complete(dir); err == nil || !strings.Contains(err.Error(), "delete "+dir) {
		t.Errorf("%v does not say what to delete", err)
	}
	if err := finish(dir); err != nil {
		t.Fatal(err)
	}
	if err := complete(dir); err != nil {
		t.Error(err)
	}
}
