//go:build linux

package upload

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/plan"
)

func lookAt(t *testing.T, host local, items ...Item) (plan.KeyPlan, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return Look(ctx, host, Request{Keys: items, Who: "test"})
}

// inodes are all of the host, with every time that they bear: but for that of a
// directory's or link's last reading, which finding them changes.
func inodes(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("find", "/run", "/srv", "-not", "-path", "/run/bin*", "(", "-type", "f", "-printf", "%p %i %n %m %U %G %A@ %T@ %C@\n", "-o", "-printf", "%p %i %n %m %U %G %T@ %C@\n", ")").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(out), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// Each case is a host, and the keys that it is to have.
func TestALookTellsWhatAnUploadThenDoesAndTouchesNothing(t *testing.T) {
	with := func(items ...Item) []Item { return items }
	one := with(item("k", "new", in("/srv/d")))
	for _, c := range []struct {
		name, host string
		keys       []Item
		plan       string // a part of it, or of the error
	}{
		{"nothing is there", ":", with(item("a", "1"), item("b", "2", in("/srv/x/y z"))), "changed /run/keys/a 0:0 0600\nchanged /srv/x/y z/b"},
		{"all is there", "mkdir /srv/d; printf new >/srv/d/k; chmod 600 /srv/d/k", one, "unchanged /srv/d/k"},
		{"an old content", "mkdir /srv/d; printf old >/srv/d/k; chmod 600 /srv/d/k", one, "changed /srv/d/k"},
		{"of another length", "mkdir /srv/d; printf older >/srv/d/k; chmod 600 /srv/d/k", one, "changed /srv/d/k"},
		{"a wrong owner", "mkdir /srv/d; printf new >/srv/d/k; chmod 600 /srv/d/k; chown 0:7 /srv/d/k", one, "mended /srv/d/k 0:0 0600 in place"},
		{"a wrong mode", "mkdir /srv/d; printf new >/srv/d/k; chmod 640 /srv/d/k", one, "mended /srv/d/k 0:0 0600 in place"},
		{"in a directory of a user", "mkdir /srv/d; printf new >/srv/d/k; chmod 640 /srv/d/k; chown 1000 /srv/d /srv/d/k", one, "mended /srv/d/k 0:0 0600\n"},
		{"right in a directory of a user", "mkdir /srv/d; printf new >/srv/d/k; chmod 600 /srv/d/k; chown 1000 /srv/d", one, "unchanged /srv/d/k"},
		{"behind root's symlink", "mkdir /srv/e; ln -s /srv/e /srv/d; printf new >/srv/d/k; chmod 600 /srv/d/k", one, "unchanged /srv/d/k"},
		{"behind a symlink that leads nowhere", "ln -s /srv/e/f /srv/d", one, "changed /srv/d/k"},
		{"two names of one missing directory", "ln -s /srv/e /srv/d", with(item("k", "1", in("/srv/d")), item("k", "2", as("l"), in("/srv/e"))), "the same file on the host"},
		{"behind a user's symlink", "mkdir /srv/u /srv/e; chown 1000 /srv/u; ln -s /srv/e /srv/u/l; chown -h 1000 /srv/u/l", with(item("k", "n", in("/srv/u/l"))), "symlink that root did not make"},
		{"a directory in its place", "mkdir -p /srv/d/k", one, "is a directory"},
		{"a symlink in its place", "mkdir /srv/d; ln -s /etc/shadow /srv/d/k", one, "is a symlink"},
		{"a pipe in its place", "mkdir /srv/d; mkfifo /srv/d/k; chown 1000 /srv/d", one, "pipe"},
		{"a file in its directory's place", "echo >/srv/d", one, "not a directory"},
		{"an unknown user", ":", with(item("k", "n", owned("nobody-knows", "root", 0o600))), `no user "nobody-knows"`},
		{"our own directory", ":", with(item("k", "n", in("/run/colmena-go"))), "no place for keys"},
		{"one below it", ":", with(item("k", "n", in("/run/colmena-go/x"))), "no place for keys"},
		{"that of the key units", ":", with(item("k", "n", in("/run/colmena-go-keys"))), "no place for keys"},
		{"a mount point in its place", "mkdir /srv/d; touch /srv/d/k; mount --bind /etc/hostname /srv/d/k", one, "mount point"},
		{"the same in a directory of a user", "mkdir /srv/d; touch /srv/d/k; chown 1000 /srv/d; mount --bind /etc/hostname /srv/d/k", one, "mount point"},
		{"a directory that cannot be written", "mkdir /srv/d; mount -t tmpfs -o ro tmpfs /srv/d", one, "/srv/d"},
		{"one below it", "mkdir /srv/d; mount -t tmpfs -o ro tmpfs /srv/d", with(item("k", "n", in("/srv/d/e"))), "/srv/d"},
		{"odd names", "mkdir /srv/d; chown 1000 /srv/d; cd /srv/d; printf x >'a b'; printf x >'b\\c'; printf x >'*'; chmod 600 *; ", with(
			item("a b", "x", in("/srv/d")), item(`b\c`, "x", in("/srv/d")), item("*", "x", in("/srv/d")), item("-n", "x", in("/srv/d"))),
			"unchanged /srv/d/a b\nunchanged /srv/d/b\\c\nunchanged /srv/d/*\nchanged /srv/d/-n"},
	} {
		for _, shell := range shells {
			t.Run(c.name+" "+shell, func(t *testing.T) {
				fresh(t)
				t.Cleanup(func() { exec.Command("sh", "-c", "umount /srv/d/k /srv/d 2>/dev/null").Run() })
				planted := "set -e; umask 022; " + c.host + "\ncd /srv; find . -type f -exec touch -a -d '3 days ago' {} + 2>/dev/null || :"
				if out, err := exec.Command("sh", "-c", planted).CombinedOutput(); err != nil {
					t.Fatal(err, string(out))
				}
				before := inodes(t)
				steps, err := lookAt(t, local{shell: shell}, c.keys...)
				if after := inodes(t); after != before {
					t.Errorf("something was touched:\n%s\nbefore:\n%s", after, before)
				}
				if got := said(steps, err); !strings.Contains(got, c.plan) {
					t.Errorf("it tells\n%s\nwant\n%s", got, c.plan)
				}
				done, doneErr := upload(t, local{shell: shell}, c.keys...)
				if (err == nil) != (doneErr == nil) || err == nil && done.String() != steps.String() {
					t.Errorf("it was told\n%s\nand done was\n%s", said(steps, err), said(done, doneErr))
				}
			})
		}
	}
}

func said(steps plan.KeyPlan, err error) string {
	if err != nil {
		return err.Error()
	}
	return steps.String()
}

// An upload has the lock for its whole time; a look does not wait for it.
func TestALookNotesAnUploadThatIsUnderWay(t *testing.T) {
	fresh(t)
	mustUpload(t, local{}, item("k", "v"))
	lock, err := os.OpenFile("/run/colmena-go/lock", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	look := func() (notes string) {
		steps, err := Look(t.Context(), local{}, Request{Keys: []Item{item("k", "v")}, Note: func(text string) { notes += text }})
		if err != nil || steps[0].Change != plan.Unchanged {
			t.Errorf("got %s", said(steps, err))
		}
		return notes
	}
	if got := look(); got != "" {
		t.Errorf("nobody has the lock, and it says %q", got)
	}
	err = errors.Join(os.WriteFile("/run/colmena-go/holder", []byte("alice@laptop\n"), 0o600), syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))
	if err != nil {
		t.Fatal(err)
	}
	if got := look(); !strings.HasPrefix(got, "another upload is under way on this host, by alice@laptop") {
		t.Errorf("it says %q", got)
	}
}

// Files of others may be anything at any moment.
func TestALookIsNeitherHeldUpNorMisledByOthersFiles(t *testing.T) {
	fresh(t)
	set := []Item{item("k0", "v", in("/srv/d")), item("k1", "v", in("/srv/d")), item("k2", "v", in("/srv/d"))}
	mustUpload(t, local{}, set...)
	if out, err := exec.Command("sh", "-ec", "chown -R 1000 /srv/d; echo secret >/srv/other; chmod 600 /srv/other").CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	defer func() {
		for _, file := range held {
			file.Close()
		}
		held = nil
	}()
	if lease("/srv/d/k1") == nil {
		t.Fatal("no lease: nothing is tested")
	}
	// stat, asked for the last of them, leaves a pipe in its place; then a directory
	// with something in it, then a symlink.
	const shim = `#!/bin/sh
/usr/bin/stat "$@" || exit
case $* in *'%f %u %g %s'*k2) rm -rf /srv/d/k2; $(cat /srv/trick) ;; esac
`
	err := errors.Join(os.Mkdir("/srv/shim", 0o755), os.WriteFile("/srv/shim/stat", []byte(shim), 0o755))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", "/srv/shim:"+os.Getenv("PATH"))
	for _, trick := range []string{"mkfifo /srv/d/k2", "cp -r /etc/init.d /srv/d/k2", "ln -s /srv/other /srv/d/k2"} {
		exec.Command("sh", "-c", "rm -rf /srv/d/k2; printf v >/srv/d/k2; chown 1000 /srv/d/k2").Run()
		if err := os.WriteFile("/srv/trick", []byte(trick), 0o644); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		steps, err := lookAt(t, local{}, set...)
		if err != nil {
			t.Fatal(trick, err)
		}
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("%s: it took %v", trick, took)
		}
		if steps[0].Change != plan.Mended || steps[1].Change != plan.Changed || steps[2].Change != plan.Changed {
			t.Errorf("%s: it tells\n%s", trick, steps)
		}
		if list, _ := filepath.Glob("/srv/d/*"); len(list) != 3 {
			t.Errorf("%s: in the directory are %v", trick, list)
		}
	}
}

