package hosts_test

import (
	"bytes"
	"crypto/md5"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/tests/schemas"
)

// fed runs the program with an input.
func (d *deployer) fed(input string, args ...string) (stdout, stderr string, code int) {
	d.t.Helper()
	cmd := d.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	cmd.Run()
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// sorted are the lines of a text.
func sorted(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestExecRunsACommandAsSSHDoes(t *testing.T) {
	d := deploying(t, 3)
	d.hive(`{ host1 = {}; host2 = {}; host3.deployment.targetUser = "deployer";
	  none = { deployment.targetHost = null; environment.etc.x.text = throw "no system is evaluated"; }; }`)
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"words are joined and read by the shell", []string{"--", "cd", "/etc;", "echo", "$(whoami)", "'a  b'", "hostna*"}, "host1 | root a  b hostname\nhost2 | root a  b hostname\nhost3 | root a  b hostname"},
		{"or none of them is", []string{"--argv", "printf", "%s|", "$HOME", "a  b", "it's"}, "host1 | $HOME|a  b|it's|\nhost2 | $HOME|a  b|it's|\nhost3 | $HOME|a  b|it's|"},
		{"as the user of the login", []string{"--no-escalation", "whoami"}, "host1 | root\nhost2 | root\nhost3 | deployer"},
	} {
		stdout, stderr, code := d.fed("", append([]string{"exec", "--on", "host*"}, c.args...)...)
		if code != 0 || sorted(stdout) != c.want || !strings.Contains(stderr, "3 of 3 nodes succeeded") {
			t.Errorf("%s: exit %d\n%s\n%s", c.name, code, stdout, stderr)
		}
	}

	// Their streams are apart, and one status is enough to fail.
	stdout, stderr, code := d.fed("", "exec", "echo", "out;", "echo err >&2; [ $(hostname) != host2 ] || exit 3")
	if code != 1 || sorted(stdout) != "host1 | out\nhost2 | out\nhost3 | out" || strings.Count(stderr, " | err\n") != 3 {
		t.Errorf("exit %d\n%s\n%s", code, stdout, stderr)
	}
	for _, says := range []string{"host2: failed (exec):\n  the command ended with status 3", "2 of 4 nodes succeeded, 1 failed, 1 skipped", "exec --on host2 -- echo"} {
		if !strings.Contains(stderr, says) {
			t.Errorf("%q is not in\n%s", says, stderr)
		}
	}

	// One input goes to all, whole, and none of it by default.
	input := strings.Repeat("0123456789abcde\n", 200_000)
	stdout, stderr, code = d.fed(input, "exec", "--on", "host*", "--stdin", "--group", "md5sum")
	if want := fmt.Sprintf("host1 … host3: same output\n%x  -\n", md5.Sum([]byte(input))); code != 0 || stdout != want {
		t.Errorf("exit %d\n%s\n%s", code, stdout, stderr)
	}
	if stdout, _, _ := d.fed(input, "exec", "--on", "host1", "wc", "-c"); stdout != "host1 | 0\n" {
		t.Errorf("the input went there: %s", stdout)
	}
}

func TestExecSpeaksToTheLoginShellOfEachHostSoManyAtOnce(t *testing.T) {
	d := deploying(t, 3)
	d.hive(`{ host1.deployment.targetUser = "fishy"; host2.deployment.targetUser = "fishy"; host3.deployment.targetUser = "fishy"; }`)
	// fish has no $( ), and set(1) of its own; the hosts have one clock.
	stdout, stderr, code := d.fed("", "exec", "--no-escalation", "-p", "1", "--", "set now (date +%s%N); sleep 0.4; echo $now (date +%s%N)")
	if code != 0 || strings.Count(stdout, "\n") != 3 {
		t.Fatalf("exit %d\n%s\n%s", code, stdout, stderr)
	}
	var ended int64
	for line := range strings.Lines(stdout) { // in the order of their ends
		var host string
		var from, to int64
		if _, err := fmt.Sscanf(line, "%s | %d %d", &host, &from, &to); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if from < ended {
			t.Errorf("%s began before the one before it had ended", host)
		}
		ended = to
	}
}

