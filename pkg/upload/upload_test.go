//go:build linux

package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

var shells = []string{"dash", "bash"}

// fresh empties the host and skips without root.
func fresh(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root to run the host's half")
	}
	// mount(8), with which a look reads files, makes it where it is not.
	if err := os.MkdirAll("/run/mount", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"/run/keys", "/run/colmena-go", "/var/lib/colmena-go", "/srv/*"} {
		list, _ := filepath.Glob(dir)
		for _, path := range list {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func upload(t *testing.T, host local, items ...Item) (plan.KeyPlan, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return Run(ctx, host, Request{Keys: items, Who: "test", LockWait: 5 * time.Second})
}

func mustUpload(t *testing.T, host local, items ...Item) plan.KeyPlan {
	t.Helper()
	steps, err := upload(t, host, items...)
	if err != nil {
		t.Fatalf("upload: %v", err)
	}
	return steps
}

// onHost asserts content, owner and mode of a file.
func onHost(t *testing.T, path, content string, uid, gid uint32, mode os.FileMode) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != content {
		t.Errorf("%s holds %d bytes, want %d others", path, len(got), len(content))
	}
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	if stat.Uid != uid || stat.Gid != gid || info.Mode() != mode {
		t.Errorf("%s is %d:%d %v, want %d:%d %v", path, stat.Uid, stat.Gid, info.Mode(), uid, gid, mode)
	}
}

// tidy asserts that no stage and no temporary file is left in the folders.
func tidy(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range append(dirs, "/run/keys") {
		list, _ := filepath.Glob(dir + "/.colmena-go*")
		if len(list) > 0 {
			t.Errorf("left behind: %v", list)
		}
	}
	if record, _ := os.ReadFile("/run/colmena-go/stages"); len(record) > 0 {
		t.Errorf("stages are still recorded: %q", record)
	}
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

func TestKeysLandWithOwnerAndMode(t *testing.T) {
	for _, shell := range shells {
		t.Run(shell, func(t *testing.T) {
			fresh(t)
			old := syscall.Umask(0o077)
			defer syscall.Umask(old)
			items := []Item{
				item("acme", "token\n"),
				item("shared", "x", owned("daemon", "games", 0o640)),
				item("numbers", "y", owned("1234", "4321", 0o4755)),
				item("elsewhere", strings.Repeat("z", 300_000), in("/srv/a/b c")),
				item("empty", ""),
			}
			steps := mustUpload(t, local{shell: shell}, items...)
			for _, step := range steps {
				if step.Change != plan.Changed {
					t.Errorf("%s: %s, want changed", step.Key.Attr, step.Change)
				}
			}
			onHost(t, "/run/keys/acme", "token\n", 0, 0, 0o600)
			onHost(t, "/run/keys/shared", "x", 1, 60, 0o640)
			onHost(t, "/run/keys/numbers", "y", 1234, 4321, 0o755|os.ModeSetuid)
			onHost(t, "/srv/a/b c/elsewhere", strings.Repeat("z", 300_000), 0, 0, 0o600)
			onHost(t, "/run/keys/empty", "", 0, 0, 0o600)
			for path, mode := range map[string]os.FileMode{"/run/keys": 0o750, "/srv/a": 0o755, "/srv/a/b c": 0o755} {
				if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
					t.Errorf("%s: %v, %v, want mode %v", path, info.Mode(), err, mode)
				}
			}
			tidy(t, "/srv/a/b c")

			// Nor is it touched: units may follow its changes (systemd.path(5)).
			untouched := func() string {
				out, err := exec.Command("stat", "-c", "%i %z", "/run/keys", "/run/keys/acme", "/run/keys/shared").Output()
				if err != nil {
					t.Fatal(err)
				}
				return string(out)
			}
			before := untouched()
			for _, step := range mustUpload(t, local{shell: shell}, items...) {
				if step.Change != plan.Unchanged {
					t.Errorf("again: %s: %s, want unchanged", step.Key.Attr, step.Change)
				}
			}
			if after := untouched(); after != before {
				t.Errorf("unchanged keys were touched: %s, before %s", after, before)
			}
			tidy(t, "/srv/a/b c")
		})
	}
}

func TestAWrongOwnerAloneIsMendedInPlaceWhereOnlyRootCanWrite(t *testing.T) {
	fresh(t)
	mustUpload(t, local{}, item("a", "1"), item("b", "2", in("/srv/user")))
	for _, path := range []string{"/run/keys/a", "/srv/user/b"} {
		if err := errors.Join(os.Chmod(path, 0o644), os.Chown(path, 0, 7)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown("/srv/user", 65534, 65534); err != nil {
		t.Fatal(err)
	}
	a, b := inode(t, "/run/keys/a"), inode(t, "/srv/user/b")
	steps := mustUpload(t, local{}, item("a", "1"), item("b", "2", in("/srv/user")))
	for _, step := range steps {
		if step.Change != plan.Mended {
			t.Errorf("%s: %s, want mended", step.Key.Attr, step.Change)
		}
	}
	onHost(t, "/run/keys/a", "1", 0, 0, 0o600)
	onHost(t, "/srv/user/b", "2", 0, 0, 0o600)
	if inode(t, "/run/keys/a") != a {
		t.Error("the key in root's directory was replaced, not mended in place")
	}
	if inode(t, "/srv/user/b") == b {
		t.Error("the key in the user's directory was mended in place: its name may have led elsewhere")
	}
	if err := os.Chown("/run/keys/a", 7, 7); err != nil {
		t.Fatal(err)
	}
	mustUpload(t, local{}, item("a", "1"))
	onHost(t, "/run/keys/a", "1", 0, 0, 0o600)
	if inode(t, "/run/keys/a") == a {
		t.Error("the file of another user was mended in place: he may still have it open")
	}
}

// A key that gets another owner is meanwhile open to nobody whom not both the old and the
// new mode let in.
func TestAKeyChangesItsOwnerUnderWhatBothModesAllow(t *testing.T) {
	fresh(t)
	mustUpload(t, local{}, item("a", "1"))
	if err := errors.Join(os.Chmod("/run/keys/a", 0o644), os.Chown("/run/keys/a", 0, 7)); err != nil {
		t.Fatal(err)
	}
	chown, err := exec.LookPath("chown")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	watching := "#!/bin/sh\nfor file; do [ ! -f \"$file\" ] || stat -c %a -- \"$file\" >>" + dir + "/seen; done\nexec " + chown + " \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, "chown"), []byte(watching), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	mustUpload(t, local{}, item("a", "1"))
	onHost(t, "/run/keys/a", "1", 0, 0, 0o600)
	if seen, err := os.ReadFile(filepath.Join(dir, "seen")); err != nil || string(seen) != "600\n" {
		t.Errorf("its modes while chown ran: %q, %v", seen, err)
	}
}

// What a host must refuse, and what the error must name.
func TestObstaclesStopTheUploadBeforeAnythingChanges(t *testing.T) {
	plant := func(command string) func(t *testing.T) {
		return func(t *testing.T) {
			t.Helper()
			if out, err := exec.Command("sh", "-ec", command).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %s", command, err, out)
			}
		}
	}
	cases := []struct {
		name  string
		plant func(*testing.T)
		bad   Item
		says  string
	}{
		{"directory at the path", plant("mkdir /run/keys/bad"), item("bad", "n"), "is a directory"},
		{"symlink at the path", plant("ln -s /etc/shadow /run/keys/bad"), item("bad", "n"), "is a symlink"},
		{"pipe at the path", plant("mkfifo /run/keys/bad"), item("bad", "n"), "pipe"},
		{"destDir is a file", plant("echo hi >/srv/f"), item("bad", "n", in("/srv/f")), "not a directory"},
		{"destDir below a file", plant("echo hi >/srv/f"), item("bad", "n", in("/srv/f/sub")), "not a directory"},
		{"bind mount at the path", plant("touch /run/keys/bad; mount --bind /etc/hostname /run/keys/bad"), item("bad", "n"), "mount point"},
		{"unknown user", plant(":"), item("bad", "n", owned("nobody-knows", "root", 0o600), in("/srv/new/dir")), `no user "nobody-knows"`},
		{"unknown group", plant(":"), item("bad", "n", owned("root", "no_such_group", 0o600)), `no group "no_such_group"`},
		{"symlink of a user in destDir", plant("mkdir /srv/u; chown 1000 /srv/u; mkdir /srv/real; ln -s /srv/real /srv/u/l; chown -h 1000 /srv/u/l"),
			item("bad", "n", in("/srv/u/l")), "symlink that root did not make"},
		{"symlink of a user in a sticky directory", plant("mkdir -m 1777 /srv/u; mkdir /srv/real; ln -s /srv/real /srv/u/l; chown -h 1000 /srv/u/l"),
			item("bad", "n", in("/srv/u/l")), "symlink that root did not make"},
		{"full disk", plant("mkdir /srv/full; mount -t tmpfs -o size=64k tmpfs /srv/full"), item("bad", strings.Repeat("n", 200_000), in("/srv/full")), "cannot write"},
		{"full disk before the first byte", plant("mkdir /srv/full; mount -t tmpfs -o size=64k,nr_inodes=2 tmpfs /srv/full; touch /srv/full/x"), item("bad", "n", in("/srv/full")), "destDir /srv/full"},
		{"the program's own directory", plant(":"), item("stages", "n", as("bad"), in("/run/colmena-go")), "no place for keys"},
		{"a directory below it", plant("mkdir /run/colmena-go/activate-x"), item("bad", "n", in("/run/colmena-go/activate-x")), "into /run/colmena-go,"},
		{"a new directory below it", plant(":"), item("bad", "n", in("/run/colmena-go/new")), "no place for keys"},
		{"a symlink to it", plant("ln -s ../run/colmena-go /srv/link"), item("lock", "n", as("bad"), in("/srv/link")), "no place for keys"},
		{"a mount of it", plant("mkdir /srv/full; mount --bind /run/colmena-go /srv/full"), item("holder", "n", as("bad"), in("/srv/full")), "no place for keys"},
		{"a mount of a directory below it", plant("mkdir /run/colmena-go/activate-x /srv/full; mount --bind /run/colmena-go/activate-x /srv/full"), item("script", "n", as("bad"), in("/srv/full")), "into /run/colmena-go/activate-x/,"},
		{"the key units' directory", plant("mkdir -p /run/colmena-go-keys"), item("started", "n", as("bad"), in("/run/colmena-go-keys")), "no place for keys"},
		{"the key units' directory before they have it", plant("rm -rf /run/colmena-go-keys; ln -s /run/colmena-go-keys /srv/link"), item("bad", "n", in("/srv/link")), "no place for keys"},
		{"the memory's directory", plant("mkdir -m 700 /var/lib/colmena-go; ln -s /var/lib/colmena-go /srv/link"), item("bad", "n", in("/srv/link")), "into /var/lib/colmena-go,"},
		{"the memory's directory before it is there", plant(":"), item("bad", "n", in("/var/lib/colmena-go")), "no place for keys"},
		{"a stage", plant("mkdir -m 700 /srv/.colmena-go.x"), item("bad", "n", in("/srv/.colmena-go.x/n")), "stage of colmena-go"},
		{"a symlink into a stage", plant("ln -s .colmena-go.x/n /srv/link"), item("bad", "n", in("/srv/link")), "stage of colmena-go"},
		{"the store", plant("mkdir -p /nix/store; ln -s /nix/store /srv/link"), item("bad", "n", in("/srv/link")), "into /nix/store,"},
		{"a read-only file system", plant("mkdir /srv/full; mount -t tmpfs -o ro tmpfs /srv/full"), item("bad", "n", in("/srv/full")), "Read-only file system"},
		{"the processes'", plant(":"), item("bad", "n", in("/proc")), "destDir /proc"},
		{"the kernel's", plant(":"), item("bad", "n", in("/sys")), "destDir /sys"},
		{"two paths to one file", plant("ln -s /run/keys /srv/link"), item("good", "n", func(k *hive.Key) { k.Attr, k.DestDir = "bad", "/srv/link" }), "same file"},
	}
	for _, shell := range shells {
		for _, c := range cases {
			t.Run(shell+"/"+c.name, func(t *testing.T) {
				fresh(t)
				mustUpload(t, local{}, item("good", "old"))
				c.plant(t)
				defer exec.Command("sh", "-c", "umount /run/keys/bad /srv/full").Run()
				before := tree(t)
				_, err := upload(t, local{shell: shell}, item("good", "new"), c.bad)
				if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "bad") {
					t.Errorf("error: %v\nwant it to name key bad and say %q", err, c.says)
				}
				onHost(t, "/run/keys/good", "old", 0, 0, 0o600)
				if after := tree(t); after != before {
					t.Errorf("something was left behind or changed:\nbefore:\n%s\nafter:\n%s", before, after)
				}
			})
		}
	}
}

// tree lists every name and type below the folders that keys go to.
func tree(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("find", "/run/keys", "/srv", "-printf", "%p %y %m %u %s %i\n").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(out), "\n")
	slices.Sort(lines) // the order in a directory is not part of it
	return strings.Join(lines, "\n")
}

