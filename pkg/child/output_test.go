package child

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// slow takes its time for each Write.
type slow struct {
	bytes.Buffer
	pause time.Duration
}

func (s *slow) Write(p []byte) (int, error) {
	time.Sleep(s.pause)
	return s.Buffer.Write(p)
}

func sh(script string) *exec.Cmd {
	cmd := exec.Command("sh", "-c", script)
	cmd.WaitDelay = 20 * time.Millisecond
	return cmd
}

func TestWhatAProgramPrintedIsReadHoweverLongThatTakes(t *testing.T) {
	cmd := sh(`head -c 60000 /dev/zero; printf end; head -c 60000 /dev/zero >&2; printf END >&2`)
	out, said := &slow{pause: 100 * time.Millisecond}, &slow{pause: 200 * time.Millisecond}
	cmd.Stdout, cmd.Stderr = out, said
	if err := RunRead(cmd, syscall.SIGKILL, nil); err != nil {
		t.Error(err)
	}
	if out.Len() != 60003 || said.Len() != 60003 || !strings.HasSuffix(out.String(), "end") || !strings.HasSuffix(said.String(), "END") {
		t.Errorf("%d and %d bytes", out.Len(), said.Len())
	}
}

// ssh leaves such a one (ControlPersist), and its stderr with it.
func TestWhatAProgramLeavesRunningIsNotWaitedFor(t *testing.T) {
	for name, rest := range map[string]string{"silent": "exec sleep 1000", "one that prints and prints": "exec yes"} {
		t.Run(name, func(t *testing.T) {
			cmd := sh(`sh -c '` + rest + `' & printf "$!\n"; printf said >&2; exit 3`)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			var out, said bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &said
			begin := time.Now()
			err := RunRead(cmd, syscall.SIGKILL, nil)
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 3 || said.String() != "said" {
				t.Errorf("%v; %q", err, said.String())
			}
			if took := time.Since(begin); took > 30*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// full takes nothing.
type full struct{}

var errFull = errors.New("it is full")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWhoReadsNoMoreIsAnErrorThatEndsTheProgram(t *testing.T) {
	cmd := sh(`trap '' PIPE; while printf x; do :; done 2>/dev/null; exit 0`)
	cmd.Stdout = full{}
	if err := RunRead(cmd, syscall.SIGKILL, nil); !errors.Is(err, errFull) {
		t.Error(err)
	}
	cmd = exec.Command("/no such program")
	cmd.Stdout = full{}
	if err := RunRead(cmd, syscall.SIGKILL, nil); err == nil {
		t.Error("a program ran that is not there")
	}
}
