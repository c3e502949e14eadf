//go:build linux

package upload

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// dir is an entry of deployment.keyDirectories.
func dir(path, user, group string, mode uint32) hive.Directory {
	return hive.Directory{Path: path, User: user, Group: group, Mode: mode}
}

func dirUpload(t *testing.T, shell string, policy plan.Policy, dirs []hive.Directory, items ...Item) (plan.KeyPlan, error) {
	t.Helper()
	return Run(t.Context(), local{shell: shell}, Request{Keys: items, Dirs: dirs, Policy: policy, Who: "test"})
}

// shellDo runs a script of a test's as root.
func shellDo(t *testing.T, script string) string {
	t.Helper()
	out, err := exec.Command("sh", "-ec", script).CombinedOutput()
	if err != nil {
		t.Fatal(script, err, string(out))
	}
	return strings.TrimSpace(string(out))
}

// Each case is a host before an upload of /srv/a/b/c/k, and directories after it.
func TestDirectoriesThatAreMadeGetTheirOwner(t *testing.T) {
	b := []hive.Directory{dir("/srv/a/b", "daemon", "games", 0o750)}
	for _, c := range []struct {
		name, host string
		dirs       []hive.Directory
		want       string // PATH UID GID MODE, by commas
	}{
		{"one on the way", "", b, "/srv/a 0 0 755,/srv/a/b 1 60 750,/srv/a/b/c 0 0 755"},
		{"all of them", "", []hive.Directory{dir("/srv/a", "1000", "1000", 0o711), dir("/srv/a/b", "daemon", "root", 0o2770), dir("/srv/a/b/c", "root", "games", 0o1730)},
			"/srv/a 1000 1000 711,/srv/a/b 1 0 2770,/srv/a/b/c 0 60 1730"},
		{"the first alone", "", []hive.Directory{dir("/srv/a", "daemon", "daemon", 0o700)}, "/srv/a 1 1 700,/srv/a/b 0 0 755"},
		{"one that no key needs", "", []hive.Directory{dir("/srv/a/other", "daemon", "daemon", 0o700), dir("/srv/a/bb", "daemon", "daemon", 0o700)}, "/srv/a/b 0 0 755"},
		{"one that is there stays", "mkdir -m 711 -p /srv/a/b", b, "/srv/a/b 0 0 711"},
		{"a former owner's stays", "mkdir -p /srv/a/b; chown 77:77 /srv/a/b", b, "/srv/a/b 77 77 755"},
		{"in a directory that hands its group down", "mkdir /srv/a; chown 0:77 /srv/a; chmod 2755 /srv/a", b, "/srv/a/b 1 60 750,/srv/a/b/c 0 0 755"},
		{"in a user's directory", "mkdir /srv/a; chown 1000 /srv/a", b, "/srv/a/b 1 60 750,/srv/a/b/c 0 0 755"},
		{"behind root's symlink", "mkdir /srv/real; ln -s real /srv/a", b, "/srv/real/b 1 60 750"},
		{"as what root's symlink leads to", "mkdir /srv/a; ln -s ../x/y /srv/a/b", b, "/srv/x 0 0 755,/srv/x/y 1 60 750,/srv/x/y/c 0 0 755"},
		{"as what it leads to far away", "mkdir /srv/a; ln -s /srv/x/../z/y/. /srv/a/b; mkdir /srv/x", b, "/srv/z 0 0 755,/srv/z/y 1 60 750"},
		{"as what it leads to, with a slash at its end", "mkdir /srv/a; ln -s real/ /srv/a/b", b, "/srv/a/real 1 60 750"},
		{"left by an upload whose owner did not exist", "mkdir /srv/a; mkdir -m 700 /srv/a/b", b, "/srv/a/b 1 60 750"},
		{"one below the other", "mkdir -m 700 -p /srv/a; mkdir -m 700 /srv/a/b", []hive.Directory{dir("/srv/a", "daemon", "games", 0o750), b[0]}, "/srv/a 1 60 750,/srv/a/b 1 60 750"},
		{"the same behind a symlink", "mkdir -p /srv/real; mkdir -m 700 /srv/real/b; ln -s real /srv/a", b, "/srv/real/b 1 60 750"},
		{"the same, where others can write on the way", "mkdir /srv/a; mkdir -m 700 /srv/a/b; chown 1000 /srv/a", b, "/srv/a/b 0 0 700"},
		{"one like it that is root's for good", "mkdir /srv/a; mkdir -m 700 /srv/a/b", []hive.Directory{dir("/srv/a/b", "root", "root", 0o755)}, "/srv/a/b 0 0 700"},
		{"with an odd name", "", []hive.Directory{dir("/srv/a", "1", "1", 0o700), dir("/srv/a/*", "2", "2", 0o700)}, "/srv/a 1 1 700"},
	} {
		for _, shell := range shells {
			t.Run(c.name+" "+shell, func(t *testing.T) {
				fresh(t)
				shellDo(t, "umask 022; mkdir /run/keys; "+c.host)
				steps, err := dirUpload(t, shell, plan.Policy{}, c.dirs, item("k", "v", in("/srv/a/b/c")))
				if err != nil {
					t.Fatal(err)
				}
				onHost(t, "/srv/a/b/c/k", "v", 0, 0, 0o600)
				for _, line := range strings.Split(c.want, ",") {
					path, want, _ := strings.Cut(line, " ")
					if got := shellDo(t, "stat -c '%u %g %a' "+path); got != want {
						t.Errorf("%s is %s, want %s", path, got, want)
					}
				}
				tidy(t, "/srv/a", "/srv/a/b", "/srv/a/b/c")
				before := tree(t)
				again, err := dirUpload(t, shell, plan.Policy{}, c.dirs, item("k", "v", in("/srv/a/b/c")))
				if err != nil || again[0].Change != plan.Unchanged || steps[0].Change != plan.Changed {
					t.Errorf("%v: %s then %s", err, steps, again)
				}
				if after := tree(t); after != before {
					t.Errorf("a second upload changed something:\n%s\nbefore:\n%s", after, before)
				}
			})
		}
	}
}

