//go:build linux

package upload

import (
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/colmena-go/colmena-go/pkg/plan"
)

// The lock of a host is everybody's: no owner of a file or directory may hold it
// for long.

// Who opens a file on which its owner has a lease waits for 45 s (fcntl(2)). What is
// not read is replaced, and nothing else.
func TestALeaseHoldsNobodyUp(t *testing.T) {
	defer func() {
		for _, file := range held {
			file.Close()
		}
		held = nil
	}()
	for _, shell := range shells {
		for _, dirOwner := range []int{0, 1000} {
			fresh(t)
			set := []Item{item("root's", "v", in("/srv/d"))}
			for _, name := range []string{"k0", `back\slash \n`, "k2", "ключ 3"} {
				set = append(set, item(name, "v", in("/srv/d"), owned("1000", "1000", 0o600)))
			}
			mustUpload(t, local{shell: shell}, set...)
			if err := os.Chown("/srv/d", dirOwner, 0); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"k0", "k2"} {
				if file := lease("/srv/d/" + name); file == nil {
					t.Fatal("no lease: nothing is tested")
				}
			}
			begin := time.Now()
			steps := mustUpload(t, local{shell: shell}, set...)
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
			want := map[string]plan.Change{"root's": plan.Unchanged, "k0": plan.Changed, `back\slash \n`: plan.Unchanged, "k2": plan.Changed, "ключ 3": plan.Unchanged}
			for _, step := range steps {
				if step.Change != want[step.Key.Attr] {
					t.Errorf("directory of user %d: %s is %s, want %s", dirOwner, step.Key.Attr, step.Change, want[step.Key.Attr])
				}
			}
			for _, name := range []string{"k0", "k2"} {
				onHost(t, "/srv/d/"+name, "v", 1000, 1000, 0o600)
			}
			tidy(t, "/srv/d")
		}
	}
}

// stat here is a stand-in that has the file grow once it has told its size.
func TestAFileThatGrowsHoldsNobodyUp(t *testing.T) {
	fresh(t)
	const shim = `#!/bin/sh
/usr/bin/stat "$@" || exit
case $* in *'%f %u %g %s'*) [ -e /srv/grown ] || { >/srv/grown; truncate -s 1T /srv/d/k; } ;; esac
`
	set := []Item{item("before", "v", in("/srv/d"), owned("1000", "1000", 0o600)), item("k", "v", in("/srv/d"), owned("1000", "1000", 0o600))}
	mustUpload(t, local{}, set...)
	if err := errors.Join(os.Chown("/srv/d", 1000, 1000), os.Mkdir("/srv/shim", 0o755), os.WriteFile("/srv/shim/stat", []byte(shim), 0o755)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", "/srv/shim:"+os.Getenv("PATH"))
	steps := mustUpload(t, local{}, set...)
	if _, err := os.Stat("/srv/grown"); err != nil {
		t.Fatal("it did not grow: nothing is tested")
	}
	if steps[0].Change != plan.Unchanged || steps[1].Change != plan.Changed {
		t.Errorf("got\n%s", steps)
	}
	onHost(t, "/srv/d/k", "v", 1000, 1000, 0o600)
	tidy(t, "/srv/d")
}

// Each costs no more than a look, and those after the first 10,000 nothing.
func TestNamesLikeThoseOfStagesHoldNobodyUp(t *testing.T) {
	fresh(t)
	out, err := exec.Command("sh", "-ec", `mkdir /srv/d; cd /srv/d
seq -f .colmena-go.%.0f.1 100000 | xargs mkdir
chown 1000:1000 .; seq -f .colmena-go.%.0f.1 100000 | xargs chown 1000:1000
mkdir -m 700 .colmena-go.0.1 .colmena-go.0.1/n; echo secret >.colmena-go.0.1/n/k`).CombinedOutput()
	if err != nil {
		t.Fatal(err, string(out))
	}
	for _, shell := range shells {
		begin := time.Now()
		mustUpload(t, local{shell: shell}, item("k", shell, in("/srv/d")))
		// A process for each would be a minute.
		if took := time.Since(begin); took > 15*time.Second {
			t.Errorf("%s: it took %v", shell, took)
		}
		onHost(t, "/srv/d/k", shell, 0, 0, 0o600)
	}
	if _, err := os.Stat("/srv/d/.colmena-go.0.1"); err == nil {
		t.Error("root's own leftover, the first of them, is still there")
	}
	if err := unix.Access("/srv/d/.colmena-go.9.1", unix.F_OK); err != nil {
		t.Error("what is not ours was removed")
	}
}
