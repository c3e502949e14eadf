package keyunits_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestAUnitFollowsItsFileAtOnce(t *testing.T) {
	h := onHost(t)
	h.to(`{ deployment.keys.k.text = "v"; }`)
	h.sh("echo v >/run/keys/k")
	if took := h.becomes(unit("k"), "active"); took > time.Second {
		t.Errorf("active after %v", took)
	}
	h.sh("rm /run/keys/k")
	if took := h.becomes(unit("k"), "inactive"); took > time.Second {
		t.Errorf("inactive after %v", took)
	}
}

// Such a change, as any other of the unit, does not restart it either.
func TestAConfigurationMayAddToAKeysUnit(t *testing.T) {
	h := onHost(t)
	h.sh("mkdir -p /run/keys; echo v >/run/keys/k")
	h.to(`{ deployment.keys.k.text = "v"; }`)
	h.becomes(unit("k"), "active")
	before := h.invocation(unit("k"))
	h.to(`{ deployment.keys.k.text = "v"; systemd.services."k-key".documentation = [ "https://example.org/k" ]; }`)
	if got := h.sh("systemctl show -P Documentation k-key"); got != "https://example.org/k" {
		t.Errorf("the unit has %q", got)
	}
	h.settled()
	if h.invocation(unit("k")) != before {
		t.Error("the unit was restarted")
	}
}

func TestOwnersAreSetOnlyWhereNobodyElseCanSwapTheFile(t *testing.T) {
	h := onHost(t)
	h.sh(`install -d -o 1000 /srv/theirs; mkdir /srv/ours /srv/aim
for dir in theirs ours aim; do (umask 077; echo v >/srv/$dir/k); done; ln -s /srv/aim /srv/theirs/link; ln -s ours /srv/link; chmod g+w /srv/aim
(umask 077; mkdir -m 755 /srv/two; echo v >/srv/two/k; ln /srv/two/k /srv/two/other)
mkdir /srv/former /srv/same; for dir in former same; do install -o 1234 -m 600 /dev/null /srv/$dir/k; done`)
	key := func(dir string) string {
		return fmt.Sprintf(`{ text = "v"; name = "k"; user = "many"; group = "many"; permissions = "0640"; destDir = "%s"; }`, dir)
	}
	said := h.to(`{ users.users.many = { isSystemUser = true; group = "many"; }; users.groups.many = { };
  deployment.keys = { a = ` + key("/srv/theirs") + `; b = ` + key("/srv/link") + `; c = ` + key("/srv/theirs/link") + `; d = ` + key("/srv/two") + `;
    e = ` + key("/srv/former") + `; f = ` + key("/srv/same") + ` // { user = "1234"; }; }; }`)
	for path, want := range map[string]string{
		"/srv/ours/k": "many many", "/srv/theirs/k": "root root", "/srv/aim/k": "root root", "/srv/two/k": "root root",
		"/srv/former/k": "UNKNOWN root", "/srv/same/k": "UNKNOWN many",
	} {
		if got := h.sh("stat -c '%U %G' " + path); got != want {
			t.Errorf("%s belongs to %s, want %s", path, got, want)
		}
	}
	if !strings.Contains(said, "key e: /srv/former/k belongs to UNKNOWN (1234), so only the next upload") {
		t.Errorf("nothing is said of a former owner: %s", said)
	}
}

