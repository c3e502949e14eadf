//go:build linux

package upload

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/tests/lacking"
)

// without takes programs away from the host until the test is over.
func without(t *testing.T, programs ...string) {
	t.Helper()
	const upper, work = "/run/lacking/upper", "/run/lacking/work"
	if err := errors.Join(os.RemoveAll("/run/lacking"), os.MkdirAll(upper, 0o755), os.MkdirAll(work, 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"/usr/bin", "/usr/sbin"} {
		name := strings.ReplaceAll(dir, "/", "")
		if err := errors.Join(os.Mkdir(upper+"/"+name, 0o755), os.Mkdir(work+"/"+name, 0o755)); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("lacking", dir, "overlay", 0, "lowerdir="+dir+",upperdir="+upper+"/"+name+",workdir="+work+"/"+name); err != nil {
			lacking.Skip(t, "needs overlays: ", err)
		}
		t.Cleanup(func() {
			if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	}
	for _, program := range programs {
		path, err := exec.LookPath(program)
		if err == nil {
			err = os.Remove(path)
		}
		if _, still := exec.LookPath(program); err != nil || still == nil {
			t.Skipf("%s cannot be taken away: %v", program, err)
		}
	}
}

func TestAHostThatLacksAProgramIsToldWhich(t *testing.T) {
	for name, programs := range map[string][]string{
		"flock": {"flock"}, "sync": {"sync"}, "sha256sum": {"sha256sum"}, "stat, tar": {"tar", "stat"},
	} {
		t.Run(name, func(t *testing.T) {
			fresh(t)
			mustUpload(t, local{}, item("k", "old"))
			before := tree(t)
			without(t, programs...)
			_, err := upload(t, local{}, item("k", "new"))
			if !errors.Is(err, ErrHost) || !strings.Contains(err.Error(), "the host has no "+name+": an upload needs") {
				t.Errorf("error %v", err)
			}
			onHost(t, "/run/keys/k", "old", 0, 0, 0o600)
			if after := tree(t); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
		})
	}
}

func TestAHostWithoutGetentKnowsItsUsers(t *testing.T) {
	fresh(t)
	without(t, "getent")
	steps := mustUpload(t, local{}, item("k", "v", owned("daemon", "games", 0o640)))
	if steps[0].Change != plan.Changed {
		t.Errorf("it is %s", steps[0].Change)
	}
	onHost(t, "/run/keys/k", "v", 1, 60, 0o640)
}

// Who owns a directory above destDir may swap what root has just made in it; what
// is then found there is not ours to remove.
func TestADirectoryThatIsSwappedWhenItIsMadeTakesNothingElseAway(t *testing.T) {
	for name, swap := range map[string]string{
		"for a link": "ln -s /srv/elsewhere/inside ./keys", "for a file": ": >./keys",
	} {
		t.Run(name, func(t *testing.T) {
			fresh(t)
			for _, dir := range []string{"/srv/home", "/srv/elsewhere/inside", "/srv/elsewhere/keys", "/srv/keys"} {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			os.Chown("/srv/home", 1000, 1000)
			without(t)
			mkdir, err := exec.LookPath("mkdir")
			if err != nil {
				t.Fatal(err)
			}
			script := "#!/bin/sh\n" + mkdir + ".real \"$@\" || exit\ncase $* in *./keys) rmdir ./keys && " + swap + " ;; esac\n"
			if err := errors.Join(os.Rename(mkdir, mkdir+".real"), os.WriteFile(mkdir, []byte(script), 0o755)); err != nil {
				t.Fatal(err)
			}
			if _, err := upload(t, local{}, item("k", "v", in("/srv/home/keys"))); !errors.Is(err, ErrHost) {
				t.Errorf("got %v", err)
			}
			for _, dir := range []string{"/srv/elsewhere/keys", "/srv/keys", "/srv/home"} {
				if _, err := os.Stat(dir); err != nil {
					t.Errorf("an upload took away what is not its own: %v", err)
				}
			}
		})
	}
}
