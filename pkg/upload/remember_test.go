//go:build linux

package upload

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/memory"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

const (
	bookInMemory = "/run/colmena-go/keys"
	bookOnDisk   = "/var/lib/colmena-go/keys"
)

// sh runs a command on the host.
func sh(t *testing.T, command string) string {
	t.Helper()
	out, err := exec.Command("sh", "-ec", command).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
	return string(out)
}

// warned uploads, and returns what there is to warn of.
func warned(t *testing.T, host local, items ...Item) (steps plan.KeyPlan, warnings []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	steps, err := Run(ctx, host, Request{Node: "web", Keys: items, Who: "test", LockWait: 5 * time.Second, Warn: func(text string) { warnings = append(warnings, text) }})
	if err != nil {
		t.Fatal(err)
	}
	return steps, warnings
}

// remembered reads the host's books.
func remembered(t *testing.T) (m memory.Memory) {
	t.Helper()
	for path, volatile := range map[string]bool{bookInMemory: true, bookOnDisk: false} {
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue
		}
		if err == nil {
			err = m.Read(volatile, text)
		}
		if err != nil {
			t.Fatal(path, err)
		}
	}
	return m
}

// knows reports how the host remembers a key: "placed", "found" or not at all, "".
func knows(t *testing.T, it Item) string {
	t.Helper()
	m := remembered(t)
	entry, ok := m.Recognise(it.Key.Path(), int64(it.Content.Len()), it.Content.Digest())
	switch {
	case !ok:
		return ""
	case entry.Placed:
		return "placed"
	}
	return "found"
}

// disk mounts a disk at /srv/disk, so that there are files that survive a reboot.
func disk(t *testing.T, size string) {
	t.Helper()
	fresh(t)
	if out, err := exec.Command("sh", "-ec", "mkdir /srv/disk; truncate -s "+size+" /srv/disk.img; mkfs.ext4 -q -F /srv/disk.img; mount -o loop /srv/disk.img /srv/disk").CombinedOutput(); err != nil {
		t.Skipf("needs mkfs.ext4 and loop devices: %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", "/srv/disk").Run() })
}

func TestAHostRemembersWhatItGot(t *testing.T) {
	for _, shell := range shells {
		t.Run(shell, func(t *testing.T) {
			disk(t, "32M")
			sh(t, "mkdir /run/keys; printf there >/run/keys/there; chmod 600 /run/keys/there; chmod 750 /run/keys")
			placed, found, lasting := item("token", "hunter2"), item("there", "there"), item("lasting", "swordfish", in("/srv/disk/d"))
			if _, warnings := warned(t, local{shell: shell}, placed, found, lasting); len(warnings) > 0 {
				t.Error(warnings)
			}
			for it, want := range map[*Item]string{&placed: "placed", &found: "found", &lasting: "placed"} {
				if got := knows(t, *it); got != want {
					t.Errorf("%s is remembered as %q, want %q", it.Key.Attr, got, want)
				}
			}
			// Of what is in memory nothing is on the disk.
			if text := sh(t, "cat "+bookOnDisk); strings.Contains(text, "/run/keys") || !strings.Contains(text, "/srv/disk/d/lasting") {
				t.Error(text)
			}
			if text := sh(t, "cat "+bookInMemory+" "+bookOnDisk); strings.Contains(text, "hunter2") || strings.Contains(text, "swordfish") {
				t.Error("a content is in it")
			}
			if got := sh(t, "stat -c '%u %g %a' /var/lib/colmena-go /run/colmena-go "+bookOnDisk+" "+bookInMemory); got != "0 0 700\n0 0 700\n0 0 600\n0 0 600\n" {
				t.Errorf("owners and modes: %s", got)
			}
			before := sh(t, "stat -c '%i %y %z' "+bookOnDisk+" "+bookInMemory)
			warned(t, local{shell: shell}, placed, found, lasting)
			if after := sh(t, "stat -c '%i %y %z' "+bookOnDisk+" "+bookInMemory); after != before {
				t.Error("an upload that changes nothing writes it again")
			}
			warned(t, local{shell: shell}, item("there", "ours"))
			if got := knows(t, item("there", "ours")); got != "placed" || knows(t, placed) != "placed" {
				t.Errorf("what was replaced is %q", got)
			}
		})
	}
}