func TestNamesAreData(t *testing.T) {
	hostile := []string{
		"a b", "  lead", "trail ", "it's", `"double"`, "$(touch pwned)", "`touch pwned`", "-rf", "--help",
		"*", "?", "[a]", "a;b", "a&b", "a|b", `back\slash`, `\n`, "100%", "%s", "x@y", "a:b", ".hidden",
		"ключ", "\x81\x87\x88", "~", "#", "!x", "{a,b}", "$HOME", "end", "o", "n", strings.Repeat("l", 200),
	}
	for _, shell := range shells {
		t.Run(shell, func(t *testing.T) {
			fresh(t)
			var items []Item
			for i, name := range hostile {
				items = append(items,
					item(name, fmt.Sprint(i)),
					item(fmt.Sprint(i), name, in("/srv/"+name)))
			}
			mustUpload(t, local{shell: shell}, items...)
			for i, name := range hostile {
				onHost(t, "/run/keys/"+name, fmt.Sprint(i), 0, 0, 0o600)
				onHost(t, fmt.Sprintf("/srv/%s/%d", name, i), name, 0, 0, 0o600)
			}
			if list, _ := os.ReadDir("/srv"); len(list) != len(hostile) {
				t.Errorf("%d directories in /srv, want %d: %v", len(list), len(hostile), list)
			}
			if list, _ := os.ReadDir("/run/keys"); len(list) != len(hostile) {
				t.Errorf("%d files in /run/keys, want %d", len(list), len(hostile))
			}
			for _, step := range mustUpload(t, local{shell: shell}, items...) {
				if step.Change != plan.Unchanged {
					t.Errorf("again: %q is %s", step.Key.Path(), step.Change)
				}
			}
			tidy(t)
		})
	}
}

