//go:build linux

package upload

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// An ordinary user who owns destDir, or a directory above it, plays every trick
// while root uploads: whatever root does must stay in there.

const attackEnv = "COLMENA_GO_UPLOAD_TEST_ATTACK"

// tricks run in the attacker's process, as fast as they can, in turns.
var tricks = map[string]func(home string){
	"the stage swapped for a symlink to root's files": func(home string) {
		for _, stage := range stages(home) {
			os.Rename(stage, stage+".mine")
			os.Symlink("/srv/root", stage)
			os.Rename(stage, stage+".link")
			os.Rename(stage+".mine", stage)
		}
	},
	"the stage swapped for good": func(home string) {
		for _, stage := range stages(home) {
			os.Rename(stage, home+"/keys/loot"+filepath.Base(stage))
			os.Mkdir(stage, 0o777)
		}
	},
	"root's own directory in the stage's place": func(home string) {
		for _, stage := range stages(home) {
			os.Rename(stage, stage+".mine")
			os.Rename(home+"/keys/vault", stage)
			os.Rename(stage, home+"/keys/vault")
		}
	},
	"a symlink at the key's path": func(home string) {
		os.Remove(home + "/keys/k")
		os.Symlink("/srv/root/file", home+"/keys/k")
	},
	"a directory at the key's path": func(home string) {
		os.Remove(home + "/keys/k")
		os.Mkdir(home+"/keys/k", 0o777)
		os.Remove(home + "/keys/k")
	},
	"a pipe at the key's path": func(home string) {
		os.Remove(home + "/keys/k")
		syscall.Mkfifo(home+"/keys/k", 0o666)
	},
	"destDir swapped for a symlink": func(home string) {
		os.Rename(home+"/keys", home+"/keys2")
		os.Symlink("/srv/root", home+"/keys")
		os.Remove(home + "/keys")
		os.Rename(home+"/keys2", home+"/keys")
	},
	// A shell's plain cd goes by the name it remembers, not from where it is.
	"destDir swapped for one with a stage of the attacker's": func(home string) {
		for _, stage := range stages(home) {
			for _, sub := range []string{"/n", "/o"} {
				os.MkdirAll(home+"/mine/"+filepath.Base(stage)+sub, 0o777)
				os.Symlink("/srv/root/file", home+"/mine/"+filepath.Base(stage)+sub+"/k")
			}
			os.Rename(home+"/keys", home+"/keys2")
			os.Rename(home+"/mine", home+"/keys")
			time.Sleep(100 * time.Microsecond)
			os.Rename(home+"/keys", home+"/mine")
			os.Rename(home+"/keys2", home+"/keys")
		}
	},
	"leftovers swapped for a symlink to root's directory": func(home string) {
		link := home + "/keys/link"
		os.Symlink("/srv/root/vault", link)
		for i := range 50 {
			leftover := fmt.Sprint(home, "/keys/.colmena-go.", i, ".1")
			os.Mkdir(leftover, 0o700)
			for range 100 {
				exchange(leftover, link)
				exchange(leftover, link)
			}
		}
	},
	// Its parent is the directory that root came from.
	"destDir swapped for a symlink to root's directory beside it": func(home string) {
		os.Symlink(home+"/mnt", home+"/link")
		for range 1000 {
			exchange(home+"/keys", home+"/link")
		}
	},
	"leases on the key's file": func(home string) {
		signal.Ignore(syscall.SIGIO) // which asks to give them up
		lease(home + "/keys/k")
	},
	"another's secret under the key's name": func(home string) {
		os.Rename(home+"/keys/k", home+"/keys/k2")
		os.Rename(home+"/keys/other", home+"/keys/k")
		os.Rename(home+"/keys/k", home+"/keys/other")
	},
}

// lease has whoever opens the file wait, or returns nil. Only its owner, or root, can.
func lease(path string) *os.File {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	if _, err := unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		file.Close()
		return nil
	}
	held = append(held, file)
	return file
}

var held []*os.File

// exchange swaps two files in one step (RENAME_EXCHANGE, rename(2)).
func exchange(a, b string) { unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE) }

func stages(home string) []string {
	list, _ := filepath.Glob(home + "/keys/.colmena-go.*.1")
	return list
}

