//go:build linux

package hosts_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/tests/lacking"
	"github.com/colmena-go/colmena-go/tests/typist"
)

// What it prints on stderr may be the secret, whole or in pieces.
func TestWhatAKeyCommandPrintsIsSeenOnATerminalAndOnDemandOnly(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ host1.deployment.keys = { good.text = "old"; }; }`)
	d.must("upload-keys")
	d.hive(`{ host1.deployment.keys = { good.text = "new"; bad.keyCommand = [ "sh" "-c" "echo whole-''secret; echo piece-of-''secret >&2; exit 1" ]; }; }`)
	const printed = "piece-of-secret"
	for _, args := range [][]string{{"upload-keys", "-v"}, {"upload-keys", "-v", "--json"}, {"upload-keys", "-v", "--json", "--log-format", "json"}} {
		o := d.run(args...)
		if said := o.stdout + o.stderr; o.code != 1 || strings.Contains(said, printed) || !strings.Contains(said, "pass --show-key-errors to see") {
			t.Errorf("%s: exit %d: %s", args, o.code, said)
		}
		o = d.run(append(args, "--show-key-errors")...)
		if said := o.stdout + o.stderr; o.code != 1 || !strings.Contains(said, printed) || strings.Contains(said, "whole-secret") {
			t.Errorf("%s --show-key-errors: exit %d: %s", args, o.code, said)
		}
	}
	ours := d.command("upload-keys", "--color", "never", "--json")
	onTerminal := func(redirect string, env ...string) string {
		cmd := exec.Command("script", "-qec", ours.String()+redirect, "/dev/null")
		cmd.Dir, cmd.Env = ours.Dir, append(append(slices.Clone(ours.Env), "CI=", "GITHUB_ACTIONS="), env...)
		out, _ := cmd.CombinedOutput() // which ends as ours does: with 1
		return string(out)
	}
	if said := onTerminal(""); !strings.Contains(said, `host1 | key "bad": `+printed) || strings.Count(said, printed) != 1 {
		t.Errorf("on a terminal: %s", said)
	}
	if said := onTerminal(" 2>log; cat log"); strings.Contains(said, printed) || !strings.Contains(said, "show-key-errors") {
		t.Errorf("from a terminal into a log: %s", said)
	}
	for _, env := range []string{"CI=true", "GITHUB_ACTIONS=true"} {
		if said := onTerminal("", env); strings.Contains(said, printed) || !strings.Contains(said, "show-key-errors") {
			t.Errorf("on a terminal of which a log is kept (%s): %s", env, said)
		}
	}
	d.has("host1", "/run/keys/good", "old", "root root 600")
}

// Such as one on a network file system whose server is gone.
func TestAKeyFileThatDoesNotAnswerIsLeftAtTheFirstSignal(t *testing.T) {
	d := deploying(t, 1)
	device, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		lacking.Skip(t, "needs /dev/fuse: ", err)
	}
	defer device.Close()
	dir := t.TempDir()
	if err := syscall.Mount("deaf", dir, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", device.Fd())); err != nil {
		lacking.Skip(t, "needs to mount FUSE: ", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	d.hive(`{ host1.deployment.keys.k.keyFile = "` + dir + `/secret"; }`)
	cmd := d.command("upload-keys", "--color", "never")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(60*time.Second, func() { cmd.Process.Kill() })
	defer kill.Stop()
	var said strings.Builder
	var signalled time.Time
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if signalled.IsZero() && strings.Contains(lines.Text(), "still looking for what the keys are made from") {
			signalled = time.Now()
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 || signalled.IsZero() || time.Since(signalled) > 5*time.Second {
		t.Errorf("exit %d, %v after the signal:\n%s", code, time.Since(signalled), &said)
	}
}

// A vault that is sealed may say nothing and succeed.
func TestABlankKeyCommandLeavesTheOldSecretUnlessTheKeySaysOtherwise(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ host1.deployment.keys.k.text = "old"; }`)
	d.must("upload-keys")
	d.hive(`{ host1.deployment.keys.k.keyCommand = [ "echo" ]; }`)
	if o := d.run("upload-keys", "--json"); o.code != 1 || !strings.Contains(o.results["host1"].Error, "printed only white space; if that is meant, set allowEmpty = true") {
		t.Errorf("exit %d: %+v", o.code, o.results)
	}
	d.has("host1", "/run/keys/k", "old", "root root 600")
	d.hive(`{ host1.deployment.keys.k = { keyCommand = [ "echo" ]; allowEmpty = true; }; }`)
	d.must("upload-keys")
	d.has("host1", "/run/keys/k", "\n", "root root 600")
}

