package hosts_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// watcher is an upload-keys --watch on its way.
type watcher struct {
	*deployer
	cmd *exec.Cmd

	mu   sync.Mutex
	said bytes.Buffer
}

// Write implements [io.Writer].
func (w *watcher) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.said.Write(p)
}

func (w *watcher) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.said.String()
}

func (d *deployer) watchKeys(args ...string) *watcher {
	d.t.Helper()
	w := &watcher{deployer: d, cmd: d.command(append([]string{"upload-keys", "--watch"}, args...)...)}
	w.cmd.Stderr = w
	if err := w.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { w.cmd.Process.Kill(); w.cmd.Wait() })
	return w
}

// await waits for something to become so.
func (w *watcher) await(what string, is func() bool) {
	w.t.Helper()
	for end := time.Now().Add(90 * time.Second); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("%s: not so after 90 s:\n%s", what, w.text())
		}
	}
}

// says waits until it has said something so often.
func (w *watcher) says(text string, times int) {
	w.t.Helper()
	w.await(fmt.Sprintf("%q, %d times", text, times), func() bool { return strings.Count(w.text(), text) >= times })
}

// brings waits until a key is on a host.
func (w *watcher) brings(host, path, content string) {
	w.t.Helper()
	w.await(host+":"+path, func() bool {
		text, err := os.ReadFile(w.host(host).Path(path))
		return err == nil && string(text) == content
	})
	w.has(host, path, content, "root root 600")
}

func (w *watcher) descriptors() int {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", w.cmd.Process.Pid))
	if err != nil {
		w.t.Fatal(err)
	}
	return len(list)
}

// ends asks it to end, which it does at once.
func (w *watcher) ends(signal os.Signal) {
	w.t.Helper()
	begin := time.Now()
	w.cmd.Process.Signal(signal)
	w.cmd.Wait()
	if code, took := w.cmd.ProcessState.ExitCode(), time.Since(begin); code != 130 || took > 3*time.Second {
		w.t.Errorf("exit %d after %v:\n%s", code, took, w.text())
	}
}

func TestKeysComeAgainAfterRebootsThatNobodyAskedFor(t *testing.T) {
	d := deploying(t, 3)
	runs := func(host string) int {
		text, _ := os.ReadFile(d.dir + "/ran-" + host)
		return strings.Count(string(text), "run")
	}
	key := func(host string) string {
		return fmt.Sprintf(`deployment.keys.k.keyCommand = [ "sh" "-c" "echo run >>%[1]s/ran-%[2]s; test ! -e %[1]s/sealed && cat %[1]s/secret" ];`, d.dir, host)
	}
	d.hive(`{ host1 = { ` + key("host1") + ` deployment.keys.kept = { text = "v"; destDir = "/var/keys"; }; };
	  host2 = { ` + key("host2") + ` deployment.targetUser = "deployer"; }; host3 = { ` + key("host3") + ` }; }`)
	d.write("secret", "first")
	d.must("apply")
	d.on("host1", "rm -r /run/keys/* /var/keys")
	if err := d.host("host3").Stop(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.host("host3").Start() })
	for _, host := range []string{"host1", "host2", "host3"} {
		os.Remove(d.dir + "/ran-" + host)
	}

	w := d.watchKeys()
	w.brings("host1", "/run/keys/k", "first")
	w.says("watching 3 hosts", 1)
	w.says("host3 | warning: looking for the host", 1)
	w.says("keys done", 2)
	if runs("host1") != 1 || runs("host2") != 1 || runs("host3") != 0 {
		t.Errorf("keyCommands ran %d, %d and %d times", runs("host1"), runs("host2"), runs("host3"))
	}
	open := w.descriptors()

	// What it had is not kept, and what is on a disk stays.
	d.write("secret", "second")
	kept := d.on("host1", "stat -c %i /var/keys/kept")
	if err := d.host("host1").Reboot(); err != nil {
		t.Fatal(err)
	}
	w.brings("host1", "/run/keys/k", "second")
	w.says("rebooted, back after", 1)
	if d.on("host1", "stat -c %i /var/keys/kept") != kept {
		t.Error("a key on the disk was written again")
	}
	d.state("host1", "k-key.service", "active")

	// A connection that is lost is no reboot.
	for i := range 3 {
		if err := d.host("host2").KillConnections(); err != nil {
			t.Fatal(err)
		}
		w.says("not rebooted", i+1)
	}
	d.has("host2", "/run/keys/k", "first", "root root 600")
	if runs("host1") != 2 || runs("host2") != 1 {
		t.Errorf("keyCommands ran %d and %d times", runs("host1"), runs("host2"))
	}
	if now := w.descriptors(); now > open+2 {
		t.Errorf("%d files are open, and were %d", now, open)
	}

	if err := d.host("host3").Start(); err != nil {
		t.Fatal(err)
	}
	w.brings("host3", "/run/keys/k", "second")

	// A key that cannot be had now is tried again.
	d.write("sealed", "")
	if err := d.host("host1").Reboot(); err != nil {
		t.Fatal(err)
	}
	w.says("the keys are tried again in", 1)
	if left := d.on("host1", "ls /run/keys"); left != "" {
		t.Errorf("it has %s", left)
	}
	os.Remove(d.dir + "/sealed")
	w.brings("host1", "/run/keys/k", "second")

	w.ends(os.Interrupt)
	if strings.Contains(w.text(), "first") || strings.Contains(w.text(), "second") {
		t.Errorf("a secret is told:\n%s", w.text())
	}
	for _, host := range []string{"host1", "host2", "host3"} {
		d.untouched(host)
	}
	t.Log(w.text())
}