// attack is the attacker's main; it says when it has begun and ends when killed.
func attack(trick string) {
	fmt.Println("attacking")
	for {
		tricks[trick]("/srv/home")
	}
}

func TestAttacksOnAUsersDestDirHarmNothing(t *testing.T) {
	for trick := range tricks {
		t.Run(trick, func(t *testing.T) { underAttack(t, trick, "/srv/home/keys") })
	}
	// What counts is whose the directory is, not whose the way there.
	for _, trick := range []string{"the stage swapped for a symlink to root's files", "the stage swapped for good",
		"root's own directory in the stage's place", "destDir swapped for one with a stage of the attacker's"} {
		t.Run("a mount that root made: "+trick, func(t *testing.T) { underAttack(t, trick, "/srv/mounted") })
	}
}

func underAttack(t *testing.T, trick, dir string) {
	fresh(t)
	setup := exec.Command("sh", "-ec", `
mkdir -p /srv/root/sub /srv/home/keys/vault /srv/root/vault/n /srv/root/vault/o
touch /srv/root/vault/n/f /srv/root/vault/o/f; chmod 700 /srv/root/vault
echo root >/srv/root/file; echo k >/srv/root/k; chmod 640 /srv/root/*
echo precious >/srv/home/keys/vault/v; chmod 700 /srv/home/keys/vault
mkdir /srv/home/mnt; mount -t tmpfs none /srv/home/mnt; echo root >/srv/home/mnt/k
chown 1000:1000 /srv/home /srv/home/keys
mkdir /srv/mounted; mount --bind /srv/home/keys /srv/mounted`)
	defer syscall.Unmount("/srv/home/mnt", syscall.MNT_DETACH)
	defer syscall.Unmount("/srv/mounted", syscall.MNT_DETACH)
	if out, err := setup.CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	mustUpload(t, local{}, item("k", "secret-0", in(dir)), item("other", "root's", in(dir)))
	before := treasure(t)
	stop := startAttacker(t, trick)
	defer stop()
	refused, done := 0, 0
	for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		key := item("k", fmt.Sprintf("secret-%d", done+refused+1), in(dir), owned("1000", "1000", 0o644))
		_, err := Run(ctx, local{}, Request{Keys: []Item{key}, Who: "test"})
		if ctx.Err() != nil {
			t.Fatalf("the upload hung: %v", err)
		}
		cancel()
		if err != nil {
			refused++
		} else {
			done++
		}
		if after := treasure(t); after != before {
			t.Fatalf("harm was done:\nbefore:\n%s\nafter:\n%s", before, after)
		}
	}
	t.Logf("%d uploads went through, %d were refused", done, refused)
	stop()
	if out, _ := exec.Command("sh", "-c", "find /srv/home -name v -user root -perm 644 -size 9c").Output(); len(out) == 0 {
		t.Error("what root kept in a directory of its own is gone or changed")
	}
	if out, err := exec.Command("sh", "-ec", `grep -rl -e "root's" -e precious /srv/home | while read -r f; do stat -c '%u %a %n' "$f"; done`).Output(); err != nil {
		t.Error(err)
	} else {
		for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
			if !strings.HasPrefix(line, "0 ") || strings.HasPrefix(line, "0 644") && !strings.Contains(line, "vault") {
				t.Errorf("another's secret was handed out: %s", line)
			}
		}
	}
}

// treasure is everything of root's that must not change.
func treasure(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", `find /srv/root /srv/home/mnt /etc/passwd /etc/shadow -printf '%p %y %m %u %g %s %T@\n' | sort`).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func startAttacker(t *testing.T, trick string) (stop func()) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), attackEnv+"="+trick)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: 1000, Gid: 1000}, Pdeathsig: syscall.SIGKILL,
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal("the attacker did not start:", err)
	}
	stopped := false
	return func() {
		if !stopped {
			stopped = true
			cmd.Process.Kill()
			cmd.Wait()
		}
	}
}

