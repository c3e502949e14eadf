package hosts_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/tests/typist"
)

// typing runs the program on a terminal.
func (d *deployer) typing(args ...string) *typist.Session {
	d.t.Helper()
	cmd := d.command(args...)
	cmd.Env = append(append([]string{}, cmd.Env...), "TERM=xterm-test")
	return typist.Start(d.t, cmd)
}

func TestACommandOfOneHostMayHaveTheTerminal(t *testing.T) {
	d := deploying(t, 2)
	d.hive(`{ host1 = {}; host2.deployment = { targetUser = "deployer"; privilegeEscalationCommand = [ "sudo" "-H" "--" ]; }; }`)

	s := d.typing("exec", "--tty", "--on", "host1", "--", `trap 'echo size $(stty size)' WINCH; trap 'echo heard it' INT; echo "$TERM"; stty size; read -r line; echo "got $line"; while :; do read -r line || continue; [ "$line" = end ] && break; done; exit 3`)
	s.Await("host1 | the terminal is the command's until it ends")
	s.Await("xterm-test")
	s.Await("24 200")
	s.Type("hello\n")
	s.Await("got hello")
	s.Resize(30, 100)
	for range 100 { // bash sees to a signal once its read is over, and the size may come after that
		s.Type("\n")
		time.Sleep(100 * time.Millisecond)
		if strings.Contains(s.Shown(), "size 30 100") {
			break
		}
	}
	s.Await("size 30 100")
	s.Type("\x03")
	s.Type("\n")
	s.Await("heard it")
	s.Type("end\n")
	if code := s.Wait(); code != 1 {
		t.Errorf("exit %d", code)
	}
	if text := s.Shown(); !strings.Contains(text, "the command ended with status 3") {
		t.Error("the status is not told")
	}

	// As root, whoever logs in; with exact words.
	s = d.typing("exec", "--tty", "--argv", "--on", "host2", "--", "sh", "-c", `tty -s && echo "$(whoami) $1"`, "sh", "it's  $HOME")
	s.Await("root it's  $HOME\n")
	if code := s.Wait(); code != 0 {
		t.Errorf("exit %d", code)
	}
	s = d.typing("exec", "--tty", "--no-escalation", "--on", "host2", "--", "whoami")
	s.Await("deployer\n")
	if code := s.Wait(); code != 0 {
		t.Errorf("exit %d", code)
	}

	// A signal from elsewhere ends it on both sides, and leaves the terminal as it was.
	s = d.typing("exec", "--tty", "--on", "host1", "--", "echo begun; sleep 4325")
	s.Await("begun")
	if s.Echoes() {
		t.Error("what is typed is shown twice")
	}
	s.Cmd.Process.Signal(syscall.SIGTERM)
	if code := s.Wait(); code != 130 {
		t.Errorf("exit %d", code)
	}
	d.ended("host1", "sleep 4325")

	for want, args := range map[string][]string{
		"--tty is for one host, and 2 nodes are selected": {"exec", "--tty", "--", "true"},
		"have no place there":                             {"exec", "--tty", "--json", "--on", "host1", "--", "true"},
	} {
		s := d.typing(args...)
		if code := s.Wait(); code != 2 || !strings.Contains(s.Shown(), want) {
			t.Errorf("%v: exit %d", args, code)
		}
	}
	if o := d.run("exec", "--tty", "--on", "host1", "--", "true"); o.code != 2 || !strings.Contains(o.stderr, "--tty needs a terminal") {
		t.Errorf("without a terminal: exit %d\n%s", o.code, o.stderr)
	}
}
