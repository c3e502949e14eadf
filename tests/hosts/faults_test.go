package hosts_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A key that cannot be delivered: every old secret of the node stays, nothing
// is left behind, and the error names node and key.
func TestAKeyThatFailsLeavesEveryOldSecretInPlace(t *testing.T) {
	cases := []struct{ name, key, prepare, says string }{
		{"keyCommand fails", `keyCommand = [ "false" ];`, "", "keyCommand"},
		{"keyCommand is not there", `keyCommand = [ "no-such-program" ];`, "", "no-such-program"},
		{"keyCommand fails half-way", `keyCommand = [ "sh" "-c" "echo half; exit 1" ];`, "", "exit status 1"},
		{"keyFile is missing", `keyFile = "/no/such/file";`, "", "/no/such/file"},
		{"no such user", `text = "new"; user = "no-such-user";`, "", "no-such-user"},
		{"no such group", `text = "new"; group = "no-such-group";`, "", "no-such-group"},
		{"destDir is a file", `text = "new"; destDir = "/srv/file";`, "touch /srv/file", "/srv/file"},
		{"a full disk", `keyCommand = [ "head" "-c" "500000" "/dev/zero" ]; destDir = "/srv/full";`,
			"mkdir -p /srv/full; mountpoint -q /srv/full || mount -t tmpfs -o size=100k tmpfs /srv/full", "/srv/full"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := deploying(t, 2)
			const hive = `{
  host1.deployment.keys = { good.text = "%[1]s"; late = { text = "%[1]s"; uploadAt = "post-activation"; }; %[2]s };
  host2.deployment.keys.good.text = "%[1]s";
}`
			d.hive(fmt.Sprintf(hive, "old", ""))
			d.must("upload-keys")
			if c.prepare != "" {
				d.on("host1", c.prepare)
			}
			defer d.on("host1", "umount /srv/full 2>/dev/null || :; rm -rf /srv/*")
			d.hive(fmt.Sprintf(hive, "new", "bad = { "+c.key+" };"))
			o := d.run("upload-keys", "--json")
			if o.code != 1 || o.results["host1"].Status != "failed" || o.results["host2"].Status != "succeeded" {
				t.Errorf("exit %d: %+v", o.code, o.results)
			}
			for _, word := range []string{c.says, "bad"} {
				if !strings.Contains(o.results["host1"].Error, word) {
					t.Errorf("%q does not say %q", o.results["host1"].Error, word)
				}
			}
			d.has("host1", "/run/keys/good", "old", "root root 600")
			d.has("host1", "/run/keys/late", "old", "root root 600")
			d.has("host2", "/run/keys/good", "new", "root root 600")
			d.untouched("host1")
			if got := d.on("host1", "ls -A /run/keys /srv/full 2>/dev/null | grep -c bad || :"); got != "0" {
				t.Error("the bad key is there")
			}
		})
	}
}

// thirty keys of 300 kB, all of one generation.
func (d *deployer) thirty(generation byte) {
	d.t.Helper()
	d.write("set.key", strings.Repeat(string(generation), 300_000))
	d.hive(`{ host1.deployment.keys = builtins.listToAttrs (builtins.genList (i: {
    name = "k${toString i}"; value = { keyFile = ./set.key; destDir = if i < 20 then "/run/keys" else "/srv/keys"; };
  }) 30); }`)
}

// generation reads the set on host1: it must be whole and of one generation.
func (d *deployer) generation() byte {
	d.t.Helper()
	var set byte
	for i := range 30 {
		dir := "/run/keys"
		if i >= 20 {
			dir = "/srv/keys"
		}
		text, err := os.ReadFile(d.host("host1").Path(fmt.Sprintf("%s/k%d", dir, i)))
		if err != nil {
			d.t.Fatal(err)
		}
		if len(text) != 300_000 || bytes.Count(text, text[:1]) != len(text) {
			d.t.Fatalf("k%d is torn", i)
		}
		if i > 0 && text[0] != set {
			d.t.Fatalf("k%d is of generation %c, others of %c", i, text[0], set)
		}
		set = text[0]
	}
	return set
}

