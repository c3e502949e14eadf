package child

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// family starts a program with one child in its group and one in a session of
// its own, without stdout; each writes its process id into $1.
const family = `sh -c 'echo $$ >>"$1"; exec sleep 1000' sh "$1" &
setsid sh -c 'echo $$ >>"$1"; exec sleep 1000' sh "$1" >/dev/null 2>&1 &
echo $$ >>"$1"
wait`

const deployerEnv = "COLMENA_GO_CHILD_TEST_PIDS"

func TestMain(m *testing.M) {
	if pids := os.Getenv(deployerEnv); pids != "" {
		fmt.Println(start(pids))
		os.Exit(0)
	}
	if os.Getenv(privateEnv) != "" {
		KeepPrivate()
		out, err := exec.Command("sh", "-c", "ulimit -c").CombinedOutput()
		fmt.Print(string(out), err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const privateEnv = "COLMENA_GO_CHILD_TEST_PRIVATE"

// A Nix that crashes may hold the texts of keys.
func TestProgramsDumpNoCore(t *testing.T) {
	cmd := exec.Command("sh", "-c", `ulimit -S -c "$(ulimit -H -c)" && exec "$1"`, "sh", os.Args[0])
	cmd.Env = append(os.Environ(), privateEnv+"=1")
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "0\n<nil>" {
		t.Errorf("%v, %q", err, out)
	}
}

// start runs the family as pkg/keysource does a command.
func start(pids string) error {
	cmd := exec.Command("sh", "-c", family, "sh", pids)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	mark := NewMark()
	mark.Put(cmd)
	defer mark.Keep()()
	return Run(cmd, syscall.SIGKILL, nil)
}

// running waits for the three processes.
func running(t *testing.T, path string) []string {
	t.Helper()
	for range 1000 {
		text, _ := os.ReadFile(path)
		if pids := strings.Fields(string(text)); len(pids) == 3 && strings.HasSuffix(string(text), "\n") {
			return pids
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the processes did not start")
	return nil
}

// gone waits for the processes to end, and ends those that do not.
func gone(t *testing.T, pids []string) {
	t.Helper()
	for _, pid := range pids {
		over := false
		for range 500 {
			state, err := os.ReadFile("/proc/" + pid + "/stat")
			// Dead and not yet reaped is gone, too.
			if over = err != nil || strings.Contains(string(state), ") Z "); over {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if !over {
			t.Errorf("process %s still runs", pid)
			id, _ := strconv.Atoi(pid)
			syscall.Kill(id, syscall.SIGKILL)
		}
	}
}

func TestWhatAKilledDeployerStartedEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pids")
	deployer := exec.Command("/proc/self/exe")
	deployer.Env = append(os.Environ(), deployerEnv+"="+path)
	if err := deployer.Start(); err != nil {
		t.Fatal(err)
	}
	pids := running(t, path)
	if err := deployer.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	deployer.Wait()
	gone(t, pids)
}

func TestAMarkEndsWhatHasItAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	var pids [2][]string
	var marks [2]Mark
	for i := range marks {
		path := filepath.Join(dir, fmt.Sprint(i))
		cmd := exec.Command("sh", "-c", family, "sh", path)
		marks[i] = NewMark()
		marks[i].Put(cmd)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		pids[i] = running(t, path)
		defer cmd.Wait()
	}
	marks[0].Kill()
	gone(t, pids[0])
	for _, pid := range pids[1] {
		if text, _ := os.ReadFile("/proc/" + pid + "/stat"); len(text) == 0 || strings.Contains(string(text), ") Z ") {
			t.Errorf("process %s of another command was ended", pid)
		}
	}
	marks[1].Kill()
	gone(t, pids[1])
}

// The kernel means the death of a thread, and Go's come and go.
func TestAProgramOutlivesTheThreadsOfOthers(t *testing.T) {
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := Run(exec.Command("sleep", "0.3"), syscall.SIGKILL, nil); err != nil {
				t.Error(err)
			}
		})
	}
	for range 200 {
		all.Go(func() {
			runtime.LockOSThread() // and its thread ends with it
			time.Sleep(time.Millisecond)
		})
		time.Sleep(time.Millisecond)
	}
	all.Wait()
}
