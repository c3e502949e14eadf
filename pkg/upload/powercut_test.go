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

// lastingHost is a host with a disk, on which its memory is, too. cut takes a copy of the disk
// as it is now, and boot has the host come up with that.
type lastingHost struct{ t *testing.T }

func newLastingHost(t *testing.T) lastingHost {
	t.Helper()
	fresh(t)
	setup := exec.Command("sh", "-ec", `mkdir /srv/disk; truncate -s 32M /srv/disk.img
mkfs.ext4 -q -F /srv/disk.img; mount -o loop,commit=3600 /srv/disk.img /srv/disk
mkdir -p -m 700 /srv/disk/lib /var/lib/colmena-go; mount --bind /srv/disk/lib /var/lib/colmena-go; sync`)
	if out, err := setup.CombinedOutput(); err != nil {
		lacking.Skip(t, "needs mkfs.ext4 and loop devices: ", err, ": ", string(out))
	}
	h := lastingHost{t}
	t.Cleanup(h.down)
	return h
}

func (h lastingHost) down() {
	syscall.Unmount("/var/lib/colmena-go", syscall.MNT_DETACH)
	syscall.Unmount("/srv/disk", syscall.MNT_DETACH)
}

func (h lastingHost) cut() { sh(h.t, "cp /srv/disk.img /srv/cut.img") }

func (h lastingHost) boot() {
	h.t.Helper()
	h.down()
	sh(h.t, "rm -rf /run/colmena-go /run/keys; mount -o loop /srv/cut.img /srv/disk; mount --bind /srv/disk/lib /var/lib/colmena-go")
}

func (h lastingHost) stages() string {
	h.t.Helper()
	return sh(h.t, "find /srv/disk -name '.colmena-go.*'")
}

// shims puts programs ahead of others until the test is over.
func shims(t *testing.T, programs map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// From when it is said that the keys are in place, they are whatever happens, and remembered.
func TestWhatIsConfirmedOutlivesAPowerCut(t *testing.T) {
	for name, programs := range map[string]map[string]string{"": nil, "without sync": {"sync": "#!/bin/sh\n"}} {
		t.Run(name, func(t *testing.T) {
			h := newLastingHost(t)
			shims(t, programs)
			set := []Item{item("a", "old", in("/srv/disk/one")), item("b", "v", in("/srv/disk/new/er"), owned("1234", "4321", 0o640))}
			warned(t, local{}, set[0])
			set[0] = item("a", "new", in("/srv/disk/one"))
			warned(t, local{}, set...)
			h.cut()
			h.boot()
			if programs != nil {
				if text, _ := os.ReadFile("/srv/disk/one/a"); string(text) == "new" {
					t.Error("it is on the disk without sync: nothing is tested")
				}
				return
			}
			onHost(t, "/srv/disk/one/a", "new", 0, 0, 0o600)
			onHost(t, "/srv/disk/new/er/b", "v", 1234, 4321, 0o640)
			for _, it := range set {
				if knows(t, it) != "placed" {
					t.Errorf("%s is %q", it.Key.Attr, knows(t, it))
				}
			}
			warned(t, local{}, item("other", "v"))
			if got := h.stages(); got != "" {
				t.Errorf("left behind: %s", got)
			}
		})
	}
}

// What a run leaves on a disk when the machine dies is removed by the next one, whichever
// directories that is about, as soon as the disk is there.
func TestWhatAPowerCutLeavesIsRemovedByTheNextUpload(t *testing.T) {
	for _, shell := range shells {
		for _, away := range []string{"", "whole", "where it is mounted"} {
			t.Run(shell+" "+away, func(t *testing.T) {
				h := newLastingHost(t)
				set := []Item{item("a", "v", in("/srv/disk/one")), item("b", "v", in("/srv/disk")), item("c", "v", in("/srv/disk/users"))}
				sh(t, "mkdir /srv/disk/users; chown 1000 /srv/disk/users; sync")
				func() {
					shims(t, map[string]string{"mv": "#!/bin/sh\ncase $* in *keys.new*) ;; *) cp /srv/disk.img /srv/cut.img; kill -9 $PPID; exit 1 ;; esac\nexec /usr/bin/mv \"$@\"\n"})
					if _, err := upload(t, local{shell: shell}, set...); err == nil {
						t.Fatal("it was not cut off")
					}
				}()
				shims(t, map[string]string{"mv": "#!/bin/sh\nexec /usr/bin/mv \"$@\"\n"})
				h.boot()
				if got := strings.Count(h.stages(), "/.colmena-go."); got != 3 {
					t.Fatalf("%d stages are left: nothing is tested", got)
				}
				if away != "" { // for two more uploads
					sh(t, "umount /srv/disk")
					if away == "whole" {
						sh(t, "rmdir /srv/disk")
					}
					for range 2 {
						warned(t, local{shell: shell}, item("other", "v"))
					}
					sh(t, "mkdir -p /srv/disk; mount -o loop /srv/cut.img /srv/disk")
				}
				warned(t, local{shell: shell}, item("other", "v"))
				if got := h.stages(); got != "" {
					t.Errorf("still there: %s", got)
				}
				if text := sh(t, "cat /run/colmena-go/stages /var/lib/colmena-go/stages"); text != "" {
					t.Errorf("still written down: %s", text)
				}
				warned(t, local{shell: shell}, set...)
				onHost(t, "/srv/disk/one/a", "v", 0, 0, 0o600)
			})
		}
	}
}