// Else somebody's own file, which he made the same, would be taken for ours.
func TestAFileThatSomebodyMadeSinceIsFound(t *testing.T) {
	fresh(t)
	warned(t, local{}, item("token", "one"))
	sh(t, "printf two >/run/keys/token")
	warned(t, local{}, item("token", "two"))
	if got := knows(t, item("token", "two")); got != "found" {
		t.Errorf("it is %q", got)
	}
}

// What cannot be read counts as nothing, is told of once, and replaced.
func TestABookThatIsNoneIsReplaced(t *testing.T) {
	for name, plant := range map[string]string{
		"empty": ":> B", "damaged": "echo hunter2 >>B", "of another version": "sed -i '1s/1/2/' B", "cut short": "truncate -s -1 B", "with zeros": "truncate -s +10 B",
		"huge": "truncate -s 9M B", "a symlink": "mv B /srv/elsewhere; ln -s /srv/elsewhere B", "a symlink to nowhere": "rm B; ln -s /srv/nowhere B",
		"a pipe": "rm B; mkfifo B", "a device": "rm B; mknod B c 1 5", "random": "head -c 100000 /dev/urandom >B",
	} {
		for _, shell := range shells {
			t.Run(name+" "+shell, func(t *testing.T) {
				fresh(t)
				warned(t, local{shell: shell}, item("token", "one"))
				sh(t, strings.ReplaceAll(plant, "B", bookInMemory))
				elsewhere, _ := os.ReadFile("/srv/elsewhere")
				before := inodes(t)
				if steps, err := lookAt(t, local{shell: shell}, item("token", "one")); err != nil || !steps.Idle() {
					t.Error(said(steps, err))
				}
				if after := inodes(t); after != before {
					t.Errorf("a look touches something:\n%s\nbefore:\n%s", after, before)
				}
				steps, warnings := warned(t, local{shell: shell}, item("token", "one"))
				if len(warnings) != 1 || !strings.Contains(warnings[0], bookInMemory) || strings.Contains(warnings[0], "hunter2") || !steps.Idle() {
					t.Errorf("%v; %q", steps, warnings)
				}
				if now, _ := os.ReadFile("/srv/elsewhere"); string(now) != string(elsewhere) {
					t.Error("the other end of a symlink was written")
				}
				if _, err := os.Stat("/srv/nowhere"); err == nil {
					t.Error("the other end of a symlink was made")
				}
				if got := knows(t, item("token", "one")); got != "found" {
					t.Errorf("the key is %q", got)
				}
				if _, warnings := warned(t, local{shell: shell}, item("token", "one")); len(warnings) > 0 {
					t.Error("again: ", warnings)
				}
			})
		}
	}
}