// settled waits until no half of an upload runs on host1 any more.
func (d *deployer) settled() {
	d.t.Helper()
	for range 100 {
		if d.on("host1", `pgrep -f 'eval "\$\(head' || :`) == "" {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	d.t.Fatal("the host's half of an upload goes on for ever")
}

// listener is a command's output that tells when a word is in it.
type listener struct {
	word  string
	heard chan struct{} // closed at the word
	said  bytes.Buffer
}

func (l *listener) Write(p []byte) (int, error) {
	before := bytes.Contains(l.said.Bytes(), []byte(l.word))
	l.said.Write(p)
	if !before && bytes.Contains(l.said.Bytes(), []byte(l.word)) {
		close(l.heard)
	}
	return len(p), nil
}

// uploading starts upload-keys and returns when the upload itself begins: the
// hive is evaluated then, the host dialled and every key resolved.
func (d *deployer) uploading() (*exec.Cmd, *listener) {
	d.t.Helper()
	cmd := d.command("upload-keys")
	said := &listener{word: "bringing", heard: make(chan struct{})}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	select {
	case <-said.heard:
	case <-time.After(30 * time.Second):
		cmd.Process.Kill()
		cmd.Wait()
		d.t.Fatalf("no upload begins: %s", &said.said)
	}
	return cmd, said
}

// interrupt runs `moments` uploads, each harmed at another moment of the upload itself,
// and checks after each that the set on the host is whole. It returns how many of them
// failed.
func (d *deployer) interrupt(moments int, harm func(*exec.Cmd)) (spoilt int) {
	d.t.Helper()
	d.thirty('a')
	d.must("upload-keys")
	d.thirty('b')
	cmd, said := d.uploading()
	begin := time.Now()
	if err := cmd.Wait(); err != nil {
		d.t.Fatal(err, &said.said)
	}
	usual := time.Since(begin)
	kept := 0
	for i := range moments {
		before := d.generation()
		next := byte('c' + i%20)
		if next == before { // since twenty of them were all spoilt
			next = 'a'
		}
		d.thirty(next)
		cmd, _ := d.uploading()
		begin := time.Now()
		// The last ones come when all is sent, or too late.
		time.Sleep(usual * 11 / 10 * time.Duration(i) / time.Duration(moments))
		harm(cmd)
		failed := cmd.Wait() != nil
		if failed {
			spoilt++
		} else {
			usual = min(usual, time.Since(begin)) // the machine may have been busy before
		}
		d.settled()
		switch got := d.generation(); got {
		case before:
			if !failed {
				d.t.Fatalf("moment %d: an upload that succeeded left the old keys", i)
			}
			kept++
		case next:
		default:
			d.t.Fatalf("moment %d: generation %c, neither the old one nor the new", i, got)
		}
	}
	d.must("upload-keys")
	d.untouched("host1")
	d.t.Logf("an upload takes %v; %d of %d failed, %d left the old keys", usual, spoilt, moments, kept)
	return spoilt
}

func TestTheDeployerKilledAtAnyMomentLeavesAWholeSet(t *testing.T) {
	d := deploying(t, 1)
	const moments = 50
	if spoilt := d.interrupt(moments, func(cmd *exec.Cmd) { cmd.Process.Signal(syscall.SIGKILL) }); spoilt < moments*7/10 {
		t.Errorf("only %d of %d deployers were killed: nothing much was tried", spoilt, moments)
	}
}

func TestTheConnectionCutAtAnyMomentLeavesAWholeSet(t *testing.T) {
	d := deploying(t, 1)
	// The upload connects again, sees what is there, and goes on.
	if spoilt := d.interrupt(50, func(*exec.Cmd) { d.host("host1").KillConnections() }); spoilt > 0 {
		t.Errorf("%d uploads were spoilt", spoilt)
	}
}

// A pulled cable tells nobody anything: both sides find out by themselves.
func TestAPulledCableEndsTheUploadInBoundedTime(t *testing.T) {
	d := deploying(t, 1)
	d.thirty('a')
	d.must("upload-keys")
	d.hive(`{ host1.deployment.keys.k0.keyCommand = [ "head" "-c" "60000000" "/dev/zero" ]; }`)
	cmd, said := d.uploading()
	defer time.AfterFunc(4*time.Minute, func() { cmd.Process.Kill() }).Stop()
	underWay := func() bool {
		files, _ := filepath.Glob(d.host("host1").Path("/run/keys/.colmena-go.*/n/k0"))
		return len(files) > 0
	}
	for end := time.Now().Add(10 * time.Second); !underWay(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the host's half is not seen at work")
		}
	}
	if err := d.host("host1").CutOff(); err != nil {
		t.Fatal(err)
	}
	defer d.host("host1").Reconnect()
	begin := time.Now()
	if cmd.Wait() == nil {
		t.Error("the upload succeeded without a cable")
	}
	if !strings.Contains(said.said.String(), "failed (upload)") {
		t.Errorf("the upload is not said to have failed: %s", &said.said)
	}
	// Three questions without an answer, and half a minute of attempts to connect again.
	if took := time.Since(begin); took > 2*time.Minute {
		t.Errorf("it took %v to notice", took)
	}
	if d.generation() != 'a' {
		t.Error("the old keys are gone")
	}
	// The host's half waits for its own deadline, some three minutes; other tests do not.
	d.on("host1", `pkill -f 'eval "\$\(head' || :`)
	d.settled()
}

func TestTwoDeployersAtOnceTakeTurns(t *testing.T) {
	d := deploying(t, 1)
	d.thirty('a')
	first, second := d.command("upload-keys"), d.command("upload-keys")
	var said1, said2 bytes.Buffer
	first.Stderr, second.Stderr = &said1, &said2
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	if err1, err2 := first.Wait(), second.Wait(); err1 != nil || err2 != nil {
		t.Errorf("%v: %s\n%v: %s", err1, &said1, err2, &said2)
	}
	if d.generation() != 'a' {
		t.Error("not the set that both sent")
	}
	// One who holds the lock for too long is named.
	d.on("host1", `echo "bob@desk" >/run/colmena-go/holder; systemd-run -q --unit=holder flock /run/colmena-go/lock sleep 3`)
	defer d.on("host1", "systemctl stop holder 2>/dev/null || :")
	d.thirty('b')
	o := d.run("upload-keys")
	if o.code != 0 || !strings.Contains(o.stderr, "bob@desk") {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
}

// While it only waits, nothing on the host has changed yet.
func TestAnInterruptEndsAnUploadThatWaitsForItsTurn(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ host1.deployment.keys.k.text = "v"; }`)
	d.on("host1", `mkdir -p -m 0700 /run/colmena-go; systemd-run -q --unit=holder flock /run/colmena-go/lock sleep 60`)
	defer d.on("host1", "systemctl stop holder 2>/dev/null || :")
	cmd := d.command("upload-keys")
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for lines := bufio.NewScanner(said); lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "waiting for another upload") {
			cmd.Process.Signal(os.Interrupt)
		}
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(text.String(), "cancelled") {
		t.Errorf("exit %d: %s", code, text.String())
	}
	d.settled()
	d.on("host1", "systemctl stop holder; [ ! -e /run/keys/k ]")
}

// ^C while the switch runs: the switch is finished, nothing new begins.
func TestAnInterruptFinishesWhatIsUnderWay(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ host1 = {
    networking.hostName = "interrupted";
    system.activationScripts.slow = "sleep 2";
    deployment.keys.late = { text = "v"; uploadAt = "post-activation"; };
  }; }`)
	d.must("build")
	cmd := d.command("apply")
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	runs := false
	for end := time.Now().Add(30 * time.Second); !runs && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		runs = d.on("host1", "pgrep -f '[s]witch-to-configuration[^ ]* switch' || :") != ""
	}
	cmd.Process.Signal(os.Interrupt)
	cmd.Wait()
	if !runs {
		t.Fatalf("the switch was never seen running: nothing was interrupted: %s", &said)
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 && code != 130 {
		t.Errorf("exit %d: %s", code, &said)
	}
	if got := d.on("host1", "cat /etc/hostname"); got != "interrupted" {
		t.Errorf("the host is %s", got)
	}
	d.has("host1", "/run/keys/late", "v", "root root 600")
}

