//go:build linux

package activation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/tests/lacking"
)

func TestTheSwitchRunsWithTheGoalAndItsExitStatusComesBack(t *testing.T) {
	needHost(t)
	top := system(t, `
case $1 in
  test) echo "testing"; exit 4 ;;
  dry-activate) echo "would do nothing" >&2; exit 0 ;;
esac
kill -9 $$
`)
	for _, c := range []struct {
		goal  hive.Goal
		exit  int
		lines []string
	}{
		{hive.Test, 4, []string{"testing"}},
		{hive.DryActivate, 0, []string{"would do nothing"}},
	} {
		var lines, notes []string
		o, err := Run(t.Context(), local{}, Request{Goal: c.goal, Toplevel: top}, Hooks{
			Output: func(l string) { lines = append(lines, l) },
			Note:   func(n string) { notes = append(notes, n) },
		})
		if err != nil || o.Exit != c.exit || !slices.Equal(lines, c.lines) {
			t.Errorf("%s: exit %d, output %q, %v; want %d, %q", c.goal, o.Exit, lines, err, c.exit, c.lines)
		}
		if len(notes) != 1 || !strings.Contains(notes[0], "systemd does not run here") {
			t.Errorf("%s: notes %q, want one that says why there is no unit", c.goal, notes)
		}
	}
	if left := activations(t); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestASwitchKilledByASignalIsToldFromOneThatFails(t *testing.T) {
	needHost(t)
	o, err := Run(t.Context(), local{}, Request{Goal: hive.Test, Toplevel: system(t, "kill -9 $$\n")}, Hooks{})
	if err != nil || o.Exit != 128+9 || !strings.Contains(fmt.Sprint(o.Err()), "signal 9") {
		t.Errorf("got %+v (%v), %v", o, o.Err(), err)
	}
}

func TestTheSwitchHasAnOrdinaryEnvironment(t *testing.T) {
	needHost(t)
	top := system(t, `
umask; pwd; echo "$HOME"; read -r line; echo "input: $line"
ls -l /proc/$$/fd | grep -c -e /running -e /activation.lock
`)
	var lines []string
	_, err := Run(t.Context(), local{}, Request{Goal: hive.Test, Toplevel: top},
		Hooks{Output: func(l string) { lines = append(lines, l) }})
	want := []string{"0022", "/", "/root", "input: ", "0"}
	if err != nil || !slices.Equal(lines, want) {
		t.Errorf("got %q, %v; want %q", lines, err, want)
	}
}

func TestEveryLineArrivesInOrder(t *testing.T) {
	needHost(t)
	top := system(t, `
i=0
while [ $i -lt 10000 ]; do
  echo "line $i"
  i=$((i + 1))
  case $i in *000) sleep 0.1 ;; esac
done
`)
	var lines []string
	if _, err := Run(t.Context(), local{}, Request{Goal: hive.Test, Toplevel: top},
		Hooks{Output: func(l string) { lines = append(lines, l) }}); err != nil {
		t.Fatal(err)
	}
	if len(lines) != 10000 {
		t.Fatalf("%d lines arrived", len(lines))
	}
	for i, line := range lines {
		if line != fmt.Sprintf("line %d", i) {
			t.Fatalf("line %d is %q", i, line)
		}
	}
}

func TestOutputArrivesWhileTheSwitchRuns(t *testing.T) {
	needHost(t)
	var lines []string
	_, err := Run(t.Context(), local{}, Request{Goal: hive.Test, Toplevel: interruptible(t)}, Hooks{Output: func(l string) {
		lines = append(lines, l)
		goOn(t)
	}})
	if want := []string{"begun", "over"}; err != nil || !slices.Equal(lines, want) {
		t.Errorf("got %q, %v", lines, err)
	}
}

// interruptible is a system whose switch says "begun" and ends when /run/go-on
// appears, or after a minute.
func interruptible(t *testing.T) string {
	t.Cleanup(func() { os.Remove("/run/go-on"); os.Remove("/run/finished") })
	return system(t, `
echo begun
left=600
until [ -e /run/go-on ]; do left=$((left - 1)); [ $left -gt 0 ] || exit 1; sleep 0.1; done
echo over
touch /run/finished
exit 4
`)
}

func goOn(t *testing.T) {
	t.Helper()
	if err := os.WriteFile("/run/go-on", nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// On NixOS sh is bash.
func TestBashFollowsAsDashDoes(t *testing.T) {
	needHost(t)
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(bash, filepath.Join(dir, "sh")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	TestOutputArrivesWhileTheSwitchRuns(t)
	os.Remove("/run/go-on")
	TestACancelledDeploymentLeavesTheActivationRunning(t)
}

func TestACancelledDeploymentLeavesTheActivationRunning(t *testing.T) {
	needHost(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Run(ctx, local{}, Request{Goal: hive.Test, Toplevel: interruptible(t)},
		Hooks{Output: func(string) { cancel() }})
	var detached *Detached
	if !errors.As(err, &detached) || !errors.Is(err, ErrGoesOn) || !errors.Is(err, context.Canceled) || !detached.Begun {
		t.Fatalf("got %v", err)
	}
	goOn(t)
	dir := filepath.Dir(detached.Log)
	eventually(t, "the end of the activation", func() bool {
		status, _ := os.ReadFile(dir + "/status")
		return strings.HasPrefix(string(status), "exit")
	})
	contains(t, dir+"/status", "exit 4")
	contains(t, detached.Log, "begun\nover")

	// The next activation removes what nobody has fetched.
	if _, err := Run(t.Context(), local{}, Request{Goal: hive.Test, Toplevel: system(t, "")}, Hooks{}); err != nil {
		t.Fatal(err)
	}
	if left := activations(t); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestAKilledFollowerDoesNotHarmTheActivation(t *testing.T) {
	needHost(t)
	var group atomic.Int64
	host := local{started: func(id int) { group.Store(int64(id)) }}
	_, err := Run(t.Context(), host, Request{Goal: hive.Test, Toplevel: interruptible(t)},
		Hooks{Output: func(string) { syscall.Kill(-int(group.Load()), syscall.SIGKILL) }})
	if !errors.Is(err, ErrGoesOn) {
		t.Fatalf("got %v", err)
	}
	goOn(t)
	eventually(t, "the end of the switch", func() bool { return exists("/run/finished") })
	eventually(t, "the end of the activation", func() bool {
		return exec.Command("flock", "-n", "/run/colmena-go/activation.lock", "true").Run() == nil
	})
}

func TestASecondActivationIsRefusedAndToldOfTheFirst(t *testing.T) {
	needHost(t)
	top := interruptible(t)
	var once atomic.Bool
	o, err := Run(t.Context(), local{}, Request{Goal: hive.Test, Toplevel: top}, Hooks{Output: func(string) {
		if once.Swap(true) {
			return
		}
		_, err := Run(t.Context(), local{}, Request{Goal: hive.Test, Toplevel: system(t, "touch /run/second")}, Hooks{})
		if running := filepath.Base(activations(t)[0]); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), running) {
			t.Errorf("got %v, want one that names %s", err, running)
		}
		goOn(t)
	}})
	if err != nil || o.Exit != 4 {
		t.Errorf("the first activation ended with %+v, %v", o, err)
	}
	if exists("/run/second") {
		t.Error("the second activation ran")
	}
	if left := activations(t); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestAToplevelThatIsNotOnTheHostChangesNothing(t *testing.T) {
	needHost(t)
	_, err := Run(t.Context(), local{}, Request{Goal: hive.Switch, Toplevel: "/nix/store/0-absent"}, Hooks{})
	if !errors.Is(err, ErrHost) || !strings.Contains(err.Error(), "/nix/store/0-absent is not a NixOS system") {
		t.Errorf("got %v", err)
	}
	if left := activations(t); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// Those who wait for the first are gone with its lock, and whoever followed it as well.
func TestASecondActivationIsRefusedWhileTheSwitchOfTheFirstGoesOn(t *testing.T) {
	needHost(t)
	for _, follows := range []bool{true, false} {
		t.Run(fmt.Sprintf("followed: %v", follows), func(t *testing.T) {
			second := func() error {
				_, err := Run(t.Context(), local{}, Request{Goal: hive.Test, Toplevel: system(t, "touch /run/second\n")}, Hooks{})
				return err
			}
			t.Cleanup(func() { os.Remove("/run/second") })
			var first string
			refused := func() {
				if err := second(); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), first) || exists("/run/second") {
					t.Errorf("got %v, want one that names %s", err, first)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			o, err := Run(ctx, local{}, Request{Goal: hive.Test, Toplevel: interruptible(t)}, Hooks{Output: func(line string) {
				if line != "begun" {
					return
				}
				first = filepath.Base(activations(t)[0])
				killWaiting(t, all)
				if !follows {
					cancel()
					return
				}
				refused()
				goOn(t)
			}})
			if follows && (err != nil || !errors.Is(o.Err(), ErrKilled)) || !follows && !errors.Is(err, ErrGoesOn) {
				t.Errorf("the first: %+v, %v", o, err)
			}
			if !follows {
				refused()
				refused()
				goOn(t)
			}
			eventually(t, "the end of the first switch", func() bool { return exists("/run/finished") })
			eventually(t, "the second one runs", func() bool {
				err := second()
				if err != nil && !errors.Is(err, ErrBusy) {
					t.Fatal(err)
				}
				return err == nil
			})
			if left := activations(t); len(left) > 0 || !exists("/run/second") {
				t.Errorf("left behind: %q; the second ran: %v", left, exists("/run/second"))
			}
		})
	}
}

func TestAProfileThatCannotBeSetActivatesNothing(t *testing.T) {
	needHost(t)
	if _, err := exec.LookPath("nix-env"); err != nil {
		lacking.Skip(t, "needs nix-env")
	}
	// The stand-in is no store path, which nix-env refuses.
	top := system(t, "touch /run/activated\n")
	var lines []string
	_, err := Run(t.Context(), local{}, Request{Goal: hive.Boot, Toplevel: top},
		Hooks{Output: func(l string) { lines = append(lines, l) }})
	if !errors.Is(err, ErrProfile) || exists("/run/activated") {
		t.Errorf("got %v; activated: %v", err, exists("/run/activated"))
	}
	if !strings.Contains(strings.Join(lines, "\n"), top) {
		t.Errorf("nix-env's reason is missing from the output: %q", lines)
	}
}

// cutAfter ends the input after n bytes, as a broken connection does.
func cutAfter(n int64) func(io.Reader) io.Reader {
	return func(r io.Reader) io.Reader { return io.LimitReader(r, n) }
}

func TestATruncatedScriptOrListRunsNothing(t *testing.T) {
	needHost(t)
	req := Request{Goal: hive.Test, Toplevel: system(t, "touch /run/activated\n"), WaitFor: []string{"a-key.service"}}
	script := len(hostscript.Proving("0123456789abcdef", hostScript))
	whole := script + len(newFollower("0123456789abcdef", "0123456789abcdef", req, Hooks{}).list())
	os.RemoveAll("/run/colmena-go")
	for n := 0; n < whole; n++ {
		if n < script-100 { // the list is cut at every byte, the script at many
			n += 4
		}
		_, err := Run(t.Context(), local{stdin: cutAfter(int64(n))}, req, Hooks{})
		if err == nil || exists("/run/colmena-go") || exists("/run/activated") {
			t.Fatalf("cut after byte %d of %d: error %v; something ran", n, whole, err)
		}
	}
}

func TestEveryLoginShellUnderstandsTheCommand(t *testing.T) {
	needHost(t)
	for _, shell := range []string{"dash", "bash", "fish", "zsh"} {
		t.Run(shell, func(t *testing.T) {
			if _, err := exec.LookPath(shell); err != nil {
				lacking.Skip(t, shell+" is not installed")
			}
			o, err := Run(t.Context(), local{shell: shell}, Request{Goal: hive.Test, Toplevel: system(t, "exit 100\n")}, Hooks{})
			if err != nil || !o.RebootNeeded() {
				t.Errorf("got %+v, %v", o, err)
			}
		})
	}
}

func TestAHostIsAskedForItsSystems(t *testing.T) {
	needHost(t)
	if has, err := Inspect(t.Context(), local{}); err != nil || has.Current != "" {
		t.Errorf("without a link: %+v, %v", has, err)
	}
	top := system(t, "")
	if err := os.Symlink(top, "/run/current-system"); err != nil {
		t.Fatal(err)
	}
	if has, err := Inspect(t.Context(), local{}); err != nil || has.Current != top || !has.Has(top) || has.Has("/nix/store/other") {
		t.Errorf("got %+v, %v; want %q", has, err, top)
	}
	os.Remove("/run/current-system")
	if err := os.Symlink("/run/no\nsystem", "/run/current-system"); err != nil {
		t.Fatal(err)
	}
	os.Mkdir("/run/no\nsystem", 0o755)
	if has, err := Inspect(t.Context(), local{}); err == nil {
		t.Errorf("a path of two lines: %+v", has)
	}
}

// saying is a host that answers a question with a text.
type saying string

func (s saying) Run(_ context.Context, command string, _ io.Reader, stdout, _ io.Writer) error {
	mark, _, _ := strings.Cut(strings.TrimPrefix(command, "sh -c 'echo "), ";")
	io.WriteString(stdout, strings.ReplaceAll(mark, `""`, "")+"\n")
	for range 1000 {
		if _, err := io.WriteString(stdout, string(s)); err != nil {
			return err
		}
	}
	return nil
}

func TestAnAnswerThatMakesNoSenseIsCut(t *testing.T) {
	for _, text := range []string{"", "x", "/nix/store/a\n", strings.Repeat("y\n", 1000)} {
		if _, err := Inspect(t.Context(), saying(text)); err == nil || len(err.Error()) > 500 {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

// 100 MB are more than /run may hold: here it is a tmpfs of half the memory, so
// that the size of what is kept is looked at.
func TestOutputWithoutEndIsNotKeptAndHarmsNothing(t *testing.T) {
	needHost(t)
	top := system(t, "echo first\nhead -c 100000000 /dev/zero | tr '\\0' 'x' | fold -w 1000\necho\ndu -s /run/colmena-go | cut -f1 >/run/kept\necho last\n")
	var lines []string
	o, err := Run(t.Context(), local{}, Request{Goal: hive.Test, Toplevel: top}, Hooks{Output: func(l string) { lines = append(lines, l) }})
	if err != nil || o.Exit != 0 || o.Err() != nil {
		t.Fatalf("got %+v, %v", o, err)
	}
	text, _ := os.ReadFile("/run/kept")
	var kept int
	if fmt.Sscan(string(text), &kept); kept == 0 || kept > 9000 {
		t.Errorf("%d KiB are kept", kept)
	}
	if lines[0] != "first" || lines[len(lines)-1] != "last" || !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "more than is kept") }) {
		t.Errorf("%d lines from %.30q to %.30q", len(lines), lines[0], lines[len(lines)-1])
	}
}

// full makes /run/colmena-go a small file system of its own.
func full(t *testing.T, size string) {
	t.Helper()
	os.RemoveAll("/run/colmena-go")
	if err := os.MkdirAll("/run/colmena-go", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", "/run/colmena-go", "tmpfs", 0, "mode=0700,size="+size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount("/run/colmena-go", syscall.MNT_DETACH) })
}

func TestAFullRunDoesNotHideHowTheSwitchEnded(t *testing.T) {
	needHost(t)
	full(t, "100k")
	top := system(t, "head -c 1000000 /dev/zero >/run/colmena-go/filled\nseq 100000\nexit 4\n")
	o, err := Run(t.Context(), local{}, Request{Goal: hive.Test, Toplevel: top}, Hooks{})
	if err != nil || o.Exit != 4 || o.Killed != "" {
		t.Errorf("got %+v, %v", o, err)
	}
}

func TestARunThatIsFullBeforehandChangesNothing(t *testing.T) {
	needHost(t)
	full(t, "100k")
	os.WriteFile("/run/colmena-go/filled", make([]byte, 1_000_000), 0o600)
	o, err := Run(t.Context(), local{}, Request{Goal: hive.Test, Toplevel: system(t, "touch /run/activated\n")}, Hooks{})
	if !errors.Is(err, ErrHost) || exists("/run/activated") {
		t.Errorf("got %+v, %v", o, err)
	}
}

func TestADaemonThatASwitchLeavesIsNotWaitedForAndLivesOn(t *testing.T) {
	needHost(t)
	top := system(t, "(sleep 4; echo talk; touch /run/daemon-lives) &\necho over\n")
	t.Cleanup(func() { os.Remove("/run/daemon-lives") })
	var lines []string
	begin := time.Now()
	o, err := Run(t.Context(), local{}, Request{Goal: hive.Test, Toplevel: top}, Hooks{Output: func(l string) { lines = append(lines, l) }})
	if err != nil || o.Err() != nil || !slices.Equal(lines, []string{"over"}) || time.Since(begin) > 3500*time.Millisecond {
		t.Errorf("after %v: %+v, %q, %v", time.Since(begin), o, lines, err)
	}
	eventually(t, "the daemon writes and lives", func() bool { return exists("/run/daemon-lives") })
}

// The main process of the unit is only one of several.
func TestASwitchWhoseMainProcessIsKilledIsFollowedToItsEnd(t *testing.T) {
	needHost(t)
	o, err := Run(t.Context(), local{}, Request{Goal: hive.Test, Toplevel: interruptible(t)}, Hooks{Output: func(l string) {
		if l == "begun" {
			killWaiting(t, oldest)
			goOn(t)
		}
	}})
	if err != nil || o.Exit != 4 || o.Killed != "" {
		t.Errorf("got %+v, %v", o, err)
	}
}

func TestASwitchThatLosesAllWhoWaitForItIsWaitedForAndNotCalledKilledBefore(t *testing.T) {
	needHost(t)
	o, err := Run(t.Context(), local{}, Request{Goal: hive.Test, Toplevel: interruptible(t)}, Hooks{Output: func(l string) {
		if l == "begun" {
			killWaiting(t, all)
			time.AfterFunc(1500*time.Millisecond, func() { os.WriteFile("/run/go-on", nil, 0o600) })
		}
	}})
	if err != nil || o.Killed == "" || !o.Active() || !errors.Is(o.Err(), ErrKilled) {
		t.Errorf("got %+v, %v", o, err)
	}
	if !exists("/run/finished") {
		t.Error("the switch had not finished when it was called killed")
	}
}

// What tells us that the switch has ended may be gone before it.
func TestAnEndThatIsWaitedForInVainIsReadAllTheSame(t *testing.T) {
	needHost(t)
	o, err := Run(t.Context(), local{}, Request{Goal: hive.Test, Toplevel: interruptible(t)}, Hooks{Output: func(l string) {
		if l == "begun" {
			if killOurs(t, "flock\x00-s\x005\x00") == 0 {
				t.Error("nothing waits for the end")
			}
			time.AfterFunc(1500*time.Millisecond, func() { os.WriteFile("/run/go-on", nil, 0o600) })
		}
	}})
	if err != nil || o.Exit != 4 || o.Killed != "" {
		t.Errorf("got %+v, %v", o, err)
	}
}

// inOurs lists the processes of this test's mount namespace with a command line.
func inOurs(line string) (pids []int) {
	ours, _ := os.Readlink("/proc/self/ns/mnt")
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		text, _ := os.ReadFile(path)
		theirs, _ := os.Readlink(filepath.Dir(path) + "/ns/mnt")
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil && theirs == ours && string(text) == line {
			pids = append(pids, pid)
		}
	}
	return pids
}

func killOurs(t *testing.T, line string) int {
	t.Helper()
	pids := inOurs(line)
	for _, pid := range pids {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	return len(pids)
}

func TestARunThatTakesNoMoreFilesIsTold(t *testing.T) {
	needHost(t)
	os.RemoveAll("/run/colmena-go")
	os.MkdirAll("/run/colmena-go", 0o700)
	for _, inodes := range []int{1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12} { // 7 are right as well, after half a minute
		if err := syscall.Mount("tmpfs", "/run/colmena-go", "tmpfs", 0, fmt.Sprintf("mode=0700,nr_inodes=%d", inodes)); err != nil {
			t.Fatal(err)
		}
		top := system(t, "exit 4\n")
		o, err := Run(t.Context(), local{}, Request{Goal: hive.Test, Toplevel: top}, Hooks{})
		if !errors.Is(err, ErrHost) && (err != nil || o.Exit != 4 || o.Killed != "") {
			t.Errorf("with %d inodes: %+v, %v", inodes, o, err)
		}
		syscall.Unmount("/run/colmena-go", syscall.MNT_DETACH)
	}
}

// saidAlive records what the host says besides lines of the activation.
type saidAlive struct {
	local
	said *strings.Builder
}

func (s saidAlive) Run(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) error {
	return s.local.Run(ctx, command, stdin, io.MultiWriter(stdout, s.said), stderr)
}

func TestASwitchThatSaysNothingForLongIsKnownToBeAlive(t *testing.T) {
	needHost(t)
	before := pulse
	pulse = 500 * time.Millisecond
	defer func() { pulse = before }()
	var said strings.Builder
	o, err := Run(t.Context(), saidAlive{local{}, &said}, Request{Goal: hive.Test, Toplevel: system(t, "sleep 2.5\n")}, Hooks{
		Output: func(line string) { t.Errorf("output: %q", line) },
	})
	if err != nil || o.Err() != nil || strings.Count(said.String(), " alive\n") < 2 {
		t.Errorf("%+v, %v: %q", o, err, said.String())
	}
}