// Keys matter more than what is remembered of them.
func TestAHostThatCannotRememberGetsItsKeys(t *testing.T) {
	for name, c := range map[string]struct{ plant, says string }{
		"a full disk":                    {"mkdir -m 700 /var/lib/colmena-go; mount -t tmpfs -o size=4k,nr_inodes=2 none /var/lib/colmena-go; head -c 4096 /dev/zero >/var/lib/colmena-go/full", "cannot write down"},
		"a disk without room":            {"mkdir -m 700 /var/lib/colmena-go; mount -t tmpfs -o size=4k none /var/lib/colmena-go; ! head -c 8192 /dev/zero >/var/lib/colmena-go/full 2>/dev/null", "cannot write down"},
		"a read-only disk":               {"mkdir -m 700 /var/lib/colmena-go; mount -t tmpfs -o ro none /var/lib/colmena-go", "cannot write down"},
		"a file instead of the folder":   {": >/var/lib/colmena-go", "cannot write down"},
		"a folder instead of the file":   {"mkdir -p -m 700 /var/lib/colmena-go/keys", "it is no file"},
		"a folder that others can write": {"mkdir -m 777 /var/lib/colmena-go; chmod 777 /var/lib/colmena-go; :> /var/lib/colmena-go/keys", "others than root"},
		"a folder of somebody's":         {"mkdir -m 700 /var/lib/colmena-go; chown 1000 /var/lib/colmena-go", "cannot write down"},
	} {
		for _, shell := range shells {
			t.Run(name+" "+shell, func(t *testing.T) {
				disk(t, "32M")
				defer exec.Command("umount", "/var/lib/colmena-go").Run()
				sh(t, c.plant)
				for i, content := range []string{"one", "two"} {
					_, warnings := warned(t, local{shell: shell}, item("token", content), item("lasting", content, in("/srv/disk")))
					if !slices.ContainsFunc(warnings, func(text string) bool { return strings.Contains(text, c.says) }) || len(warnings) > 2 {
						t.Errorf("upload %d: %q", i, warnings)
					}
					onHost(t, "/srv/disk/lasting", content, 0, 0, 0o600)
					if text := sh(t, "cat "+bookInMemory); !strings.Contains(text, "/run/keys/token") {
						t.Error("the other book is not written")
					}
				}
				if list, _ := filepath.Glob("/var/lib/colmena-go/*.new"); len(list) > 0 {
					t.Errorf("left behind: %v", list)
				}
				tidy(t, "/srv/disk")
			})
		}
	}
}

// Cut off between the two writings, either content is recognised; the next upload settles it.
func TestAnUploadThatDiesBetweenRenameAndMemoryIsRecognised(t *testing.T) {
	for name, when := range map[string]string{"before": "-e /run/armed", "after": "-e /run/armed ] && /usr/bin/mv \"$@\" && [ -e /run/armed"} {
		t.Run(name, func(t *testing.T) {
			fresh(t)
			old, fresh := item("token", "old"), item("token", "new")
			warned(t, local{}, old)
			sh(t, "mkdir /srv/shim; >/run/armed")
			defer os.Remove("/run/armed")
			shim := "#!/bin/sh\ncase $* in *keys.new*) exec /usr/bin/mv \"$@\" ;; esac\nif [ " + when + " ]; then rm /run/armed; kill -9 $PPID; exit 1; fi\nexec /usr/bin/mv \"$@\"\n"
			if err := os.WriteFile("/srv/shim/mv", []byte(shim), 0o755); err != nil {
				t.Fatal(err)
			}
			path := os.Getenv("PATH")
			t.Setenv("PATH", "/srv/shim:"+path)
			if _, err := upload(t, local{}, fresh); err == nil {
				t.Fatal("it was not killed")
			}
			os.Setenv("PATH", path)
			there := map[string]Item{"before": old, "after": fresh}[name]
			onHost(t, "/run/keys/token", string(there.Content.Reveal()), 0, 0, 0o600)
			if knows(t, old) == "" || knows(t, fresh) != "placed" {
				t.Errorf("old is %q, new is %q", knows(t, old), knows(t, fresh))
			}
			warned(t, local{}, fresh)
			if knows(t, old) != "" || knows(t, fresh) != "placed" {
				t.Errorf("afterwards old is %q, new is %q", knows(t, old), knows(t, fresh))
			}
			tidy(t)
		})
	}
}