// A secret that occurs nowhere else is searched for after full runs.
func TestASecretIsNowhereButInItsFile(t *testing.T) {
	d := deploying(t, 1)
	// In two parts, since tests/flake copies this file to the store.
	const planted = "xyzzyPlanted" + "Secret"
	begin := d.write("begin", "")
	// Put together only on the way, so that the hive's own text is no hit.
	d.hive(`{ host1.deployment.keys = {
    text.text = "xyzzyPlanted" + "Secret";
    cmd = { keyCommand = [ "sh" "-c" "printf xyzzyPlanted; echo Secret" ]; uploadAt = "post-activation"; };
  }; }`)
	// Digests of secrets are secret as well.
	secrets := []string{planted}
	for _, content := range []string{planted, planted + "\n"} {
		secrets = append(secrets, fmt.Sprintf("%x", sha256.Sum256([]byte(content))))
	}
	seen := make(chan string, 1)
	stop := make(chan struct{})
	go func() { seen <- d.watchCommandLines(secrets, stop) }()
	var said strings.Builder
	for _, args := range [][]string{
		{"apply", "-v", "--json", "--log-format", "json"}, {"apply", "-v", "--show-trace", "--log-format", "json"},
		{"upload-keys", "-v", "--json"}, {"list", "--json"}, {"build", "-v", "--json"},
		{"apply", "--json-events", "--report", "report.html", "--metrics", "metrics.prom", "--trace", "trace.json"},
	} {
		o := d.run(args...)
		said.WriteString(o.stdout + o.stderr)
	}
	for _, file := range []string{"report.html", "metrics.prom", "trace.json"} {
		text := d.read(file)
		if !strings.Contains(text, "host1") {
			t.Errorf("%s says nothing of the host:\n%s", file, text)
		}
		said.WriteString(text)
	}
	d.hive(`{ host1.deployment.keys = { text.text = "xyzzyPlanted" + "Secret"; cmd.keyCommand = [ "sh" "-c" "echo xyzzyPlanted''Secret; echo xyzzyPlanted''Secret >&2; exit 1" ]; }; }`)
	o := d.run("apply", "-v", "--json", "--report", "report.html", "--trace", "trace.json")
	said.WriteString(o.stdout + o.stderr + d.read("report.html") + d.read("trace.json"))
	close(stop)
	if hit := <-seen; hit != "" {
		t.Errorf("in a command line or environment: %s", hit)
	}
	for _, secret := range secrets {
		if strings.Contains(said.String(), secret) {
			t.Errorf("in the program's output: %s", secret)
		}
	}
	for _, give := range []func(*exec.Cmd){
		func(c *exec.Cmd) { c.Args = append(c.Args, planted) },
		func(c *exec.Cmd) { c.Env = []string{"X=" + secrets[1]} },
	} {
		leak := exec.Command("sh", "-c", "read line") // until its input ends
		give(leak)
		input, err := leak.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := leak.Start(); err != nil {
			t.Fatal(err)
		}
		giveUp := make(chan struct{})
		timer := time.AfterFunc(5*time.Second, func() { close(giveUp) })
		if d.watchCommandLines(secrets, giveUp) == "" {
			t.Error("the search of command lines and environments does not find what is there")
		}
		timer.Stop()
		input.Close()
		leak.Wait()
	}
	d.has("host1", "/run/keys/text", planted, "root root 600")

	if found := d.searchHere(begin, secrets); len(found) > 0 {
		t.Errorf("here: %q", found)
	}
	found := d.searchHost(secrets)
	slices.Sort(found)
	if want := []string{"/run/keys/cmd", "/run/keys/text"}; !slices.Equal(found, want) {
		t.Errorf("on the host: %q, want the two keys alone", found)
	}
	d.proveTheSearches(begin)
}