// session is a program in a session of its own, which writes its process id.
const session = `setsid sh -c 'echo $$ >"$1.new"; mv "$1.new" "$1"; exec sleep 60' sh %s >/dev/null 2>&1 & until [ -e %[1]s ]; do sleep 0.01; done; `

// started waits for what [session] starts, and ends it with the test.
func (d *deployer) started(name string) (alive func() bool) {
	d.t.Helper()
	var id int
	for begin := time.Now(); id == 0; time.Sleep(20 * time.Millisecond) {
		text, _ := os.ReadFile(filepath.Join(d.dir, name))
		id, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		if time.Since(begin) > 30*time.Second {
			d.t.Fatal(name, " was not started")
		}
	}
	d.t.Cleanup(func() { syscall.Kill(id, syscall.SIGKILL) })
	return func() bool {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
		return err == nil && !strings.Contains(string(state), ") Z ")
	}
}

// keeperEnds waits for the process that ends what a killed program leaves.
func (d *deployer) keeperEnds() {
	d.t.Helper()
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			d.t.Fatal("what ends the commands of a killed program goes on for ever")
		}
		found, err := exec.Command("sh", "-c", `grep -lsa "trap ''.*HUP" /proc/[0-9]*/cmdline | while read -r p; do grep -lsa "KEEPER_OF=$1" "${p%cmdline}environ"; done; :`, "sh", d.dir).Output()
		if err != nil {
			d.t.Fatal(err)
		}
		if len(found) == 0 {
			return
		}
	}
}

func TestAKilledProgramLeavesNoKeyCommandRunning(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ host1.deployment.keys.k.keyCommand = [ "sh" "-c" ` + nixString(fmt.Sprintf(session, "child")+"exec sleep 60") + ` ]; }`)
	cmd := d.command("upload-keys")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	alive := d.started("child")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	for begin := time.Now(); alive(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begin) > 10*time.Second {
			t.Fatal("the command's child outlives the program")
		}
	}
}

// Such as an agent that the command needed, and that the next one needs again.
func TestWhatAKeyCommandLeavesBehindOnPurposeOutlivesTheProgram(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ host1.deployment.keys.k.keyCommand = [ "sh" "-c" ` + nixString(fmt.Sprintf(session, "agent")+"echo v") + ` ]; }`)
	d.env = append(d.env, "KEEPER_OF="+d.dir)
	d.must("upload-keys")
	alive := d.started("agent")
	d.keeperEnds()
	if !alive() {
		t.Error("the agent ended with the program")
	}
}

// As `pass`, `rage` with a PIN and others do.
func TestAKeyCommandAsksOnTheTerminal(t *testing.T) {
	d := deploying(t, 2)
	d.hive(`{ host1.deployment.keys = { pin.keyCommand = [ "bash" "-c" "read -rp 'PIN: ' x </dev/tty 2>/dev/tty && printf %s \"$x\"" ]; quick.keyCommand = [ "echo" "v" ]; };
	  host2.deployment.keys.quick.keyCommand = [ "echo" "v" ]; }`)
	d.env = append(d.env, "TERM=xterm", "CI=", "GITHUB_ACTIONS=")
	s := typist.Start(t, d.command("upload-keys", "--color", "never"))
	s.Await("colmena-go upload-keys")
	s.Await("host1 | the keyCommand of key \"pin\" asks:\nPIN: ")
	before := s.Shown()
	if drawn, erased := strings.LastIndex(before, "▸"), strings.LastIndex(before, "\x1b[J"); drawn > erased {
		t.Errorf("the live view is still there: %q", before)
	}
	s.Type("1234\n")
	if code := s.Wait(); code != 0 {
		t.Errorf("exit %d", code)
	}
	if shown := s.Shown(); !strings.Contains(shown, "2 of 2 nodes succeeded in") || strings.Contains(shown[strings.LastIndex(shown, "succeeded in"):], "\x1b") {
		t.Errorf("the end: %q", shown)
	}
	d.has("host1", "/run/keys/pin", "1234", "root root 600")
	d.has("host2", "/run/keys/quick", "v\n", "root root 600")

	s = typist.Start(t, d.command("upload-keys", "--color", "never"))
	s.Await("PIN: ")
	time.Sleep(300 * time.Millisecond)
	s.Type("half\x03")
	s.Await("interrupted")
	if code := s.Wait(); code != 130 || !s.Echoes() {
		t.Errorf("exit %d after ^C", code)
	}
	d.has("host1", "/run/keys/pin", "1234", "root root 600")

	cmd := d.command("upload-keys")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // and so without a terminal
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), `key "pin"`) && !strings.Contains(string(out), `keys."pin"`) {
		t.Errorf("%v: %s", err, out)
	}
}