// The tool leaves directories so whose owner is yet to be made.
func TestDirectoriesGoToTheirOwnersWithTheirKeys(t *testing.T) {
	h := onHost(t)
	h.sh(`umask 077; mkdir /srv/a /srv/a/b /srv/real /srv/kept /srv/ours; install -d -m 755 /srv/wide; install -d -o 1000 /srv/theirs; mkdir /srv/theirs/d; ln -s real /srv/link; echo v >/srv/a/b/k`)
	h.to(`{ users.users.many = { isSystemUser = true; group = "many"; }; users.groups.many = { };
  deployment.keys.k = { text = "v"; user = "many"; destDir = "/srv/a/b"; };
  deployment.keyDirectories = let many = { user = "many"; group = "many"; permissions = "2750"; }; in {
    "/srv/a" = many; "/srv/a/b" = many // { permissions = "711"; }; "/srv/link" = many; "/srv/kept" = many // { user = "root"; group = "root"; };
    "/srv/wide" = many; "/srv/theirs/d" = many; "/srv/gone" = many; }; }`)
	for path, want := range map[string]string{
		"/srv/a": "many many 2750", "/srv/a/b": "many many 711", "/srv/a/b/k": "many root 600", "/srv/real": "many many 2750",
		"/srv/kept": "root root 700", "/srv/ours": "root root 700", "/srv/wide": "root root 755", "/srv/theirs/d": "root root 700",
	} {
		if got := h.sh("stat -c '%U %G %a' " + path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}

// nixpkgs makes both, but not everywhere.
func TestTheGroupAndTheDirectoryOfKeysAreSeenTo(t *testing.T) {
	files, stderr, err := evaluated(t, "nix-instantiate", `{ deployment.keys.k.text = "v"; imports = [ ({ options, ... }: { environment.etc.files.text = toString options.users.groups.files; }) ]; }`, "environment.etc.files.text", "--eval")
	if err != nil || !strings.Contains(files, "keys.nix") {
		t.Errorf("the group keys is not declared by keys.nix: %v, %s, %s", err, files, stderr)
	}
	h := onHost(t)
	h.sh("mkdir -p /run/keys; chown root:root /run/keys; chmod 0755 /run/keys")
	h.to(`{ deployment.keys.k.text = "v"; }`)
	if got := h.sh("stat -c %U:%G:%a /run/keys"); got != "root:keys:750" {
		t.Errorf("/run/keys is %s", got)
	}
}

func TestAReplacedFileDoesNotFlapItsUnit(t *testing.T) {
	h := onHost(t)
	h.to(`{ deployment.keys.k.text = "v"; systemd.services.user = { bindsTo = [ "k-key.service" ]; after = [ "k-key.service" ]; serviceConfig.ExecStart = "${pkgs.coreutils}/bin/sleep infinity"; }; }`)
	h.sh("echo v >/run/keys/k; systemctl start user")
	before := h.invocation(unit("k")) + h.invocation("user")
	h.sh("for i in $(seq 50); do echo $i >/run/keys/.new; mv /run/keys/.new /run/keys/k; done")
	h.settled()
	if after := h.invocation(unit("k")) + h.invocation("user"); after != before {
		t.Error("the unit was restarted")
	}
}

func TestQuickRemovalsAndReturnsEndRight(t *testing.T) {
	h := onHost(t)
	h.to(`{ deployment.keys.k.text = "v"; }`)
	for _, pause := range []string{"0", "0.02", "0.07"} {
		h.sh("for i in $(seq 30); do echo v >/run/keys/k; sleep " + pause + "; rm /run/keys/k; sleep " + pause + "; done")
		h.settled()
		h.becomes(unit("k"), "inactive")
		h.sh("for i in $(seq 30); do rm -f /run/keys/k; sleep " + pause + "; echo v >/run/keys/k; sleep " + pause + "; done")
		h.settled()
		h.becomes(unit("k"), "active")
		h.sh("rm /run/keys/k")
		h.becomes(unit("k"), "inactive")
	}
}

func TestTheWayToAKeyMayComeAndGo(t *testing.T) {
	h := onHost(t)
	h.to(`{ deployment.keys.k = { text = "v"; destDir = "/srv//a/./b/"; }; deployment.keys.root = { text = "v"; destDir = "/"; }; }`)
	steps := []struct{ script, state string }{
		{"mkdir -p /srv/a/b; echo v >/srv/a/b/k", "active"},
		{"mv /srv/a /srv/c", "inactive"},
		{"mv /srv/c /srv/a", "active"},
		{"rm -r /srv/a", "inactive"},
		{"mkdir -p /srv/other/b; echo v >/srv/other/b/k; ln -s other /srv/a", "active"},
		{"ln -sfn nowhere /srv/a", "inactive"},
		{"ln -sfn other /srv/a", "active"},
		{"mount -t tmpfs none /srv/other/b", "inactive"}, // nobody is told of a mount where only a link leads, but a look sees it
		{"umount /srv/other/b; rm /srv/other/b/k", "inactive"},
	}
	for _, step := range steps {
		h.sh(step.script)
		h.settled()
		h.becomes(unit("k"), step.state)
	}
	h.sh("echo v >/root.key; mv /root.key /root.key.old; echo v >/root2; rm /root.key.old /root2")
	h.becomes(unit("root"), "inactive") // the directory /root is no key
}

// An inotify watch stays with what a mount hides.
func TestAMountOnTheWayToAKeyIsNews(t *testing.T) {
	h := onHost(t)
	h.to(`{ deployment.keys = { k.text = "v"; deep = { text = "v"; destDir = "/srv/with-dash/.dot/é"; }; }; }`)
	run := func(script string) { h.sh(script) }
	defer h.sh("umount /srv/with-dash/.dot/é /srv/with-dash 2>/dev/null; rm -rf /srv/*")
	const mount = "mount -t ramfs -o mode=0750 none /run/keys"
	steps := []struct {
		run                 func(script string)
		script, unit, state string
	}{
		{run, "echo v >/run/keys/k", "k", "active"},
		{run, "umount /run/keys", "k", "inactive"},
		{run, mount + "; echo v >/run/keys/k", "k", "active"},
		{run, "rm /run/keys/k", "k", "inactive"},
		{run, "umount /run/keys; " + mount + "; echo v >/run/keys/k", "k", "active"},
		{run, "umount /run/keys", "k", "inactive"},
		{h.mounted, mount, "k", "inactive"},
		{run, "echo v >/run/keys/k", "k", "active"},
		{run, "mkdir -p /srv/with-dash/.dot/é; echo v >/srv/with-dash/.dot/é/deep", "deep", "active"},
		{run, "mount -t tmpfs none /srv/with-dash/.dot/é", "deep", "inactive"},
		{run, "umount /srv/with-dash/.dot/é", "deep", "active"},
		{h.mounted, "mount -t tmpfs none /srv/with-dash", "deep", "inactive"},
		{run, "mkdir -p /srv/with-dash/.dot/é; echo v >/srv/with-dash/.dot/é/deep", "deep", "active"},
	}
	for _, step := range steps {
		step.run(step.script)
		if took := h.becomes(unit(step.unit), step.state); took > 3*time.Second {
			t.Errorf("%s: %s after %v", step.script, step.state, took)
		}
	}
}

// Nothing else is a key: an upload refuses it.
func TestOnlyARegularFileCounts(t *testing.T) {
	h := onHost(t)
	h.to(`{ deployment.keys.k.text = "v"; }`)
	for _, plant := range []string{"mkdir /run/keys/k", "mkfifo /run/keys/k", "ln -s /etc/hostname /run/keys/k"} {
		h.sh("systemctl start --no-block k-key")
		h.sh(plant)
		h.settled()
		if got := h.sh("systemctl show -P ActiveState k-key"); got != "activating" {
			t.Errorf("%s: a job that waits for the file finds it %s", plant, got)
		}
		h.sh("systemctl stop k-key; systemctl restart colmena-go-keys")
		h.settled()
		if got := h.sh("systemctl show -P ActiveState k-key"); got != "inactive" {
			t.Errorf("%s: %s", plant, got)
		}
		h.sh("rm -rf /run/keys/k; echo v >/run/keys/k")
		h.becomes(unit("k"), "active")
		h.sh("rm /run/keys/k; " + plant)
		h.becomes(unit("k"), "inactive")
		h.sh("rm -rf /run/keys/k")
	}
}

// Only news of the file itself tells here: nothing on the way changes.
func TestFilesAreFollowedWhateverTheirDirectory(t *testing.T) {
	h := onHost(t)
	h.sh("rm -f /plain; mkdir -p '/srv/a+b(c)'")
	h.to(`{ deployment.keys = { plain = { text = "v"; destDir = "/"; }; quoted = { text = "v"; destDir = "/srv/a+b(c)"; }; later = { text = "v"; destDir = "/srv/later"; }; }; }`)
	h.settled()
	for _, c := range []struct{ unit, make, remove string }{
		{"plain", "echo v >/plain", "rm /plain"},
		{"quoted", "echo v >'/srv/a+b(c)/quoted'", "rm '/srv/a+b(c)/quoted'"},
		{"later", "mkdir /srv/.l; echo v >/srv/.l/later; mv /srv/.l /srv/later", "mv /srv/later /srv/.gone"},
	} {
		h.settled()
		h.sh(c.make)
		if took := h.becomes(unit(c.unit), "active"); took > time.Second {
			t.Errorf("%s: %v", c.unit, took)
		}
		h.settled()
		h.sh(c.remove)
		if took := h.becomes(unit(c.unit), "inactive"); took > time.Second {
			t.Errorf("%s: %v", c.unit, took)
		}
	}
}

func TestAJobWaitsForTheFileAndHoldsOneProcess(t *testing.T) {
	h := onHost(t)
	h.to(`{ deployment.keys.k.text = "v"; systemd.services.needs = { requires = [ "k-key.service" ]; after = [ "k-key.service" ]; serviceConfig = { Type = "oneshot"; RemainAfterExit = true; }; script = "test -e /run/keys/k"; }; }`)
	h.sh("systemctl start --no-block needs")
	h.settled()
	h.becomes(unit("k"), "activating")
	if jobs := h.sh("systemctl list-jobs --no-legend"); !strings.Contains(jobs, "k-key.service start running") {
		t.Errorf("jobs: %s", jobs)
	}
	if n := h.sh("pgrep -fc '[a]wait-key'"); n != "1" {
		t.Errorf("%s processes wait", n)
	}
	h.sh("echo v >/run/keys/k")
	h.becomes("needs.service", "active")
}

// Such a job would wait for ever where the key no longer goes.
func TestAUnitThatWaitsLearnsOfItsKeysNewPath(t *testing.T) {
	h := onHost(t)
	key := func(dir string) string {
		var users strings.Builder
		for _, kind := range []string{"wants", "requires", "bindsTo"} {
			fmt.Fprintf(&users, `systemd.services.%s-k = { %[1]s = [ "k-key.service" ]; after = [ "k-key.service" ]; serviceConfig = { Type = "oneshot"; RemainAfterExit = true; ExecStart = "${pkgs.coreutils}/bin/test -e %s/k"; }; };`, kind, dir)
		}
		return `{ deployment.keys.k = { text = "v"; destDir = "` + dir + `"; }; deployment.keys.other.text = "v"; ` + users.String() + ` }`
	}
	h.to(key("/run/keys"))
	h.sh("echo v >/run/keys/other; systemctl start --no-block wants-k requires-k bindsTo-k")
	h.becomes(unit("k"), "activating")
	h.becomes(unit("other"), "active")
	other := h.invocation(unit("other"))

	h.to(key("/srv")) // where it is yet to come
	h.settled()
	h.sh("echo v >/run/keys/k")
	h.settled()
	h.becomes(unit("k"), "activating")
	h.sh("mkdir /srv/there; echo v >/srv/there/k")
	h.to(key("/srv/there"))
	h.becomes(unit("k"), "active")
	for _, user := range []string{"wants-k", "requires-k", "bindsTo-k"} {
		h.becomes(user, "active")
	}
	before := h.invocation(unit("k"))
	h.sh("systemctl restart colmena-go-keys")
	h.settled()
	if h.invocation(unit("k")) != before || h.invocation(unit("other")) != other {
		t.Error("a unit that was active is restarted")
	}
}

func TestTheWatcherMayDieAndNothingElseChanges(t *testing.T) {
	h := onHost(t)
	h.to(`{ deployment.keys = { k.text = "v"; l.text = "v"; }; }`)
	h.sh("echo v >/run/keys/k")
	h.becomes(unit("k"), "active")
	before := h.invocation(unit("k"))
	h.sh("systemctl kill -s KILL colmena-go-keys; rm -f /run/keys/l; systemctl restart colmena-go-keys")
	// Not its main process, which systemd guesses, and knows only if nothing else of it ran at that moment.
	h.sh("until pid=$(pgrep -x inotifywait); do sleep 0.05; done; kill -KILL $pid")
	h.sh("echo v >/run/keys/l")
	h.becomes(unit("l"), "active")
	h.becomes("colmena-go-keys.service", "active")
	if h.invocation(unit("k")) != before {
		t.Error("the watcher's end restarted a key's unit")
	}
}

func TestKeysAreFollowedWhereInotifyIsUsedUp(t *testing.T) {
	h := onHost(t)
	h.to(`{ deployment.keys.k.text = "v";
  systemd.services.colmena-go-keys.serviceConfig = { SystemCallFilter = "~inotify_init inotify_init1"; SystemCallErrorNumber = "EMFILE"; }; }`)
	h.sh("echo v >/run/keys/k")
	if took := h.becomes(unit("k"), "active"); took < time.Second {
		t.Errorf("active after %v, so inotify works here and nothing is tried", took)
	}
	h.sh("rm /run/keys/k")
	h.becomes(unit("k"), "inactive")
	if log := h.sh("journalctl -q -u colmena-go-keys"); !strings.Contains(log, "cannot be watched") {
		t.Errorf("nothing is said: %s", log)
	}
	if n, _ := strconv.Atoi(h.sh("systemctl show -P NRestarts colmena-go-keys")); n > 10 {
		t.Errorf("%d restarts", n)
	}
}

// As when its program cannot be started for want of memory.
func TestAWatcherThatCannotStartIsTriedAgainWithoutKeepingSystemdBusy(t *testing.T) {
	h := onHost(t)
	toplevel := h.built(`{ deployment.keys.k.text = "v"; systemd.services.colmena-go-keys.serviceConfig.WorkingDirectory = "/srv/gone";
  systemd.timers.colmena-go-keys.timerConfig.OnUnitInactiveSec = lib.mkForce 1; }`)
	h.real.Shell(toplevel + "/bin/switch-to-configuration test")
	h.becomes("colmena-go-keys.service", "failed")
	if n, _ := strconv.Atoi(h.sh("systemctl show -P NRestarts colmena-go-keys")); n > 200 {
		t.Errorf("%d restarts", n)
	}
	// Not before the limit's interval of 10 s is over.
	h.sh("mkdir /srv/gone; echo v >/run/keys/k; timeout 30 sh -c 'until systemctl -q is-active " + unit("k") + "; do sleep 0.1; done'")
	h.becomes("colmena-go-keys.service", "active")
}

// What happens beside the keys wakes nobody.
func TestABusyDirectoryCostsNothing(t *testing.T) {
	h := onHost(t)
	h.to(`{ deployment.keys = { k = { text = "v"; destDir = "/srv/busy"; }; "not.there" = { text = "v"; destDir = "/srv/busy/later"; }; }; }`)
	h.sh("mkdir -p /srv/busy; echo v >/srv/busy/k")
	h.becomes(unit("k"), "active")
	h.settled()
	const runs = "systemctl show -P NRestarts colmena-go-keys"
	before := h.sh(runs)
	h.sh("for i in $(seq 100); do echo >/srv/busy/$i; echo >/srv/busy/not_there; mkdir /srv/busy/.colmena-go.x /srv/busy/later.; rmdir /srv/busy/.colmena-go.x /srv/busy/later.; done; echo more >>/srv/busy/k")
	// News come in order: what the watcher says of this it says after all of that.
	h.sh("rm /srv/busy/k")
	h.becomes(unit("k"), "inactive")
	h.looked()
	n, err := strconv.Atoi(before)
	if after := h.sh(runs); err != nil || after != strconv.Itoa(n+1) {
		t.Errorf("the watcher has looked %s times and then %s, want once more (%v)", before, after, err)
	}
}

func TestTwoHundredKeys(t *testing.T) {
	h := onHost(t)
	processes := func() int {
		n, err := strconv.Atoi(h.sh("ps -e --no-headers | wc -l"))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	bare := processes()
	const many = `{ deployment.keys = builtins.listToAttrs (builtins.genList (i: { name = "key-number-${toString i}"; value = { text = "v"; user = "many"; %s }; }) 200);
	  users.users.many = { isSystemUser = true; group = "many"; }; users.groups.many = { }; }`
	h.sh("for i in $(seq 0 199); do echo v >/run/keys/key-number-$i; done; chmod 600 /run/keys/*")
	begin := time.Now()
	h.to(fmt.Sprintf(many, ""))
	t.Logf("the switch that brings 200 keys, units and owners: %v", time.Since(begin))
	const active = `systemctl list-units --no-legend --state=active 'key-number-*' | wc -l`
	all := func(want string) time.Duration {
		begin := time.Now()
		for h.sh(active) != want {
			if time.Since(begin) > 20*time.Second {
				t.Fatalf("%s units are active, want %s", h.sh(active), want)
			}
			time.Sleep(20 * time.Millisecond)
		}
		return time.Since(begin)
	}
	all("200")
	if got := h.sh("stat -c '%U %a' /run/keys/key-number-* | sort | uniq -c"); got != "200 many 600" {
		t.Errorf("owners: %s", got)
	}
	h.settled()
	if more := processes() - bare; more > 1 {
		t.Errorf("%d processes more than without keys:\n%s", more, h.sh("ps -eo args"))
	}
	t.Log("a run of the watcher takes ", h.sh("systemctl stop colmena-go-keys; TIMEFORMAT=%R; bash -c 'time systemctl start colmena-go-keys' 2>&1"))
	t.Log("the watcher, RSS in kB: ", h.sh("ps -o rss= -C inotifywait"))

	const history = `systemctl show -p InvocationID "key-number-*" colmena-go-keys | sort`
	before := h.sh(history)
	system := h.built(fmt.Sprintf(many, ""))
	begin = time.Now()
	if exit, output := h.activate(system, "switch"); exit != 0 {
		t.Fatal(output)
	}
	t.Logf("a switch that changes nothing: %v", time.Since(begin))
	if h.sh(history) != before {
		t.Error("a switch that changes nothing restarted units")
	}
	// What else a key is, and which others there are, is none of a unit's business.
	history200 := h.sh(`systemctl show -p InvocationID "key-number-*" | sort`)
	output := h.to("{ imports = [ " + fmt.Sprintf(many, `permissions = "0400";`) + ` { deployment.keys.other.text = "v"; } ]; }`)
	if strings.Contains(output, "key-number-") {
		t.Errorf("the switch speaks of unchanged units:\n%s", output)
	}
	h.settled()
	if h.sh(`systemctl show -p InvocationID "key-number-*" | sort`) != history200 {
		t.Error("another key restarted units")
	}
	h.sh("rm /run/keys/*")
	t.Logf("200 units are gone after %v", all("0"))
	h.sh("mkdir /run/keys/.new; for i in $(seq 0 199); do echo v >/run/keys/.new/key-number-$i; done; mv /run/keys/.new/* /run/keys")
	t.Logf("200 units are active after %v", all("200"))
	h.settled()
	if more := processes() - bare; more > 1 {
		t.Errorf("%d processes more than without keys:\n%s", more, h.sh("ps -eo args"))
	}
	if got := h.sh("systemctl is-system-running"); got != "running" {
		t.Errorf("the system is %s", got)
	}
}