// searchHere lists the files of this machine that hold a word: among the
// program's, Nix's and, if they are newer than the file begin, the store's.
func (d *deployer) searchHere(begin string, words []string) []string {
	d.t.Helper()
	var cache, home string
	for _, v := range d.env {
		if name, value, _ := strings.Cut(v, "="); name == "XDG_CACHE_HOME" {
			cache = value
		} else if name == "HOME" {
			home = value
		}
	}
	const script = `begin=$1 words=$2
shift 2
grep -rlaFs -e "$words" --devices=skip "$@" /tmp/colmena-go-* /nix/var/nix/db
find /nix/store -cnewer "$begin" -type f -size -2M -print0 | xargs -0 -r grep -laFs -e "$words"`
	out, _ := exec.Command("sh", "-c", script, "sh", begin, strings.Join(words, "\n"), d.dir, cache, home).Output()
	return strings.Fields(string(out))
}

// searchHost lists the files of host1 that hold a word, and "journal" if that
// does.
func (d *deployer) searchHost(words []string) []string {
	d.t.Helper()
	return strings.Fields(d.on("host1", fmt.Sprintf(`words='%s'
grep -rlaFs -e "$words" --devices=skip /run /etc /var /tmp /root /home /srv /nix/var
find /nix/store -type f -size -2M -print0 | xargs -0 -r grep -laFs -e "$words"
journalctl --sync
journalctl --no-pager | grep -qF -e "$words" && echo journal || :`, strings.Join(words, "\n"))))
}