// In a directory of others a file may be another thing as soon as it was looked at, or a
// moment before that. Here stat, asked for the last of them, is when that happens.
func TestALookFollowsNothingThatComesInTheMeantime(t *testing.T) {
	for name, c := range map[string]struct{ before, after, want string }{
		"a link to the same content": {after: "ln -sf /srv/other /srv/d/k1", want: "\nchanged /srv/d/k1"},
		"a pipe before it is asked":  {before: "rm /srv/d/k1; mkfifo /srv/d/k1", want: "no longer a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			fresh(t)
			set := []Item{item("k0", "v", in("/srv/d")), item("k1", "v", in("/srv/d"))}
			mustUpload(t, local{}, set...)
			shim := "#!/bin/sh\ncase $* in *'%f %u %g %s'*k1) :; " + c.before + " ;; esac\n/usr/bin/stat \"$@\" || exit\ncase $* in *'%f %u %g %s'*k1) :; " + c.after + " ;; esac\n"
			if out, err := exec.Command("sh", "-ec", "chown -R 1000 /srv/d; printf v >/srv/other; chmod 600 /srv/other; mkdir /srv/shim").CombinedOutput(); err != nil {
				t.Fatal(err, string(out))
			}
			if err := os.WriteFile("/srv/shim/stat", []byte(shim), 0o755); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", "/srv/shim:"+os.Getenv("PATH"))
			if got := said(lookAt(t, local{}, set...)); !strings.Contains(got, c.want) {
				t.Errorf("it tells\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// Root's own directory may be in one of a user's, who can give its name to another at any
// moment: to one that holds another file, or programs for root to run.
func TestALookReadsWhereItIsWhateverBearsTheNameByNow(t *testing.T) {
	fresh(t)
	set := []Item{item("k", "v", in("/srv/u/d"))}
	mustUpload(t, local{}, set...)
	const shim = `#!/bin/sh
mv /srv/u/d /srv/u/moved && ln -s /srv/other /srv/u/d
exec /usr/bin/unshare "$@"
`
	const planted = `chown 1000 /srv/u; mkdir /srv/other /srv/shim; printf w >/srv/other/k; chmod 600 /srv/other/k
touch -a -d '3 days ago' /srv/u/d/k /srv/other/k`
	if out, err := exec.Command("sh", "-ec", planted).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	if err := os.WriteFile("/srv/shim/unshare", []byte(shim), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", "/srv/shim:"+os.Getenv("PATH"))
	steps, err := lookAt(t, local{}, set...)
	if err != nil || steps[0].Change != plan.Unchanged {
		t.Errorf("it tells of what is elsewhere: %s", said(steps, err))
	}
	for _, path := range []string{"/srv/u/moved/k", "/srv/other/k"} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		read := info.Sys().(*syscall.Stat_t).Atim
		if time.Since(time.Unix(read.Unix())) < 48*time.Hour {
			t.Errorf("%s was read, and shows that", path)
		}
	}
}

// What makes a look quick may be missing, or forbidden.
func TestALookNeedsNoMoreThanAnUpload(t *testing.T) {
	fresh(t)
	set := []Item{item("a", "1"), item("b", "2"), item("c", "3", in("/srv/d"))}
	mustUpload(t, local{}, set...)
	without(t, "unshare", "mount")
	if out, err := exec.Command("sh", "-c", "touch -a -d '3 days ago' /run/keys/* /srv/d/*").CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	before := inodes(t)
	steps, err := lookAt(t, local{}, set...)
	if err != nil || !steps.Idle() {
		t.Errorf("it tells %s", said(steps, err))
	}
	if after := inodes(t); after != before {
		t.Errorf("something was touched:\n%s\nbefore:\n%s", after, before)
	}
}