func TestDirectoriesThatAreMadeAreRootsWhateverTheParentHandsDown(t *testing.T) {
	fresh(t)
	if out, err := exec.Command("sh", "-ec", "mkdir -p /srv/shared; chgrp 1000 /srv/shared; chmod 2755 /srv/shared").CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	mustUpload(t, local{}, item("k", "v", in("/srv/shared/a/b")))
	for _, dir := range []string{"/srv/shared/a", "/srv/shared/a/b"} {
		if out, err := exec.Command("stat", "-c", "%u %g %a", dir).Output(); err != nil || string(out) != "0 0 755\n" {
			t.Errorf("%s is %s, want 0 0 755 (%v)", dir, out, err)
		}
	}
	onHost(t, "/srv/shared/a/b/k", "v", 0, 0, 0o600)
}

func TestRootsSymlinksInDestDirAreFollowed(t *testing.T) {
	fresh(t)
	if err := errors.Join(os.Mkdir("/srv/real", 0o755), os.Symlink("real/sub", "/srv/rel"), os.Symlink("/srv/rel", "/srv/abs")); err != nil {
		t.Fatal(err)
	}
	mustUpload(t, local{}, item("k", "v", in("/srv/abs/deep")))
	onHost(t, "/srv/real/sub/deep/k", "v", 0, 0, 0o600)
}

