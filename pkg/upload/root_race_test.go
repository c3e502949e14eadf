//go:build linux

package upload

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// Who owns a directory of another root and one outside of it, on one file system, may move
// what root walks through from one to the other, at the moment that suits him.

// shimmed puts a script in the place of a program, which is run when it is called the first time
// (with those words among its arguments) after arming.
func shimmed(t *testing.T, program, words, script string) {
	t.Helper()
	shellDo(t, "mkdir -p /srv/shim; : >/srv/armed")
	text := "#!/bin/sh\ncase \"$*\" in " + words + ") if [ -e /srv/armed ]; then rm /srv/armed; " + script + "; fi ;; esac\nexec /usr/bin/" + program + " \"$@\"\n"
	if err := os.WriteFile("/srv/shim/"+program, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", "/srv/shim:"+os.Getenv("PATH"))
}

func TestADirectoryThatIsMovedOutOfTheRootLeadsNowhere(t *testing.T) {
	const away = "mv /srv/mnt/home /srv/elsewhere/home"
	for _, c := range []struct {
		name, host, dest, program, words, says string
		script                                 string
	}{
		// Root's link in root's directory leads up, by way of the user's.
		{"while a link is read", "install -d /srv/mnt/home/d; ln -s ../../keys /srv/mnt/home/d/l; chown 1000 /srv/mnt/home", "/home/d/l",
			"readlink", "*", "moved", away},
		{"while it is entered", "install -d /srv/mnt/home/d/e; chown 1000 /srv/mnt/home", "/home/d/e/f", "mkdir", "*f", "", away},
		{"and another put in its place", "install -d -o 1000 /srv/mnt/home /srv/elsewhere/other; install -d /srv/elsewhere/other/d; install -d /srv/mnt/home/d", "/home/d/e",
			"mkdir", "*e", "", away + "; mv /srv/elsewhere/other /srv/mnt/home"},
		{"for a link to what is outside", "install -d -o 1000 /srv/mnt/home /srv/mnt/home/d", "/home/d", "mkdir", "*.colmena-go.*", "",
			away + "; ln -s /srv/out /srv/mnt/home"},
		{"the root itself, by root", "ln -s /keys /srv/mnt/var/keys; mkdir /srv/mnt/keys", "/var/keys", "readlink", "*", "another directory than it was",
			"mv /srv/mnt /srv/elsewhere/mnt; cp -r /srv/out /srv/mnt"},
	} {
		for _, shell := range shells {
			t.Run(c.name+" "+shell, func(t *testing.T) {
				freshRoot(t)
				shellDo(t, "umask 022; "+c.host)
				shimmed(t, c.program, c.words, c.script)
				before := shellDo(t, "find /srv/out -printf '%p %m %U %s %T@\\n' | sort")
				_, _, err := rootUpload(t, shell, mnt, nil, item("k", "v", in(c.dest)))
				if _, armed := os.Stat("/srv/armed"); armed == nil {
					t.Fatal("nothing was moved: nothing is tested")
				}
				if c.says != "" && (!errors.Is(err, ErrHost) || !strings.Contains(err.Error(), c.says)) {
					t.Errorf("got %v", err)
				}
				t.Log(err)
				shellDo(t, "rm -rf /srv/elsewhere/home/d")
				got := shellDo(t, "find /srv/out -printf '%p %m %U %s %T@\\n' | sort; find /srv/elsewhere /srv/keys -name k 2>/dev/null || :")
				if want := strings.TrimSpace(before); got != want {
					t.Errorf("outside is\n%s\nbefore\n%s", got, want)
				}
			})
		}
	}
}

// The tricks of attack_test.go, in another root.
func TestAttacksOnAUsersDirectoryOfAnotherRootHarmNothing(t *testing.T) {
	for _, trick := range []string{"destDir swapped for a symlink", "the stage swapped for a symlink to root's files", "destDir swapped for a symlink to root's directory beside it"} {
		t.Run(trick, func(t *testing.T) {
			freshRoot(t)
			shellDo(t, `mkdir -p /srv/root/sub /srv/home/keys /srv/home/mnt /srv/mnt/home; printf root >/srv/root/k; chmod 640 /srv/root/k; printf root >/srv/home/mnt/k
chown 1000:1000 /srv/home /srv/home/keys; mount --bind /srv/home /srv/mnt/home; mount --move /srv/home /srv/elsewhere 2>/dev/null || :`)
			before := shellDo(t, "find /srv/root /srv/out -printf '%p %y %m %U %s %T@\\n' | sort")
			stop := startAttacker(t, trick)
			defer stop()
			refused, done := 0, 0
			for end := time.Now().Add(1200 * time.Millisecond); time.Now().Before(end); {
				if _, _, err := rootUpload(t, "", mnt, nil, item("k", "v"+time.Now().String(), in("/home/keys"))); err != nil {
					refused++
				} else {
					done++
				}
				if after := shellDo(t, "find /srv/root /srv/out -printf '%p %y %m %U %s %T@\\n' | sort"); after != before {
					t.Fatalf("harm was done:\n%s\nbefore\n%s", after, before)
				}
			}
			t.Logf("%d uploads went through, %d were refused", done, refused)
		})
	}
}

func TestDirectoriesOfAnotherRootGetItsOwners(t *testing.T) {
	freshRoot(t)
	shellDo(t, "mkdir /srv/mnt/held; chmod 700 /srv/mnt/held; ln -s /srv/out /srv/mnt/link")
	dirs := []hive.Directory{dir("/held", "app", "team", 0o750), dir("/link", "app", "app", 0o700), dir("/var/new", "app", "team", 0o2770), dir("/var/late", "later", "team", 0o750)}
	before := beyond(t)
	keys := []Item{item("a", "v", in("/held")), item("b", "v", in("/link/x")), item("c", "v", in("/var/new")), item("d", "v", in("/var/late"))}
	steps, _, err := rootUpload(t, "", mnt, dirs, keys...)
	if err != nil {
		t.Fatal(err)
	}
	if after := beyond(t); after != before {
		t.Errorf("outside is\n%s\nbefore\n%s", after, before)
	}
	for path, want := range map[string]string{
		"/held": "1234 5678 750", "/var/new": "1234 5678 2770", "/var/late": "0 0 700", "/srv": "0 0 755", "/srv/out": "0 0 700", "/srv/out/x": "0 0 755",
	} {
		if got := shellDo(t, "stat -c '%u %g %a' /srv/mnt"+path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	if !strings.Contains(steps.String(), "user later does not exist yet: root owns /var/late") {
		t.Error(steps)
	}
	again, warned, err := rootUpload(t, "", mnt, dirs, keys...)
	if err != nil || len(warned) > 0 || again[0].Change != plan.Unchanged || again[2].Change != plan.Unchanged {
		t.Errorf("%v, %v: %s", err, warned, again)
	}
	if got := shellDo(t, "stat -c '%u %a' /srv/mnt/var/lib/colmena-go /srv/mnt/var/lib/colmena-go/keys; ls -A /run/colmena-go"); got != "0 700\n0 600\nholder\nlock\nstages" {
		t.Errorf("remembered is %s", got)
	}
}
