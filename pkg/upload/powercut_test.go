//go:build linux

package upload

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/colmena-go/colmena-go/tests/lacking"
)

// mv here is a stand-in that, before the first rename, takes a copy of the disk as a
// power cut would leave it: with what was written to it, not what only memory holds.
const cutAtRename = `#!/bin/sh
[ -e /srv/cut.img ] || cp /srv/disk.img /srv/cut.img || exit
exec /usr/bin/mv "$@"
`

// afterPowerCut uploads to a disk and returns what of it a cut leaves staged, by
// name: 'CONTENT OWNER MODE'.
func afterPowerCut(t *testing.T, shims map[string]string, items ...Item) (found map[string]string) {
	t.Helper()
	fresh(t)
	// Nothing is written by itself: the journal is committed when somebody asks.
	setup := exec.Command("sh", "-ec", `mkdir /srv/disk /srv/cut /srv/shim; truncate -s 32M /srv/disk.img
mkfs.ext4 -q -F /srv/disk.img; mount -o loop,commit=3600 /srv/disk.img /srv/disk`)
	if out, err := setup.CombinedOutput(); err != nil {
		lacking.Skip(t, "needs mkfs.ext4 and loop devices: ", err, ": ", string(out))
	}
	defer syscall.Unmount("/srv/disk", syscall.MNT_DETACH)
	for program, text := range shims {
		if err := os.WriteFile("/srv/shim/"+program, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path := os.Getenv("PATH")
	defer os.Setenv("PATH", path)
	os.Setenv("PATH", "/srv/shim:"+path)
	mustUpload(t, local{}, items...)
	if out, err := exec.Command("mount", "-o", "loop", "/srv/cut.img", "/srv/cut").CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	defer syscall.Unmount("/srv/cut", syscall.MNT_DETACH)
	found = map[string]string{}
	list, _ := filepath.Glob("/srv/cut/*/.colmena-go.*/n/*")
	for _, path := range list {
		content, err1 := os.ReadFile(path)
		info, err2 := os.Stat(path)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		stat := info.Sys().(*syscall.Stat_t)
		found[filepath.Base(path)] = fmt.Sprintf("%s %d:%d %v", content, stat.Uid, stat.Gid, info.Mode())
	}
	return found
}

// What is renamed into place must be on the disk by then: a rename that outlives a
// power cut before its file's content does leaves an empty key.
func TestAPowerCutAtTheRenameFindsEveryNewKeyWhole(t *testing.T) {
	set := []Item{
		item("small", "v", in("/srv/disk/one")), item("of a user", "w", in("/srv/disk/one"), owned("1234", "4321", 0o640)),
		item("large", strings.Repeat("x", 300_000), in("/srv/disk/two")),
	}
	want := map[string]string{
		"small": "v 0:0 -rw-------", "of a user": "w 1234:4321 -rw-r-----", "large": strings.Repeat("x", 300_000) + " 0:0 -rw-------",
	}
	found := afterPowerCut(t, map[string]string{"mv": cutAtRename}, set...)
	for name, state := range want {
		if found[name] != state {
			t.Errorf("%s is %.50q on the disk, want %.50q", name, found[name], state)
		}
	}
	// So much for the disk of the test: without sync it has none of them.
	found = afterPowerCut(t, map[string]string{"mv": cutAtRename, "sync": "#!/bin/sh\n"}, set...)
	for name, state := range want {
		if found[name] == state {
			t.Errorf("%s is on the disk without sync: nothing is tested", name)
		}
	}
}