// A shell's plain cd goes by the name it remembers, not from where it is. The
// program that the shell runs right before it swaps the destination here, so
// that the race is won every time.
func TestADestDirSwappedInTheNarrowestMomentHarmsNothing(t *testing.T) {
	for _, shell := range shells {
		for _, change := range []string{"content", "mode"} {
			t.Run(shell+" "+change, func(t *testing.T) {
				fresh(t)
				key := item("k", "old", in("/srv/home/keys"), owned("1000", "1000", 0o600))
				if out, err := exec.Command("sh", "-ec", `mkdir -p /srv/home/keys /srv/root /srv/shim; echo root >/srv/root/file
chmod 640 /srv/root/file; chown 1000:1000 /srv/home /srv/home/keys
cat >/srv/shim/stat <<'SHIM'
#!/bin/sh
/usr/bin/stat "$@" || exit
[ ! -e /srv/armed ] || { rm /srv/armed; mv /srv/home/keys /srv/home/keys2; mv /srv/home/mine /srv/home/keys; }
SHIM
chmod +x /srv/shim/stat`).CombinedOutput(); err != nil {
					t.Fatal(err, string(out))
				}
				mustUpload(t, local{}, key)
				t.Setenv("PATH", "/srv/shim:"+os.Getenv("PATH"))
				if change == "content" {
					key.Content = secret.New([]byte("new"))
				} else {
					key.Key.Mode = 0o666
				}
				before := treasure(t)
				arm := func(r io.Reader) io.Reader { return &armed{r: r} }
				_, err := Run(t.Context(), local{shell: shell, stdin: arm}, Request{Keys: []Item{key}, Who: "test"})
				t.Log("the upload: ", err)
				if _, err := os.Stat("/srv/home/keys2"); err != nil {
					t.Fatal("nothing was swapped: nothing is tested")
				}
				if after := treasure(t); after != before {
					t.Errorf("harm was done:\nbefore:\n%s\nafter:\n%s", before, after)
				}
				if out, _ := exec.Command("sh", "-c", "find /srv/home/keys -type f -o -user root").Output(); len(out) > 0 {
					t.Errorf("root put something into the attacker's directory: %s", out)
				}
			})
		}
	}
}

// mkdir here is a stand-in that puts something else where it has just made the
// stage: a directory of the attacker's, or a link to one of root's own beside it.
func TestAStageThatIsSwappedBeforeItIsEnteredIsRefused(t *testing.T) {
	for _, shell := range shells {
		t.Run(shell+" link", func(t *testing.T) { swappedStage(t, shell, `ln -s vault "$3"`) })
		t.Run(shell, func(t *testing.T) {
			swappedStage(t, shell, `install -d -o 1000 -m 0700 "$3" "$3/n" "$3/o"`)
		})
	}
}

func swappedStage(t *testing.T, shell, replacement string) {
	fresh(t)
	if out, err := exec.Command("sh", "-ec", `mkdir -p /srv/home/keys/vault/n /srv/home/keys/vault/o /srv/shim; chmod 700 /srv/home/keys/vault; chown 1000:1000 /srv/home /srv/home/keys
cat >/srv/shim/mkdir <<'SHIM'
#!/bin/sh
/usr/bin/mkdir "$@" || exit
case $3 in ./.colmena-go.*) mv "$3" /srv/home/taken; `+replacement+` ;; esac
SHIM
chmod +x /srv/shim/mkdir`).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	t.Setenv("PATH", "/srv/shim:"+os.Getenv("PATH"))
	_, err := upload(t, local{shell: shell}, item("k", "v", in("/srv/home/keys")))
	if err == nil || !strings.Contains(err.Error(), "swapped") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat("/srv/home/taken"); err != nil {
		t.Fatal("nothing was swapped: nothing is tested")
	}
	if out, _ := exec.Command("find", "/srv/home", "-type", "f").Output(); len(out) > 0 {
		t.Errorf("something of root's is in the attacker's directory: %s", out)
	}
	if _, err := os.Stat("/srv/home/keys/vault/n"); err != nil {
		t.Errorf("root's own directory was cleaned: %v", err)
	}
}