func TestNoSecretInErrorsOrPlans(t *testing.T) {
	fresh(t)
	const planted = "hunter2-hunter2"
	steps := mustUpload(t, local{}, item("k", planted))
	text := fmt.Sprintf("%v %+v %#v %s", steps, steps, steps, steps)
	digest := secret.New([]byte(planted)).Digest().Reveal()
	if strings.Contains(text, planted) || strings.Contains(text, digest[:16]) {
		t.Error("a plan shows a secret or its digest")
	}
	if !bytes.Contains([]byte(text), []byte("/run/keys/k")) {
		t.Error("the search would find nothing: the plan does not even show the path")
	}
}

// A directory is made for what goes there, and for nothing else.
func TestADirectoryOfSkippedOrRefusedKeysIsNotMade(t *testing.T) {
	for name, c := range map[string]struct {
		policy plan.Policy
		user   string
	}{
		"skipped": {plan.Policy{SkipVolatile: true}, "root"},
		"refused": {plan.Policy{}, "nobody-knows"},
	} {
		t.Run(name, func(t *testing.T) {
			fresh(t)
			key := item("k", "v", in("/srv/new/dir"), owned(c.user, "root", 0o600))
			_, err := Run(t.Context(), local{}, Request{Keys: []Item{key}, Policy: c.policy, Who: "test"})
			if (err != nil) != (name == "refused") {
				t.Error(err)
			}
			if _, err := os.Stat("/srv/new"); err == nil {
				t.Error("the directory was made")
			}
		})
	}
}
