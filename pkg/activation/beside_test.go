//go:build linux

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

// A job that waits for another one will wait for its key after it, unless that is there.
func TestAQueuedUnitHoldsUpTheBootIfItsKeyIsMissing(t *testing.T) {
	needHost(t)
	for _, c := range []struct {
		jobs, unit string
		refused    bool
	}{
		{"start waiting", `"/run/the key" %n`, true},
		{"start running", `"/run/the key" %n`, true},
		{"start waiting", `"/run/there" %n`, false},
		{"start running", `"/run/there" %n`, false},
		{"start waiting", `"/run/link" %n`, true},
		{"start waiting", `"/run" %n`, true},
		{"start waiting", ``, true},
		{"stop waiting", `"/run/the key" %n`, false},
	} {
		path := booting(t)
		err := errors.Join(os.WriteFile(filepath.Join(path, "systemctl"), []byte(`#!/bin/sh
case $1 in is-system-running) echo starting ;; list-jobs) echo "7 a-key.service `+c.jobs+`" ;; show) echo "${0%/*}/unit" ;; esac
`), 0o755),
			os.WriteFile(filepath.Join(path, "unit"), []byte("[Service]\nExecStart=/nix/store/await-key "+c.unit+"\n"), 0o644),
			os.WriteFile("/run/there", nil, 0o600), os.RemoveAll("/run/link"), os.Symlink("/run/there", "/run/link"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = Run(t.Context(), local{}, Request{Goal: hive.Test, Toplevel: system(t, ""), Keyless: true}, Hooks{})
		if c.refused != errors.Is(err, ErrHost) || !c.refused && err != nil {
			t.Errorf("%s, ExecStart=… %s: %v", c.jobs, c.unit, err)
		}
	}
}

// A boot that has ended stays so until systemd is started anew.
func TestSystemdIsAskedOnceWhetherTheBootHasEnded(t *testing.T) {
	needHost(t)
	path := t.TempDir()
	t.Setenv("PATH", path+":"+os.Getenv("PATH"))
	t.Cleanup(func() { os.RemoveAll("/run/systemd"); os.RemoveAll("/run/colmena-go") })
	os.RemoveAll("/run/colmena-go")
	says := func(state string) {
		t.Helper()
		script := "#!/bin/sh\n[ $1 != is-system-running ] || { echo asked >>${0%/*}/asked; echo " + state + "; }\n"
		if err := os.WriteFile(filepath.Join(path, "systemctl"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	starts := func() {
		t.Helper()
		err := errors.Join(os.MkdirAll("/run/systemd", 0o755), os.WriteFile("/run/systemd/new", nil, 0o600), os.Rename("/run/systemd/new", "/run/systemd/private"))
		if err != nil {
			t.Fatal(err)
		}
	}
	switches := func(what string, asked int) {
		t.Helper()
		os.Remove(filepath.Join(path, "asked"))
		for range 2 {
			if o, err := Run(t.Context(), local{}, Request{Goal: hive.Test, Toplevel: system(t, "")}, Hooks{}); err != nil || o.Err() != nil {
				t.Errorf("%s: %+v, %v", what, o, err)
			}
		}
		text, _ := os.ReadFile(filepath.Join(path, "asked"))
		if got := strings.Count(string(text), "asked"); got != asked {
			t.Errorf("%s: it was asked %d times, want %d", what, got, asked)
		}
	}
	says("running")
	switches("no systemd", 2)
	starts()
	switches("a boot that has ended", 1)
	says("starting")
	switches("the same boot", 0)
	starts()
	switches("a boot that goes on", 2)
	says("maintenance")
	switches("an answer of another kind", 2)
	says("degraded")
	switches("a boot that ended with failures", 1)
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