// Its file system is read-only by now.
func TestALeftoverThatCannotBeRemovedStopsNoUpload(t *testing.T) {
	for _, shell := range shells {
		fresh(t)
		defer syscall.Unmount("/srv/ro", syscall.MNT_DETACH)
		if out, err := exec.Command("sh", "-ec", `mkdir -p -m 700 /run/colmena-go; mkdir /srv/ro; mount -t tmpfs none /srv/ro
mkdir -p -m 700 /srv/ro/.colmena-go.1.1; mkdir /srv/ro/.colmena-go.1.1/n; touch /srv/ro/.colmena-go.1.1/n/f; mount -o remount,ro /srv/ro
echo /srv/ro/.colmena-go.1.1 >/run/colmena-go/stages`).CombinedOutput(); err != nil {
			t.Fatal(err, string(out))
		}
		for range 2 {
			mustUpload(t, local{shell: shell}, item("k", shell))
			onHost(t, "/run/keys/k", shell, 0, 0, 0o600)
		}
		syscall.Unmount("/srv/ro", syscall.MNT_DETACH)
	}
}

// mv here moves a directory away once it has renamed the first keys, so that the
// directory after it cannot be entered: those renamed go back, if they can.
func TestADirectoryThatGoesAwayWhileKeysAreRenamedUndoesThem(t *testing.T) {
	for _, shell := range shells {
		for away, want := range map[string]error{"two": ErrHost, "one two": ErrTorn} {
			t.Run(shell+" "+away, func(t *testing.T) {
				fresh(t)
				if out, err := exec.Command("sh", "-ec", `mkdir -p /srv/one /srv/two /srv/three /srv/shim; chown 1000:1000 /srv/one /srv/two
cat >/srv/shim/mv <<'SHIM'
#!/bin/sh
/usr/bin/mv "$@" || exit
case $* in *keys.new*) exit 0 ;; esac
[ -e /srv/armed ] || exit 0
rm /srv/armed; for dir in `+away+`; do /usr/bin/mv /srv/$dir /srv/$dir.away; /usr/bin/mkdir /srv/$dir; done
SHIM
chmod +x /srv/shim/mv`).CombinedOutput(); err != nil {
					t.Fatal(err, string(out))
				}
				set := func(content string) []Item {
					return []Item{item("c", content, in("/srv/three")), item("a", content, in("/srv/one")), item("b", content, in("/srv/two"))}
				}
				mustUpload(t, local{shell: shell}, set("old")...)
				t.Setenv("PATH", "/srv/shim:"+os.Getenv("PATH"))
				if err := os.WriteFile("/srv/armed", nil, 0o600); err != nil {
					t.Fatal(err)
				}
				_, err := upload(t, local{shell: shell}, set("new")...)
				if !errors.Is(err, want) || errors.Is(err, ErrHost) != (want == ErrHost) {
					t.Errorf("error %v, want %v", err, want)
				}
				onHost(t, "/srv/three/c", "old", 0, 0, 0o600)
				onHost(t, "/srv/two.away/b", "old", 0, 0, 0o600)
				if want == ErrHost {
					onHost(t, "/srv/one/a", "old", 0, 0, 0o600)
				}
			})
		}
	}
}

// A default ACL of the directory (acl(5)) would open what is made in it.
func TestAnACLOpensNoKeyToOthers(t *testing.T) {
	const user, none = 1000, 0xffffffff
	list := []byte{2, 0, 0, 0}
	for _, e := range [][3]uint32{{1, 7, none}, {2, 7, user}, {4, 7, none}, {0x10, 7, none}, {0x20, 0, none}} {
		list = binary.LittleEndian.AppendUint16(list, uint16(e[0]))
		list = binary.LittleEndian.AppendUint16(list, uint16(e[1]))
		list = binary.LittleEndian.AppendUint32(list, e[2])
	}
	open := func(path string) bool {
		size, err := unix.Getxattr(path, "system.posix_acl_access", nil)
		return err == nil && size > 0
	}
	for _, owner := range []int{0, user} {
		fresh(t)
		if err := errors.Join(os.Mkdir("/srv/keys", 0o755), os.Chown("/srv/keys", owner, owner),
			unix.Setxattr("/srv/keys", "system.posix_acl_default", list, 0)); err != nil {
			t.Fatal(err)
		}
		key := item("k", "v", in("/srv/keys"), owned("root", "60", 0o640))
		mustUpload(t, local{}, key)
		onHost(t, "/srv/keys/k", "v", 0, 60, 0o640)
		if open("/srv/keys/k") {
			t.Errorf("in a directory of user %d the key has an ACL", owner)
		}
		list[0] = 2
		if err := unix.Setxattr("/srv/keys/k", "system.posix_acl_access", list, 0); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod("/srv/keys/k", 0o640); err != nil || !open("/srv/keys/k") {
			t.Fatal(err, "the file has no ACL: nothing is tested")
		}
		if steps := mustUpload(t, local{}, key); steps[0].Change != plan.Mended || open("/srv/keys/k") {
			t.Errorf("in a directory of user %d: %v, ACL %v", owner, steps, open("/srv/keys/k"))
		}
		if steps := mustUpload(t, local{}, key); steps[0].Change != plan.Unchanged {
			t.Errorf("again: %v", steps)
		}
	}
}

