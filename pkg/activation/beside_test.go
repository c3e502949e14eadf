package activation

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

// What else there is on the host: others' switches, a boot that has not ended,
// mounts, a full /run.

func TestALostSwitchIsNotTakenForThatOfSomebodyElse(t *testing.T) {
	needHost(t)
	foreign := exec.Command("sh", "-c", "sleep 30; :", "/run/system-other/bin/switch-to-configuration", "test")
	foreign.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := foreign.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		syscall.Kill(-foreign.Process.Pid, syscall.SIGKILL)
		foreign.Wait()
	}()
	begin := time.Now()
	o, err := Run(t.Context(), local{}, Request{Goal: hive.Test, Toplevel: interruptible(t)}, Hooks{Output: func(l string) {
		if l == "begun" {
			killWaiting(t, all)
			goOn(t)
		}
	}})
	if err != nil || !errors.Is(o.Err(), ErrKilled) || time.Since(begin) > 20*time.Second {
		t.Errorf("after %v: %+v, %v", time.Since(begin), o, err)
	}
}

// booting puts a systemd before that of the machine whose boot waits for a key.
func booting(t *testing.T) (path string) {
	t.Helper()
	path = t.TempDir()
	for name, script := range map[string]string{
		"systemctl": `case $1 in is-system-running) echo starting ;; list-jobs) echo "7 a-key.service start running" ;; stop) echo "$2" >>"${0%/*}/stopped" ;; esac`,
		"nix-env":   "",
	} {
		if err := os.WriteFile(filepath.Join(path, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", path+":"+os.Getenv("PATH"))
	return path
}

func TestOnlyASwitchThatWaitsForTheBootNeedsItToEnd(t *testing.T) {
	needHost(t)
	for name, c := range map[string]struct {
		goal  hive.Goal
		perl  bool
		waits bool
	}{
		"that of today":      {hive.Test, false, true},
		"a dry activation":   {hive.DryActivate, false, true},
		"for the next boot":  {hive.Boot, false, false},
		"the one before it":  {hive.Test, true, false},
		"its dry activation": {hive.DryActivate, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := booting(t)
			top := system(t, "exit 0\n")
			if c.perl {
				program := filepath.Join(top, "bin/switch-to-configuration")
				text, err := os.ReadFile(program)
				if err != nil {
					t.Fatal(err)
				}
				err = errors.Join(os.Symlink("/bin/sh", filepath.Join(top, "bin/perl")),
					os.WriteFile(program, []byte(strings.Replace(string(text), "/bin/sh", top+"/bin/perl", 1)), 0o755))
				if err != nil {
					t.Fatal(err)
				}
			}
			// Without keys the boot cannot be helped, with them its unit is stopped.
			_, err := Run(t.Context(), local{}, Request{Goal: c.goal, Toplevel: top, Keyless: true}, Hooks{})
			if refused := errors.Is(err, ErrHost) && strings.Contains(err.Error(), "a-key.service waits for its key"); refused != c.waits || !refused && err != nil {
				t.Errorf("without keys: %v", err)
			}
			if o, err := Run(t.Context(), local{}, Request{Goal: c.goal, Toplevel: top}, Hooks{}); err != nil || o.Exit != 0 {
				t.Errorf("with keys: %+v, %v", o, err)
			}
			if stopped := exists(filepath.Join(path, "stopped")); stopped != c.waits {
				t.Errorf("the unit was stopped: %v, want %v", stopped, c.waits)
			}
		})
	}
}

// A /run without a free inode takes no new file.
func TestASwitchThatPrintsMoreThanCanBeKeptEndsAsEver(t *testing.T) {
	needHost(t)
	top := system(t, `cd /run/colmena-go/activate-* && mkdir last || exit 5
head -c 20000000 /dev/zero | tr '\0' x | fold -w 1000
echo
echo over
exit 4
`)
	o, err := Run(t.Context(), local{}, Request{Goal: hive.Test, Toplevel: top}, Hooks{})
	if err != nil || o.Exit != 4 || o.Killed != "" {
		t.Errorf("got %+v, %v", o, err)
	}
}

// Such as where the store is mounted a second time.
func TestASystemIsTheSameByAnotherWay(t *testing.T) {
	needHost(t)
	other, err := os.MkdirTemp("/run", "mounted-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(other)
	top := system(t, "ln -sfn "+other+" /run/current-system\n")
	if err := syscall.Mount(top, other, "", syscall.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer syscall.Unmount(other, syscall.MNT_DETACH)
	o, err := Run(t.Context(), local{}, Request{Goal: hive.Test, Toplevel: top}, Hooks{})
	if err != nil || !o.Active() || o.Err() != nil {
		t.Errorf("got %+v (%v), %v", o, o.Err(), err)
	}
}