// A deployer that dies after its keys are in place has not restarted what reads them.
func TestAJobIsOwedUntilItIsSettled(t *testing.T) {
	fresh(t)
	job, other := memory.Job{Unit: "nginx.service", Node: "web"}, memory.Job{Unit: "other.service", Reload: true, Node: "web"}
	var owed []memory.Job
	req := Request{
		Node: "web", Who: "test", Keys: []Item{item("token", "one")},
		Recall: func(m *memory.Memory) { owed = m.Owed() },
		Owe: func(steps plan.KeyPlan) []memory.Job {
			if steps.Idle() {
				return nil
			}
			return []memory.Job{job, other}
		},
	}
	for i, want := range [][]memory.Job{nil, {job, other}, {other}, {other}} {
		if _, err := Run(t.Context(), local{}, req); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(owed, want) {
			t.Errorf("upload %d: owed is %v, want %v", i, owed, want)
		}
		if i > 0 {
			if err := Settle(t.Context(), local{}, req, []memory.Job{job}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := Look(t.Context(), local{}, req); err != nil || !slices.Equal(owed, []memory.Job{other}) {
		t.Errorf("a look tells %v, %v", owed, err)
	}
}

func TestAConversationMayHaveSeveralLooks(t *testing.T) {
	fresh(t)
	set := []Item{item("a", "1"), item("b", "2", in("/srv/d")), item("c", "3", in("/srv/d"))}
	mustUpload(t, local{}, set...)
	for _, stage := range []string{noStage, hostscript.ID()} {
		c, stop := begin(t.Context(), local{}, time.Minute, errUntold)
		defer stop()
		if _, err := c.look(Request{Who: "test", LockWait: time.Second}, stage, nil); err != nil {
			t.Fatal(err)
		}
		for _, it := range set {
			wanted, _, _ := contents([]Item{it})
			seen, err := c.lookAgain(byDirectory(wanted))
			if err != nil {
				t.Fatal(err)
			}
			if file := seen.Files[it.Key.Path()]; !file.Digest.Equal(it.Content.Digest()) {
				t.Errorf("%s: %+v", it.Key.Path(), file)
			}
		}
		c.send(words(nil).bytes())
		if err := c.finish(); err != nil {
			t.Error(err)
		}
		tidy(t, "/srv/d")
	}
}

// A look was not given the lock, and is no way around it.
func TestALookCannotGoOnToAnUpload(t *testing.T) {
	fresh(t)
	before := inodes(t)
	items := []Item{item("a", "1")}
	wanted, content, _ := contents(items)
	c, stop := begin(t.Context(), local{}, time.Minute, errUntold)
	defer stop()
	dirs := byDirectory(wanted)
	seen, err := c.look(Request{Who: "test"}, noStage, dirs)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := plan.Keys(wanted, seen, plan.Policy{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	list, err := doList(nil, blocks(dirs, seen, steps), content, afterwards("web", &seen.Memory, steps))
	if err != nil {
		t.Fatal(err)
	}
	c.sendParts(t.Context(), list)
	if _, err := readDone(c.out, nil, nil, nil); err == nil {
		t.Error("it did")
	}
	if after := inodes(t); after != before {
		t.Errorf("something changed:\n%s", after)
	}
}

// A unit that is started before the key is in its place reads the old one.
func TestRunsOfUnitsAreThoseThatFoundTheKeysInPlace(t *testing.T) {
	fresh(t)
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "systemctl"), []byte("#!/bin/sh\necho InvocationID=$(cat /run/keys/k) for \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	run := func(content string, units ...string) (said string) {
		t.Helper()
		said = "untold"
		_, err := Run(t.Context(), local{}, Request{
			Node: "web", Keys: []Item{item("k", content)}, Who: "test",
			Units: func(plan.KeyPlan) []string { return units }, Runs: func(systemctl string) { said = strings.TrimSpace(systemctl) },
		})
		if err != nil {
			t.Fatal(err)
		}
		return said
	}
	const asked = " for show --no-pager --property=Id,InvocationID -- a.service b.service"
	for _, content := range []string{"1", "2", "2"} { // the last one changes nothing
		if got := run(content, "a.service", "b.service"); got != "InvocationID="+content+asked {
			t.Errorf("with %s it says %s", content, got)
		}
	}
	if got := run("3"); got != "untold" {
		t.Errorf("of no unit it says %s", got)
	}
	sh(t, "printf '#!/bin/sh\nexit 1\n' >"+bin+"/systemctl")
	if got := run("4", "a.service"); got != "untold" {
		t.Errorf("without an answer it says %s", got)
	}
}