func TestASharedKeyCommandRunsOnceForAllHosts(t *testing.T) {
	d := deploying(t, 2)
	count := func(name string) int {
		text, _ := os.ReadFile(filepath.Join(d.dir, name))
		return strings.Count(string(text), "run")
	}
	key := func(name, more string) string {
		return fmt.Sprintf(`{ keyCommand = [ "sh" "-c" "echo run >>%s; printf '%%s %%s %%s' \"$GIVEN\" \"\${COLMENA_GO_NODE-none}\" \"\${COLMENA_GO_KEY-none}\"" ]; environment.GIVEN = "given by key"; %s }`,
			filepath.Join(d.dir, name), more)
	}
	both := func(keys string) {
		d.hive(`{ host1.deployment.keys = { ` + keys + ` }; host2.deployment.keys = { ` + keys + ` }; }`)
	}
	both(`one = ` + key("shared", "shared = true;") + `; two = ` + key("shared", "shared = true;") + `; own = ` + key("own", "") + `;`)
	for i := 1; i <= 2; i++ {
		d.must("upload-keys")
		if shared, own := count("shared"), count("own"); shared != i || own != 2*i {
			t.Errorf("after %d deployments the shared command ran %d times, the others %d", i, shared, own)
		}
	}
	for _, host := range []string{"host1", "host2"} {
		d.has(host, "/run/keys/one", "given by key none none", "root root 600")
		d.has(host, "/run/keys/two", "given by key none none", "root root 600")
		d.has(host, "/run/keys/own", "given by key "+host+" own", "root root 600")
	}

	both(`one = { keyCommand = [ "sh" "-c" "echo run >>` + filepath.Join(d.dir, "failing") + `; exit 7" ]; shared = true; };`)
	o := d.run("upload-keys", "--json")
	for _, host := range []string{"host1", "host2"} {
		if r := o.results[host]; o.code != 1 || strings.Count(r.Error, "exit status 7") != 1 || !strings.Contains(r.Error, host) || count("failing") != 1 {
			t.Errorf("%s: exit %d, %q, %d runs", host, o.code, r.Error, count("failing"))
		}
		d.has(host, "/run/keys/one", "given by key none none", "root root 600")
	}
}

func TestTheTimeOfAKeyCommandIsTheKeysOrTheFlags(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ host1.deployment.keys = { slow = { keyCommand = [ "sleep" "60" ]; keyTimeout = 1; }; patient = { keyCommand = [ "sh" "-c" "sleep 3; echo v" ]; keyTimeout = 60; }; }; }`)
	if o := d.run("upload-keys", "--json", "--key-timeout", "2"); o.code != 1 || !strings.Contains(o.results["host1"].Error, "killed after 1s") || strings.Contains(o.results["host1"].Error, "patient") {
		t.Errorf("exit %d: %+v", o.code, o.results)
	}
	d.hive(`{ host1.deployment.keys.slow.keyCommand = [ "sleep" "60" ]; }`)
	if o := d.run("upload-keys", "--json", "--key-timeout", "1s"); o.code != 1 || !strings.Contains(o.results["host1"].Error, "killed after 1s") {
		t.Errorf("exit %d: %+v", o.code, o.results)
	}
}
