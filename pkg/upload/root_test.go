//go:build linux

package upload

import (
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// The other root of these tests, and what lies outside of it.
const (
	mnt     = "/srv/mnt"
	outside = "/srv/out"
)

// freshRoot makes both.
func freshRoot(t *testing.T) {
	t.Helper()
	clear := func() {
		exec.Command("sh", "-c", `tac /proc/self/mounts | while read -r _ place _; do case $place in /srv/*) umount -l "$(printf %b "$place")" ;; esac; done`).Run()
	}
	clear()
	t.Cleanup(clear)
	fresh(t)
	shellDo(t, `umask 022; mkdir -m 700 /run/colmena-go; mkdir -p /run/mount /srv/mnt/var /srv/mnt/etc /srv/out/keys /srv/out/etc /srv/elsewhere; chown 1000 /srv/elsewhere
printf 'root:x:0:0::/:/bin/sh\napp:x:1234:5678::/:/bin/sh\n' >/srv/mnt/etc/passwd
printf 'root:x:0:\nteam:x:5678:app\n' >/srv/mnt/etc/group
printf 'root:x:0:0::/:/bin/sh\napp:x:66:66::/:/bin/sh\n' >/srv/out/etc/passwd
printf precious >/srv/out/keys/k; chmod 640 /srv/out/keys/k; printf v >/srv/out/same; chmod 644 /srv/out/same; mkfifo /srv/pipe`)
}

// rootUpload brings keys to the other root.
func rootUpload(t *testing.T, shell, root string, dirs []hive.Directory, items ...Item) (plan.KeyPlan, []string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var warned []string
	steps, err := Run(ctx, local{shell: shell}, rootRequest(root, dirs, items, &warned))
	if ctx.Err() != nil {
		t.Errorf("it hung: %v", err)
	}
	return steps, warned, err
}

func rootRequest(root string, dirs []hive.Directory, items []Item, warned *[]string) Request {
	return Request{
		Root: root, Keys: items, Dirs: dirs, Who: "test", Node: "n", LockWait: 5 * time.Second, Policy: plan.Policy{AbsentOwnerIsRoot: true},
		Warn: func(text string) { *warned = append(*warned, text) },
	}
}

// beyond is all that is outside of the root: what it is like, and what files hold.
func beyond(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", `find /srv /run /etc/passwd /etc/shadow /etc/group \( -path /srv/mnt -o -path /srv/shim -o -path /run/bin -o -path /run/colmena-go \) -prune -o -printf '%p %y %m %U %G %s %l %T@\n'
find /srv/out -type f -exec cat {} +`).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(out), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// below is what is in the root, but for what the host remembers.
func below(t *testing.T) string {
	t.Helper()
	return shellDo(t, `find /srv/mnt -xdev -path '*/colmena-go' -prune -o -type f -print | sort | tr '\n' ' '`)
}

// rootInodes are all inodes of the host but for those of other file systems.
func rootInodes(t *testing.T) string {
	t.Helper()
	return shellDo(t, `find /run /srv -xdev -not -path '/run/bin*' \( -type f -printf '%p %i %n %m %U %G %A@ %T@ %C@\n' -o -printf '%p %i %n %m %U %G %T@ %C@\n' \) | sort`)
}

// rootAttack is what somebody has done to the root before an upload of the key k.
type rootAttack struct {
	name string
	host string // a script
	dest string // of the key; /var/keys without one
	user string // of the key; root without one
	root string // what --root says; /srv/mnt without one
	want string // where the key is then, with its owner; a part of the error; or "skipped"
}

const keyHere = "/srv/mnt/var/keys/k 0 0"

var rootAttacks = []rootAttack{
	// Links.
	{name: "an absolute symlink", host: "rmdir /srv/mnt/var; ln -s /srv/out /srv/mnt/var", want: "/srv/mnt/srv/out/keys/k 0 0"},
	{name: "a symlink with ..", host: "rmdir /srv/mnt/var; ln -s ../out /srv/mnt/var", want: "/srv/mnt/out/keys/k 0 0"},
	{name: "a symlink with many ..", host: "rmdir /srv/mnt/var; ln -s ../../../../../../../../srv/out /srv/mnt/var", want: "/srv/mnt/srv/out/keys/k 0 0"},
	{name: "a symlink with .. in its midst", host: "mkdir -p /srv/mnt/a/b; ln -s /a/b/../../../../out /srv/mnt/var/keys", want: "/srv/mnt/out/k 0 0"},
	{name: "a symlink to ..", host: "ln -s .. /srv/mnt/var/keys", want: "/srv/mnt/k 0 0"},
	{name: "a symlink to /", host: "ln -s / /srv/mnt/var/keys", want: "/srv/mnt/k 0 0"},
	{name: "a symlink to the root by its own path", host: "ln -s /srv/mnt /srv/mnt/var/keys", want: "/srv/mnt/srv/mnt/k 0 0"},
	{name: "symlinks to symlinks", host: "ln -s /l /srv/mnt/var/keys; ln -s ../../l2/.. /srv/mnt/l; mkdir /srv/mnt/l2; rmdir /srv/mnt/l2; ln -s /srv/../srv/out /srv/mnt/l2", want: "/srv/mnt/srv/k 0 0"},
	{name: "a loop", host: "ln -s /var/keys /srv/mnt/var/keys", want: "too many symlinks"},
	{name: "a symlink to the processes", host: "ln -s /proc/1/root/srv/out /srv/mnt/var/keys", want: "skipped"},
	{name: "a symlink to descriptors", host: "ln -s /dev/fd/0 /srv/mnt/var/keys", want: "skipped"},
	{name: "a user's symlink", host: "ln -s /srv/out /srv/mnt/var/keys; chown -h 1000 /srv/mnt/var/keys", want: "symlink that root did not make"},
	{name: "root's symlink in a user's directory", host: "chown 1000 /srv/mnt/var; ln -s /srv/out /srv/mnt/var/keys", want: "symlink that root did not make"},
	{name: "a stage behind a symlink", host: "mkdir -m 700 /srv/mnt/.colmena-go.x; ln -s /.colmena-go.x /srv/mnt/var/keys", want: "stage of colmena-go"},
	{name: "the store behind a symlink", host: "mkdir -p /srv/mnt/nix/store; ln -s /nix/store /srv/mnt/var/keys", want: "no place for keys"},
	{name: "a store that is a symlink", host: "mkdir -p /srv/mnt/nix; ln -s /srv/out /srv/mnt/nix/store", dest: "/nix/./store/x", want: "no place for keys"},
	{name: "our own directory behind a symlink", host: "mkdir -p /srv/mnt/var/lib/colmena-go; ln -s lib/colmena-go /srv/mnt/var/keys", want: "no place for keys"},
	{name: "the host's own by its path", host: "ln -s /run/colmena-go /srv/mnt/var/keys", want: "skipped"},

	// What is in the key's place.
	{name: "a symlink in its place", host: "mkdir /srv/mnt/var/keys; ln -s /srv/out/keys/k /srv/mnt/var/keys/k", want: "is a symlink"},
	{name: "a pipe in its place", host: "mkdir /srv/mnt/var/keys; mkfifo /srv/mnt/var/keys/k", want: "pipe"},
	{name: "a device in its place", host: "mkdir /srv/mnt/var/keys; mknod /srv/mnt/var/keys/k b 7 0", want: "device"},
	{name: "a directory in its place", host: "mkdir -p /srv/mnt/var/keys/k", want: "is a directory"},
	{name: "a file in its directory's place", host: "touch /srv/mnt/var/keys", want: "not a directory"},
	{name: "a hard link to a file outside", host: "mkdir /srv/mnt/var/keys; ln /srv/out/keys/k /srv/mnt/var/keys/k; chmod 640 /srv/out/keys/k", want: keyHere},
	{name: "a hard link to one outside with its content", host: "mkdir /srv/mnt/var/keys; ln /srv/out/same /srv/mnt/var/keys/k", want: keyHere},
	{name: "files named like arguments", host: "mkdir /srv/mnt/var/keys; cd /srv/mnt/var/keys; touch -- -rf --help '*' 'a b'", want: keyHere},

	// What a boot covers, as it would lie on the disk in clear.
	{name: "a destination in memory", host: ":", dest: "/run/keys", want: "skipped"},
	{name: "one through a symlink", host: "ln -s /run/x /srv/mnt/var/keys", want: "skipped"},
	{name: "a /run that is a symlink", host: "ln -s /srv/out /srv/mnt/run", dest: "/run/keys", want: "skipped"},
	{name: "the old name of /run", host: ":", dest: "/var/run/keys", want: "skipped"},
	{name: "shared memory", host: "mkdir /srv/mnt/dev; ln -s /srv/out /srv/mnt/dev/shm", dest: "/dev/shm", want: "skipped"},

	// Mounts.
	{name: "a mount of a directory outside", host: "mkdir /srv/mnt/var/keys; mount --bind /srv/out /srv/mnt/var/keys", want: "from outside of /srv/mnt"},
	{name: "one on the way", host: "mount --bind /srv/out /srv/mnt/var", want: "from outside of /srv/mnt"},
	{name: "one behind a symlink", host: "mkdir /srv/mnt/m; mount --bind /srv/out /srv/mnt/m; ln -s /m/keys /srv/mnt/var/keys", want: "from outside of /srv/mnt"},
	{name: "one that a symlink only passes", host: "mkdir /srv/mnt/m; mount --bind /srv/out /srv/mnt/m; ln -s /m/keys/../../x /srv/mnt/var/keys", want: "from outside of /srv/mnt"},
	{name: "a mount of the host's whole root", host: "mkdir /srv/mnt/var/keys; mount --bind / /srv/mnt/var/keys", dest: "/var/keys/root", want: "from outside of /srv/mnt"},
	{name: "one with a space in its name", host: `mkdir -p "/srv/mnt/va r/k s"; mount --bind /srv/out "/srv/mnt/va r/k s"`, dest: "/va r/k s/keys", want: "from outside of /srv/mnt"},
	{name: "a file outside mounted in its place", host: "mkdir /srv/mnt/var/keys; touch /srv/mnt/var/keys/k; mount --bind /srv/out/keys/k /srv/mnt/var/keys/k", want: "mount point"},
	{name: "a file system of its own", host: "mkdir /srv/mnt/var/keys; mount -t tmpfs x /srv/mnt/var/keys", want: keyHere},
	{name: "a mount of another directory of the root", host: "mkdir /srv/mnt/var/keys /srv/mnt/real; mount --bind /srv/mnt/real /srv/mnt/var/keys", want: keyHere},
	{name: "the root as a mount of its own", host: "mount -t tmpfs -o mode=755 x /srv/mnt; mkdir /srv/mnt/etc", want: keyHere},

	// The root itself.
	{name: "a root that is a symlink", host: "ln -s mnt /srv/link", root: "/srv/link", want: "is a symlink"},
	{name: "a root below one", host: "ln -s . /srv/link", root: "/srv/link/mnt", want: "is a symlink"},
	{name: "a root that a user could swap", host: "chown 1000 /srv/elsewhere; mkdir /srv/elsewhere/mnt", root: "/srv/elsewhere/mnt", want: "others than root can write /srv/elsewhere"},
	{name: "a root that users can write", host: "chmod 777 /srv/mnt", want: "others than root can write /srv/mnt"},
	{name: "a user's root", host: "chown 1000 /srv/mnt", want: "others than root can write /srv/mnt"},
	{name: "the host's own root mounted there", host: "mount --bind / /srv/mnt", want: "is the host's own /"},
	{name: "the host's own root by a process", host: ":", root: "/proc/1/root", want: "--root"},
	{name: "no root", host: ":", root: "/srv/mnt/nothing", want: "holds no directory nothing"},
	{name: "a file as root", host: "touch /srv/mnt/f", root: "/srv/mnt/f", want: "holds no directory f"},
	{name: "our own directory as root", host: "mkdir -m 700 /run/colmena-go/x", root: "/run/colmena-go/x", want: "no place for keys"},
	{name: "a root in a sticky directory", host: "chmod 1777 /srv/elsewhere; chown 0 /srv/elsewhere; mkdir /srv/elsewhere/mnt; mv /srv/mnt/* /srv/elsewhere/mnt", root: "/srv/elsewhere/mnt", want: "ok"},

	// Users and groups.
	{name: "the root's own ids", host: ":", user: "app", want: "/srv/mnt/var/keys/k 1234 0"},
	{name: "a user that the host alone has", host: ":", user: "daemon", want: keyHere},
	{name: "no passwd", host: "rm -r /srv/mnt/etc", user: "app", want: keyHere},
	{name: "a passwd that is a pipe", host: "rm /srv/mnt/etc/passwd; mkfifo /srv/mnt/etc/passwd", user: "app", want: "no regular file"},
	{name: "a passwd that is a symlink", host: "ln -sf /srv/out/etc/passwd /srv/mnt/etc/passwd", user: "app", want: "no regular file"},
	{name: "a passwd that leads nowhere", host: "ln -sf /nothing /srv/mnt/etc/passwd", user: "app", want: "no regular file"},
	{name: "a passwd that is a device", host: "rm /srv/mnt/etc/passwd; mknod /srv/mnt/etc/passwd c 1 5", user: "app", want: "no regular file"},
	{name: "a passwd that is a directory", host: "rm /srv/mnt/etc/passwd; mkdir /srv/mnt/etc/passwd", user: "app", want: "no regular file"},
	{name: "a passwd of 1 GB", host: "truncate -s 1G /srv/mnt/etc/passwd", user: "app", want: "too large"},
	{name: "a passwd that users can write", host: "chmod 666 /srv/mnt/etc/passwd", user: "app", want: "others than root can write"},
	{name: "a user's passwd", host: "chown 1000 /srv/mnt/etc/passwd", user: "app", want: "others than root can write"},
	{name: "a user's etc", host: "chown 1000 /srv/mnt/etc", user: "app", want: "others than root can write"},
	{name: "an etc that leads outside", host: "mv /srv/mnt/etc /srv/mnt/old; ln -s /srv/out/etc /srv/mnt/etc", user: "app", want: keyHere},
	{name: "an etc mounted from outside", host: "mount --bind /srv/out/etc /srv/mnt/etc", user: "app", want: "from outside of /srv/mnt"},
	{name: "a user named like a number", host: `printf '77:x:1000:1000\n' >>/srv/mnt/etc/passwd`, user: "77", want: "/srv/mnt/var/keys/k 77 0"},
	{name: "a user named 0", host: `printf '0:x:1000:1000\n' >>/srv/mnt/etc/passwd`, user: "0", want: keyHere},
	{name: "a root who is another", host: `printf 'root:x:1000:1000\n' >/srv/mnt/etc/passwd`, want: keyHere},
	{name: "two of a name", host: `printf 'app:x:66:66\n' >>/srv/mnt/etc/passwd`, user: "app", want: "/srv/mnt/var/keys/k 1234 0"},
	{name: "an id that stands for none", host: `printf 'app:x:4294967295:1' >/srv/mnt/etc/passwd`, user: "app", want: "no number"},
	{name: "a negative id", host: `printf 'app:x:-1:1' >/srv/mnt/etc/passwd`, user: "app", want: "no number"},
	{name: "an id that is more than fits", host: `printf 'app:x:18446744073709551616:1' >/srv/mnt/etc/passwd`, user: "app", want: "no number"},
	{name: "an id in words", host: `printf 'app:x:$(id):1\n' >/srv/mnt/etc/passwd`, user: "app", want: "no number"},
	{name: "a last line that does not end", host: `printf 'app:x:42:1' >/srv/mnt/etc/passwd`, user: "app", want: "/srv/mnt/var/keys/k 42 0"},
	{name: "a passwd of anything", host: `head -c 100000 /dev/urandom >/srv/mnt/etc/passwd; printf '\n::::\n*:x:5\napp:x:42:1' >>/srv/mnt/etc/passwd`, user: "app", want: "/srv/mnt/var/keys/k 42 0"},

	// What the host remembers.
	{name: "a memory that is a symlink", host: "mkdir /srv/mnt/var/lib; ln -s /srv/out /srv/mnt/var/lib/colmena-go", want: keyHere},
	{name: "a book that is a symlink", host: "mkdir -p -m 700 /srv/mnt/var/lib/colmena-go; ln -s /srv/out/keys/k /srv/mnt/var/lib/colmena-go/keys", want: keyHere},
	{name: "a book that is a pipe", host: "mkdir -p -m 700 /srv/mnt/var/lib/colmena-go; mkfifo /srv/mnt/var/lib/colmena-go/keys /srv/mnt/var/lib/colmena-go/keys.old", want: keyHere},
	{name: "a new book that is a symlink", host: "mkdir -p -m 700 /srv/mnt/var/lib/colmena-go; ln -s /srv/out/keys/k /srv/mnt/var/lib/colmena-go/keys.new", want: keyHere},
	{name: "a new book that is a pipe", host: "mkdir -p -m 700 /srv/mnt/var/lib/colmena-go; mkfifo /srv/mnt/var/lib/colmena-go/keys.new", want: keyHere},
	{name: "a new book that is a directory", host: "mkdir -p -m 700 /srv/mnt/var/lib/colmena-go; mkdir -p /srv/mnt/var/lib/colmena-go/keys.new/x", want: keyHere},
	{name: "a memory in a user's directory", host: "mkdir /srv/mnt/var/lib; chown 1000 /srv/mnt/var/lib", want: keyHere},
	{name: "a memory mounted from outside", host: "mkdir -p /srv/mnt/var/lib/colmena-go; mount --bind /srv/out /srv/mnt/var/lib/colmena-go", want: keyHere},
	{name: "a huge book", host: "mkdir -p -m 700 /srv/mnt/var/lib/colmena-go; truncate -s 1G /srv/mnt/var/lib/colmena-go/keys", want: keyHere},
}

func (a rootAttack) key() Item {
	dest, user := a.dest, a.user
	if dest == "" {
		dest = "/var/keys"
	}
	if user == "" {
		user = "root"
	}
	return item("k", "v", in(filepath.Clean(dest)), owned(user, "root", 0o600))
}

func TestNothingOutsideOfAnotherRootIsReached(t *testing.T) {
	for i, a := range rootAttacks {
		shell := shells[i%len(shells)]
		t.Run(a.name+" "+shell, func(t *testing.T) { a.run(t, shell) })
	}
}

func (a rootAttack) run(t *testing.T, shell string) {
	freshRoot(t)
	shellDo(t, "umask 022; "+a.host)
	root := a.root
	if root == "" {
		root = mnt
	}
	before := beyond(t)
	all := rootInodes(t)
	var warned []string
	looked, lookErr := Look(t.Context(), local{shell: shell}, rootRequest(root, nil, []Item{a.key()}, &warned))
	if after := rootInodes(t); after != all {
		t.Errorf("a look touched something:\n%s\nbefore:\n%s", after, all)
	}
	steps, _, err := rootUpload(t, shell, root, nil, a.key())
	if after := beyond(t); after != before && a.root == "" {
		t.Errorf("harm was done:\n%s\nbefore:\n%s", after, before)
	}
	if (err == nil) != (lookErr == nil) || err == nil && looked.String() != steps.String() {
		t.Errorf("a look told\n%s\nand done was\n%s", said(looked, lookErr), said(steps, err))
	}
	switch {
	case a.want == "skipped":
		if err != nil || steps[0].Change != plan.Skipped || !strings.Contains(steps[0].Note, "run upload-keys after the boot") || strings.Contains(below(t), "/k ") {
			t.Errorf("%s; there is %s", said(steps, err), below(t))
		}
	case a.want == "ok":
		if err != nil {
			t.Error(err)
		}
	case strings.HasPrefix(a.want, "/"):
		path, owner, _ := strings.Cut(a.want, " ")
		if err != nil {
			t.Fatalf("%v; there is %s", err, below(t))
		}
		if got := shellDo(t, "stat -c '%u %g' "+path+" && cat "+path); got != owner+"\nv" {
			t.Errorf("it is %s, want %s", got, owner)
		}
	default:
		if err == nil || !strings.Contains(err.Error(), a.want) {
			t.Errorf("%s, want %s; there is %s", said(steps, err), a.want, below(t))
		}
	}
}