// The input of a command comes behind a password, and is none of it.
func TestExecIsRootsWithAPassword(t *testing.T) {
	d := deploying(t, 2)
	d.asksOn("host1", "open sesame")
	d.hive("{" + nodes([]string{"host1", "host2"}, "deployer", "") + "}")
	cmd := d.command("exec", "--stdin", "--", "whoami; cat; sudo -k; sleep 0.1")
	given(t, cmd, "open sesame")
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader("input\n"), &out, &errs
	if err := cmd.Run(); err != nil || sorted(out.String()) != "host1 | input\nhost1 | root\nhost2 | input\nhost2 | root" || strings.Contains(errs.String(), "sesame") {
		t.Errorf("%v\n%s\n%s", err, out.String(), errs.String())
	}
	cmd = d.command("exec", "--on", "host1", "--", "echo begun; sleep 4326")
	given(t, cmd, "open sesame")
	begun := &lineCounter{want: 1, there: make(chan struct{})}
	cmd.Stdout = begun
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-begun.there
	cmd.Process.Signal(os.Interrupt)
	cmd.Wait()
	d.ended("host1", "sleep 4326")
}

func TestExecTellsProgramsAndPeopleWhatWasPrinted(t *testing.T) {
	d := deploying(t, 3)
	d.hive(`{ host1 = {}; host2 = {}; host3 = {}; }`)
	script := `[ $(hostname) = host2 ] && echo other && exit 4; printf 'a\nb'; echo err >&2`
	stdout, stderr, code := d.fed("", "exec", "--group", "--", script)
	if want := "host1, host3: same output\na\nb\nstderr | err\n\nhost2: (status 4)\nother\n"; code != 1 || stdout != want {
		t.Errorf("exit %d: %q, want %q\n%s", code, stdout, want, stderr)
	}

	stdout, stderr, code = d.fed("", "exec", "--json", "--", script+`; head -c 1200000 /dev/zero | tr '\0' x; printf '\377' >&2`)
	var document struct {
		Results []struct {
			Node, Status, Step, Error, Stdout, Stderr, StderrBase64 string
			ExitStatus                                              *int
			StdoutCut                                               int
		}
	}
	if err := json.Unmarshal([]byte(stdout), &document); err != nil || code != 1 || len(document.Results) != 3 {
		t.Fatalf("exit %d: %v\n%s", code, err, stderr)
	}
	one, two := document.Results[0], document.Results[1]
	if one.Status != "succeeded" || *one.ExitStatus != 0 || !strings.HasPrefix(one.Stdout, "a\nbx") || len(one.Stdout) != 1<<20 || one.StdoutCut != 1200003-1<<20 || one.Stderr != "" || one.StderrBase64 != "ZXJyCv8=" {
		t.Errorf("host1: %s, %v, %d bytes and %d more, %q %q", one.Status, *one.ExitStatus, len(one.Stdout), one.StdoutCut, one.Stderr, one.StderrBase64)
	}
	if two.Status != "failed" || two.Step != "exec" || *two.ExitStatus != 4 || two.Stdout != "other\n" || two.Error == "" {
		t.Errorf("host2: %+v", two)
	}
}

// Every line is an event as it comes, on which stream it was, and people see what the
// command says on standard error alone.
func TestExecTellsProgramsEachLine(t *testing.T) {
	d := deploying(t, 2)
	d.hive(`{ host1 = {}; host2 = {}; }`)
	d.on("host1", "touch /run/here")
	t.Cleanup(func() { d.on("host1", "rm /run/here") })
	stdout, stderr, code := d.fed("", "exec", "--json-events", "--", `echo out; echo err >&2; [ -e /run/here ] || exit 4`)
	said, status := map[string]bool{}, map[string]int{}
	for line := range strings.Lines(stdout) {
		if err := schemas.Validate("events", []byte(line)); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		var e struct {
			Event, Node, Step, Stream, Text string
			Result                          struct{ ExitStatus *int }
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Event == "output" {
			said[fmt.Sprint(e.Node, " ", e.Step, " ", e.Stream, " ", e.Text)] = true
		}
		if e.Event == "end" && e.Result.ExitStatus != nil {
			status[e.Node] = *e.Result.ExitStatus
		}
	}
	for _, line := range []string{"host1 exec stdout out", "host1 exec stderr err", "host2 exec stdout out", "host2 exec stderr err"} {
		if !said[line] {
			t.Errorf("no event says %q: %v", line, said)
		}
	}
	if code != 1 || len(status) != 2 || status["host1"] != 0 || status["host2"] != 4 {
		t.Errorf("exit %d, %v", code, status)
	}
	if strings.Contains(stderr, "| out") || !strings.Contains(stderr, "host1 | err") {
		t.Errorf("people see\n%s", stderr)
	}
}

// What hosts run for us: none of it is to be left.
func (d *deployer) commandsLeft(host, what string) string {
	return d.on(host, fmt.Sprintf("pgrep -fx '%s' || :", what))
}

func (d *deployer) ended(host, what string) {
	d.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if d.commandsLeft(host, what) == "" {
			return
		}
		if time.Now().After(end) {
			d.t.Errorf("%s: %q goes on", host, what)
			return
		}
	}
}