// proveTheSearches plants a word wherever a secret might be, which a search must
// find in every one of these places.
func (d *deployer) proveTheSearches(begin string) {
	d.t.Helper()
	// A word of its own: a journal forgets nothing before the next run.
	word := fmt.Sprintf("xyzzy%d", time.Now().UnixNano())
	inDir := d.write("planted", word)
	out, err := exec.Command("nix-store", "--add", inDir).Output()
	if err != nil {
		d.t.Fatal(err)
	}
	inStore := strings.TrimSpace(string(out))
	defer exec.Command("nix-store", "--delete", inStore).Run()
	on := d.on("host1", fmt.Sprintf("logger planted %s; echo %[1]s >/var/tmp/planted; nix-store --add /var/tmp/planted", word))
	defer d.on("host1", "rm /var/tmp/planted; nix-store --delete "+on)
	for where, c := range map[string]struct{ found, want []string }{
		"here":        {d.searchHere(begin, []string{"xyzzyOther", word}), []string{inDir, inStore}},
		"on the host": {d.searchHost([]string{"xyzzyOther", word}), []string{"/var/tmp/planted", on, "journal"}},
	} {
		for _, want := range c.want {
			if !slices.Contains(c.found, want) {
				d.t.Errorf("the search %s finds %q, but not %s", where, c.found, want)
			}
		}
	}
}

// watchCommandLines reads arguments and environments of every process, the
// hosts' included, until stop.
func (d *deployer) watchCommandLines(secrets []string, stop chan struct{}) string {
	for {
		select {
		case <-stop:
			return ""
		default:
		}
		for _, kind := range []string{"cmdline", "environ"} {
			files, _ := filepath.Glob("/proc/[0-9]*/" + kind)
			for _, file := range files {
				text, _ := os.ReadFile(file)
				for _, secret := range secrets {
					if bytes.Contains(text, []byte(secret)) {
						return file + ": " + strings.ReplaceAll(string(text), "\x00", " ")
					}
				}
			}
		}
	}
}

func TestAHostThatTakesConnectionsAndNeverSpeaksFailsAlone(t *testing.T) {
	d := deploying(t, 2)
	d.on("host2", "kill -STOP $(systemctl show -P MainPID ssh)")
	defer d.on("host2", "kill -CONT $(systemctl show -P MainPID ssh)")
	d.hive(`{ host1.deployment.keys.k.text = "v"; host2.deployment = { keys.k.text = "v"; sshOptions = [ "-oConnectTimeout=2" ]; }; }`)
	begin := time.Now()
	o := d.run("upload-keys", "--json")
	d.has("host1", "/run/keys/k", "v", "root root 600")
	if r := o.results["host2"]; o.code != 1 || r.Step != "connect" || !strings.Contains(r.Error, "it accepts connections but does not speak SSH in time") || time.Since(begin) > 15*time.Second {
		t.Errorf("exit %d after %v: %+v", o.code, time.Since(begin), r)
	}
	d.untouched("host2")
}