// What only looks like a leftover of ours is not removed.
func TestADirectoryThatIsNoStageOfOursStays(t *testing.T) {
	fresh(t)
	if out, err := exec.Command("sh", "-ec", `mkdir -p /srv/home/keys; cd /srv/home/keys
mkdir -p .colmena-go.1.1/n .colmena-go.2.1/n; echo root >.colmena-go.1.1/n/f; echo theirs >.colmena-go.2.1/n/f
chmod 755 .colmena-go.1.1; chmod 700 .colmena-go.2.1; chown -R 1000 .colmena-go.2.1; ln -s /srv/home/keys/.colmena-go.1.1 .colmena-go.3.1
chown 1000:1000 . ..`).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	mustUpload(t, local{}, item("k", "v", in("/srv/home/keys")))
	onHost(t, "/srv/home/keys/.colmena-go.1.1/n/f", "root\n", 0, 0, 0o644)
	onHost(t, "/srv/home/keys/.colmena-go.2.1/n/f", "theirs\n", 1000, 0, 0o644)
}

// armed has the next stat swap the directory as soon as the second list is sent.
type armed struct {
	r     io.Reader
	calls int
}

func (a *armed) Read(p []byte) (int, error) {
	n, err := a.r.Read(p)
	if list := stages("/srv/home"); len(list) > 0 && a.calls == 0 {
		a.calls++
		for _, sub := range []string{"/n", "/o"} {
			mine := "/srv/home/mine/" + filepath.Base(list[0]) + sub
			os.MkdirAll(mine, 0o777)
			os.Symlink("/srv/root/file", mine+"/k")
			os.Chown(mine, 1000, 1000)
			os.Chown(filepath.Dir(mine), 1000, 1000)
			os.Chown("/srv/home/mine", 1000, 1000)
			os.Lchown(mine+"/k", 1000, 1000)
		}
		os.WriteFile("/srv/armed", nil, 0o600)
	}
	return n, err
}

// Only where nobody else can swap a file under our eyes is it read in its place.
func TestFilesThatOthersMaySwapAreReadInTheStage(t *testing.T) {
	for mode, staged := range map[os.FileMode]bool{
		0o700: false, 0o755: false, 0o750 | os.ModeSetgid: false,
		0o775: true, 0o757: true, 0o777 | os.ModeSticky: true, 0o770 | os.ModeSetgid: true,
	} {
		fresh(t)
		mustUpload(t, local{}, item("k", "v", in("/srv/d")))
		if err := os.Chmod("/srv/d", mode); err != nil {
			t.Fatal(err)
		}
		req := Request{Keys: []Item{item("k", "v", in("/srv/d"))}, Who: "test"}
		wanted, _, _ := contents(req.Keys)
		dirs := byDirectory(wanted)
		c := start(t.Context(), local{}, time.Minute)
		c.send(lookList(req, hostscript.ID(), dirs).bytes())
		if _, err := readLook(c.out, dirs, nil, nil, nil); err != nil {
			t.Fatal(c.explain(err, dirs))
		}
		if list, _ := filepath.Glob("/srv/d/.colmena-go*"); (len(list) > 0) != staged {
			t.Errorf("in a directory of mode %v there is %v", mode, list)
		}
		c.finish()
		tidy(t, "/srv/d")
	}
}