func TestADirectoryWhoseOwnerDoesNotExistIsRootsAloneUntilHeDoes(t *testing.T) {
	fresh(t)
	dirs := []hive.Directory{dir("/srv/a", "nobody-knows", "games", 0o2750)}
	key := item("k", "v", in("/srv/a/b"))
	_, err := dirUpload(t, "", plan.Policy{}, dirs, key)
	if !errors.Is(err, ErrHost) && (err == nil || !strings.Contains(err.Error(), `key "k" (keyDirectories): there is no user "nobody-knows" on the host to own /srv/a`)) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat("/srv/a"); err == nil {
		t.Error("the directory was made all the same")
	}
	lenient := plan.Policy{AbsentOwnerIsRoot: true}
	const note = "user nobody-knows does not exist yet: root owns /srv/a until the activation"
	for range 2 {
		steps, err := dirUpload(t, "", lenient, dirs, key)
		if err != nil {
			t.Fatal(err)
		}
		if !steps[0].OwnerPending || steps[0].Note != note {
			t.Errorf("it is said: %+v", steps)
		}
		if got := shellDo(t, "stat -c '%u %g %a' /srv/a"); got != "0 0 700" {
			t.Errorf("it is %s", got)
		}
	}
	dirs[0].User = "daemon"
	steps, err := dirUpload(t, "", lenient, dirs, key)
	if err != nil || steps[0].Change != plan.Unchanged || steps[0].OwnerPending {
		t.Errorf("%v, %+v", err, steps)
	}
	if got := shellDo(t, "stat -c '%u %g %a' /srv/a"); got != "1 60 2750" {
		t.Errorf("it is %s", got)
	}
}

// A look tells the same of directories as an upload, and makes none.
func TestALookMakesAndGivesNoDirectory(t *testing.T) {
	fresh(t)
	shellDo(t, "mkdir -m 700 /srv/a")
	dirs := []hive.Directory{dir("/srv/a", "daemon", "games", 0o750), dir("/srv/n", "nobody-knows", "games", 0o750)}
	keys := []Item{item("k", "v", in("/srv/a")), item("l", "v", in("/srv/n/m"))}
	before := inodes(t)
	steps, err := Look(t.Context(), local{}, Request{Keys: keys, Dirs: dirs, Policy: plan.Policy{AbsentOwnerIsRoot: true}, Who: "test"})
	if err != nil || !strings.Contains(steps.String(), "root owns /srv/n until") {
		t.Error(said(steps, err))
	}
	if after := inodes(t); after != before {
		t.Errorf("something was touched:\n%s\nbefore:\n%s", after, before)
	}
	done, err := dirUpload(t, "", plan.Policy{AbsentOwnerIsRoot: true}, dirs, keys...)
	if err != nil || done.String() != steps.String() {
		t.Errorf("it was told\n%s\nand done was\n%s", steps, said(done, err))
	}
}

// chown here fails, as on a file system that knows no owners.
func TestADirectoryThatCannotGetItsOwnerIsNotMade(t *testing.T) {
	for name, host := range map[string]string{"made": ":", "given": "mkdir -m 700 /srv/a"} {
		t.Run(name, func(t *testing.T) {
			fresh(t)
			shellDo(t, host+`
mkdir /srv/shim
cat >/srv/shim/chown <<'SHIM'
#!/bin/sh
case $* in 1:60*) echo "chown: no owners here" >&2; exit 1 ;; esac
exec /usr/bin/chown "$@"
SHIM
chmod +x /srv/shim/chown`)
			t.Setenv("PATH", "/srv/shim:"+os.Getenv("PATH"))
			_, err := dirUpload(t, "", plan.Policy{}, []hive.Directory{dir("/srv/a", "daemon", "games", 0o750)}, item("k", "v", in("/srv/a")))
			if err == nil || !strings.Contains(err.Error(), "/srv/a") || !strings.Contains(err.Error(), "no owners here") {
				t.Errorf("got %v", err)
			}
			_, missing := os.Stat("/srv/a")
			if name == "made" && (missing == nil || !errors.Is(err, ErrHost)) {
				t.Errorf("it is there: %v, %v", missing, err)
			}
			if name == "given" && !strings.Contains(err.Error(), "the keys are in place, but root could not give /srv/a to daemon:games") {
				t.Errorf("got %v", err)
			}
		})
	}
}