func TestAHostThatHangsFailsAloneAfterItsTime(t *testing.T) {
	const hosts = 20
	d := deploying(t, hosts)
	var nodes strings.Builder
	for i := range hosts {
		fmt.Fprintf(&nodes, "host%d = {}; ", i+1)
	}
	d.hive("{ " + nodes.String() + "}")
	begin := time.Now()
	stdout, stderr, code := d.fed("", "exec", "--timeout", "15", "--", `echo begun; [ $(hostname) != host7 ] || sleep 4321; echo done`)
	if code != 1 || strings.Count(stdout, "| begun\n") != hosts || strings.Count(stdout, "| done\n") != hosts-1 {
		t.Errorf("exit %d\n%s\n%s", code, stdout, stderr)
	}
	if !strings.Contains(stderr, "host7: failed (exec):\n  the command did not end within 15s") || !strings.Contains(stderr, "19 of 20 nodes succeeded") {
		t.Error(stderr)
	}
	t.Logf("20 hosts, one of which hangs for 15 s: %v", time.Since(begin))
	d.ended("host7", "sleep 4321")
}

func TestAnInterruptEndsWhatRunsOnHosts(t *testing.T) {
	d := deploying(t, 2)
	d.hive(`{ host1 = {}; host2.deployment.targetUser = "deployer"; }`)
	for name, end := range map[string]func(*exec.Cmd){
		"^C":                   func(cmd *exec.Cmd) { cmd.Process.Signal(os.Interrupt) },
		"a deployer is killed": func(cmd *exec.Cmd) { cmd.Process.Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			d.t = t
			cmd := d.command("exec", "--", "echo begun; sleep 4322 | sleep 4322")
			out := &lineCounter{want: 2, there: make(chan struct{})}
			cmd.Stdout = out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-out.there:
			case <-time.After(60 * time.Second):
				t.Error("the commands do not begin")
			}
			end(cmd)
			cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); name == "^C" && code != 130 {
				t.Errorf("exit %d", code)
			}
			d.ended("host1", "sleep 4322")
			d.ended("host2", "sleep 4322")
		})
	}
	d.t = t
}

// lineCounter tells when so many lines were written.
type lineCounter struct {
	want, have int
	there      chan struct{}
}

func (c *lineCounter) Write(p []byte) (int, error) {
	before := c.have
	c.have += bytes.Count(p, []byte("\n"))
	if before < c.want && c.have >= c.want {
		close(c.there)
	}
	return len(p), nil
}

// Nothing is lost to a slow reader, and nothing is kept for it without bound.
func TestOutputWaitsForWhoReadsIt(t *testing.T) {
	d := deploying(t, 2)
	d.hive(`{ host1 = {}; host2 = {}; }`)
	cmd := d.command("exec", "--", "head -c 60000000 /dev/zero | tr '\\0' x | fold -w 99; echo last")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(4 * time.Second) // how long nobody reads
	peak := resident(cmd.Process.Pid)
	counted := &lineCounter{}
	if _, err := io.Copy(counted, out); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err, stderr.String())
	}
	if want := 2 * ((60000000 + 98) / 99); counted.have < want {
		t.Errorf("%d lines of %d", counted.have, want)
	}
	if peak > 300<<20 {
		t.Errorf("%d MB are kept for a reader that waits", peak>>20)
	}

	// One that goes away ends all.
	cmd = d.command("exec", "--", "yes 4323")
	out, _ = cmd.StdoutPipe()
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out.Read(make([]byte, 10))
	out.Close()
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		cmd.Process.Signal(syscall.SIGKILL)
		<-done
		t.Error("it goes on though nobody reads")
	}
	d.ended("host1", "yes 4323")
}

// resident is the memory of a process, in bytes.
func resident(pid int) int64 {
	text, _ := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), "statm"))
	var size, pages int64
	fmt.Sscan(string(text), &size, &pages)
	return pages * int64(os.Getpagesize())
}
