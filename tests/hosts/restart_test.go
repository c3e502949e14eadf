package hosts_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// telling is a hive of one host with keys and services that write down in /srv each time
// that they are started or reloaded; more goes into the host's own configuration.
func (d *deployer) telling(keys, more string) {
	d.hive(`{ host1 = { imports = [ { ` + more + ` } ];
    deployment.keys = { ` + keys + ` };
    systemd.services = builtins.listToAttrs (map (name: { inherit name; value = {
      wantedBy = if name == "idle" then [ ] else [ "multi-user.target" ];
      serviceConfig = { Type = "oneshot"; RemainAfterExit = true; };
      script = "echo start >>/srv/${name}"; reload = "echo reload >>/srv/${name}";
    }; }) [ "web" "other" "idle" ]);
  }; }`)
}

// happened is what a service has written down since the last time.
func (d *deployer) happened(service string) string {
	d.t.Helper()
	return strings.Join(strings.Fields(d.on("host1", fmt.Sprintf("cat '/srv/%s' 2>/dev/null; rm -f '/srv/%[1]s'", service))), " ")
}

// told asserts what happened to services since the last time.
func (d *deployer) told(what string, want map[string]string) {
	d.t.Helper()
	for service, want := range want {
		if got := d.happened(service); got != want {
			d.t.Errorf("%s: of %s happened %q, want %q", what, service, got, want)
		}
	}
}

// unit is what the result says of a unit.
func (r result) unit(name string) string {
	for _, u := range r.Units {
		if u.Name == name {
			return strings.TrimSpace(u.Job + " " + u.Outcome + " " + u.Note)
		}
	}
	return ""
}

// ends stops the test's services.
func (d *deployer) ends(services ...string) {
	d.t.Cleanup(func() {
		d.on("host1", "systemctl stop "+strings.Join(services, " ")+" 2>/dev/null; systemctl reset-failed 2>/dev/null; :")
		d.hive(`{ host1 = { }; }`)
		d.must("apply")
	})
}

func TestUnitsAreToldOnceOfAllTheirKeysThatChanged(t *testing.T) {
	d := deploying(t, 1)
	d.ends("web", "other", "idle")
	keys := func(content, mode string) string {
		return fmt.Sprintf(`a = { text = "%s"; restartUnits = [ "web" ]; permissions = "%s"; }; b = { text = "%[1]s"; restartUnits = [ "web.service" "idle" ]; };
      c = { text = "%[1]s"; reloadUnits = [ "web" ]; }; late = { text = "%[1]s"; reloadUnits = [ "other" ]; uploadAt = "post-activation"; }; d.text = "%[1]s";`, content, mode)
	}
	d.telling(keys("1", "0600"), "")
	o := d.must("apply")
	d.told("the activation has started them", map[string]string{"web": "start", "idle": ""})
	if got := d.happened("other"); got != "start" && got != "start reload" { // its key comes after it
		t.Errorf("of other happened %q", got)
	}
	if got := o.results["host1"].unit("web.service"); got != "restart left it was started since, and so has the new key" {
		t.Errorf("web: %s", got)
	}

	d.must("apply")
	d.must("upload-keys")
	d.told("nothing has changed", map[string]string{"web": "", "other": "", "idle": ""})

	d.telling(keys("2", "0600"), "")
	said := d.foresees(3, "upload-keys", "--dry-run")["host1"]
	if len(said.KeyUnits) != 3 || said.KeyUnits[0].Name != "web.service" || said.KeyUnits[0].Job != "restart" || len(said.KeyUnits[0].Keys) != 3 {
		t.Errorf("a plan says %+v", said.KeyUnits)
	}
	d.told("a plan", map[string]string{"web": "", "other": "", "idle": ""})
	o = d.must("upload-keys")
	d.told("all keys have changed", map[string]string{"web": "start", "other": "reload", "idle": ""})
	if r := o.results["host1"]; r.unit("web.service") != "restart done" || r.unit("other.service") != "reload done" || r.unit("idle.service") != "restart left it does not run (inactive)" {
		t.Errorf("%+v", r.Units)
	}

	d.telling(keys("2", "0640"), "")
	d.must("upload-keys")
	d.told("a mode has changed", map[string]string{"web": "start", "other": ""})
	d.telling(keys("3", "0640"), "")
	d.must("apply")
	d.told("by apply", map[string]string{"web": "start", "other": "reload"})
	d.must("apply", "boot")
	d.telling(keys("4", "0640"), "")
	d.must("apply", "boot")
	d.told("by boot", map[string]string{"web": "", "other": ""})
	d.must("apply", "--no-keys")
	d.told("without keys", map[string]string{"web": "", "other": ""})
	d.must("apply")
	d.told("what boot left out", map[string]string{"web": "start", "other": "reload"})
	d.untouched("host1")
}

// The activation restarts what has changed itself, and with the new key already.
func TestWhatTheActivationRestartsIsNotRestartedAgain(t *testing.T) {
	d := deploying(t, 1)
	d.ends("web", "other")
	text := func(version string) {
		d.telling(`a = { text = "`+version+`"; restartUnits = [ "web" "other" ]; };`, `systemd.services.web.environment.VERSION = "`+version+`";`)
	}
	text("1")
	d.must("apply")
	d.on("host1", "rm -f /srv/*")
	text("2")
	o := d.must("apply")
	d.told("both have changed", map[string]string{"web": "start", "other": "start"})
	if r := o.results["host1"]; r.unit("web.service") != "restart left it was started since, and so has the new key" || r.unit("other.service") != "restart done" {
		t.Errorf("%+v", r.Units)
	}
}

func TestAUnitThatCannotTakeItsKeyFailsItsNode(t *testing.T) {
	d := deploying(t, 1)
	d.ends("web", "other", "broken", "dies")
	const more = `systemd.services.broken = { serviceConfig = { Type = "oneshot"; RemainAfterExit = true; }; script = "[ ! -e /srv/break ] || { echo no good key; exit 1; }"; };
      systemd.services.dies = { script = "[ ! -e /srv/break ] || exit 1; echo >/srv/dies; exec sleep infinity"; };`
	key := func(content, units string) string {
		return `a = { text = "` + content + `"; restartUnits = [ ` + units + ` ]; };`
	}
	d.telling(key("1", ""), more)
	d.must("apply")
	d.on("host1", "systemctl start broken dies; until [ -e /srv/dies ]; do sleep 0.05; done; touch /srv/break; rm -f /srv/web")

	d.telling(key("2", `"broken" "dies" "web" "not-there"`), more)
	o := d.run("upload-keys", "--json")
	r := o.results["host1"]
	if o.code != 1 || r.Step != "units" || r.unit("web.service") != "restart done" || r.unit("not-there.service") != "restart failed there is no such unit on the host" ||
		!strings.HasPrefix(r.unit("broken.service"), "restart failed it failed") || !strings.HasPrefix(r.unit("dies.service"), "restart failed it failed") {
		t.Errorf("exit %d: %+v", o.code, r)
	}
	for _, name := range []string{"broken.service", "dies.service", "not-there.service"} {
		if !strings.Contains(r.Error, name) {
			t.Errorf("%s is not named: %s", name, r.Error)
		}
	}
	if !strings.Contains(strings.Join(r.Output, "\n"), "no good key") {
		t.Errorf("why it failed is not told: %q", r.Output)
	}
	d.has("host1", "/run/keys/a", "2", "root root 600")
	d.told("beside those that fail", map[string]string{"web": "start"})

	// It is still owed, until the hive is mended.
	if o := d.run("upload-keys", "--json"); o.code != 1 || !strings.Contains(o.results["host1"].Error, "not-there.service") {
		t.Errorf("again: exit %d: %+v", o.code, o.results)
	}
	d.telling(key("2", `"broken" "web"`), more)
	d.must("upload-keys")
	d.told("it is not restarted again", map[string]string{"web": ""})
}

// It takes as long as it wants; nobody waits for ever.
func TestARestartThatTakesLongIsWaitedForAndTold(t *testing.T) {
	d := deploying(t, 1)
	d.ends("slow")
	const more = `systemd.services.slow = { serviceConfig = { Type = "oneshot"; RemainAfterExit = true; }; script = "[ ! -e /srv/slow ] || sleep 15"; };`
	d.telling(`a = { text = "1"; restartUnits = [ "slow" ]; };`, more)
	d.must("apply")
	d.on("host1", "systemctl start slow; touch /srv/slow")
	d.telling(`a = { text = "2"; restartUnits = [ "slow" ]; };`, more)
	o := d.run("upload-keys", "--color", "never")
	if o.code != 0 || !strings.Contains(o.stderr, "still restarting slow.service") {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
}

// A deployer may be killed when the keys are in place and the units do not know yet.
func TestARestartIsNotForgottenWithTheDeployer(t *testing.T) {
	d := deploying(t, 1)
	d.ends("web", "other")
	key := func(content string) {
		d.telling(`a = { text = "`+content+`"; restartUnits = [ "web" ]; reloadUnits = [ "other" ]; };`, "")
	}
	key("1")
	d.must("apply")
	d.on("host1", "rm -f /srv/*")
	const wrapper = "/usr/local/bin/systemctl"
	defer d.on("host1", "rm -f "+wrapper)
	d.on("host1", `mkdir -p /usr/local/bin; cat >`+wrapper+` <<'SH'
#!/bin/sh
case "$*" in *ActiveState*) echo >/srv/asked; sleep 5; exit 1 ;; esac
exec /usr/bin/systemctl "$@"
SH
chmod 755 `+wrapper)
	key("2")
	cmd := d.command("upload-keys", "--json")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	for range 400 {
		if d.on("host1", "ls /srv") == "asked" {
			killed = cmd.Process.Signal(syscall.SIGKILL) == nil
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	cmd.Wait()
	d.on("host1", "rm -f "+wrapper+" /srv/asked")
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !killed || !ok || !status.Signaled() {
		t.Fatal("the deployer was not killed before it restarted units")
	}
	d.has("host1", "/run/keys/a", "2", "root root 600")
	d.told("nobody has told them", map[string]string{"web": "", "other": ""})

	if said := d.foresees(3, "upload-keys", "--dry-run")["host1"]; len(said.KeyUnits) != 2 || len(said.KeyUnits[0].Keys) != 0 {
		t.Errorf("a plan says %+v", said.KeyUnits)
	}
	o := d.must("upload-keys")
	d.told("the next run", map[string]string{"web": "start", "other": "reload"})
	if r := o.results["host1"]; r.change("a") != "unchanged" || r.unit("web.service") != "restart done" {
		t.Errorf("%+v", r)
	}
	d.must("upload-keys")
	d.told("the run after it", map[string]string{"web": "", "other": ""})
}

func TestUnitsOfOddNamesAreRestarted(t *testing.T) {
	d := deploying(t, 1)
	units := []string{"inst@a-b.service", `odd\x2dname.service`, "listen.socket", "often.timer", "group.target"}
	d.t.Cleanup(func() {
		d.on("host1", "systemctl stop 'inst@a-b.service' 'odd\\x2dname.service' listen.socket often.timer group.target; rm -f /run/systemd/system/inst@.service /run/systemd/system/odd* /run/systemd/system/listen.* /run/systemd/system/often.* /run/systemd/system/group.target; systemctl daemon-reload")
	})
	d.on("host1", `cd /run/systemd/system
for unit in inst@.service 'odd\x2dname.service' listen.service often.service; do printf '[Service]\nType=oneshot\nRemainAfterExit=true\nExecStart=/bin/true\n' >"$unit"; done
printf '[Socket]\nListenStream=/run/listen.sock\n' >listen.socket
printf '[Timer]\nOnBootSec=10d\n' >often.timer
printf '[Unit]\nDescription=group\n' >group.target
systemctl daemon-reload; systemctl start 'inst@a-b.service' 'odd\x2dname.service' listen.socket often.timer group.target`)
	runs := func() string {
		return d.on("host1", `systemctl show -P InvocationID -- 'inst@a-b.service' 'odd\x2dname.service' listen.socket often.timer group.target | grep .`)
	}
	key := func(content string) {
		var names []string
		for _, unit := range units {
			names = append(names, nixString(unit))
		}
		d.hive(`{ host1.deployment.keys.a = { text = "` + content + `"; restartUnits = [ ` + strings.Join(names, " ") + ` ]; }; }`)
	}
	key("1")
	before := strings.Fields(runs())
	o := d.must("upload-keys")
	after := strings.Fields(runs())
	if len(before) != len(units) || len(after) != len(units) {
		t.Fatal(before, after)
	}
	for i, unit := range units {
		if before[i] == after[i] || o.results["host1"].unit(unit) != "restart done" {
			t.Errorf("%s: %s", unit, o.results["host1"].unit(unit))
		}
	}
}

func TestADeployerWithoutRootRestartsUnits(t *testing.T) {
	d := deploying(t, 1)
	d.ends("web", "other")
	key := func(content string) {
		d.telling(`a = { text = "`+content+`"; restartUnits = [ "web" ]; }; b = { text = "`+content+`"; restartUnits = [ "web" ]; uploadAt = "post-activation"; };`, `deployment.targetUser = "deployer";`)
	}
	key("1")
	d.must("apply")
	d.on("host1", "rm -f /srv/*")
	key("2")
	d.must("apply")
	d.told("keys of two phases", map[string]string{"web": "start"})
	key("3")
	d.must("upload-keys")
	d.told("upload-keys", map[string]string{"web": "start"})
}

// The switch waits for a key; what else uses it is restarted when the switch is over.
func TestUnitsOfAKeyThatTheSwitchWaitsForAreRestartedAfterIt(t *testing.T) {
	d := deploying(t, 1)
	d.ends("web", "other", "needs")
	d.telling("", "")
	d.must("apply")
	d.on("host1", "rm -f /srv/*")
	d.telling(`late = { text = "1"; uploadAt = "post-activation"; restartUnits = [ "web" ]; };`, `systemd.services.needs = {
      wantedBy = [ "multi-user.target" ]; requires = [ "late-key.service" ]; after = [ "late-key.service" ];
      serviceConfig = { Type = "oneshot"; RemainAfterExit = true; }; script = "echo start >>/srv/needs";
    };`)
	o := d.must("apply")
	d.told("a key that comes during the switch", map[string]string{"web": "start", "needs": "start", "other": ""})
	if r := o.results["host1"]; r.unit("web.service") != "restart done" {
		t.Errorf("%+v", r)
	}
}

// What waited for its key at the boot has it; what did not is told.
func TestUnitsAreToldOfKeysThatComeAfterAReboot(t *testing.T) {
	d := deploying(t, 1)
	d.ends("web", "other", "needs")
	d.telling(`a = { text = "1"; restartUnits = [ "web" "needs" ]; }; kept = { text = "1"; destDir = "/srv"; restartUnits = [ "other" ]; };`, `systemd.services.needs = {
      wantedBy = [ "multi-user.target" ]; requires = [ "a-key.service" ]; after = [ "a-key.service" ];
      serviceConfig = { Type = "oneshot"; RemainAfterExit = true; }; script = "cat /run/keys/a >>/srv/needs";
    };`)
	d.must("apply")
	d.reboots("host1")
	d.on("host1", "rm -f /srv/web /srv/other /srv/needs")
	o := d.must("apply", "--reboot")
	d.told("after the boot", map[string]string{"web": "start start", "other": "start"})
	if got := d.happened("needs"); got != "1" && got != "11" { // restarted once more if it was faster than who asks
		t.Errorf("needs has read %q", got)
	}
	if r := o.results["host1"]; r.unit("web.service") != "restart done" || r.unit("other.service") != "" {
		t.Errorf("%+v", r)
	}
}

func TestARestartIsFollowedOverAnotherConnection(t *testing.T) {
	d := deploying(t, 1)
	d.ends("slow")
	key := func(content string) {
		d.telling(`a = { text = "`+content+`"; restartUnits = [ "slow" ]; };`, `systemd.services.slow = {
      serviceConfig = { Type = "oneshot"; RemainAfterExit = true; }; script = "echo start >>/srv/slow; [ ! -e /srv/wait ] || sleep 3";
    };`)
	}
	key("1")
	d.must("apply")
	d.on("host1", "systemctl start slow; rm -f /srv/slow; touch /srv/wait")
	key("2")
	cmd := d.command("upload-keys", "-v")
	said := &listener{word: "restarting slow.service", heard: make(chan struct{})}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-said.heard:
	case <-time.After(time.Minute):
		t.Error("it is not restarted")
	}
	for range 100 {
		if d.on("host1", "ls /srv/slow 2>/dev/null || :") != "" {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := d.host("host1").KillConnections(); err != nil {
		t.Error(err)
	}
	err := cmd.Wait()
	if text := said.said.String(); err != nil || !strings.Contains(text, "connecting again") || !strings.Contains(text, "waiting for slow.service") {
		t.Errorf("%v: %s", err, text)
	}
	d.told("over two connections", map[string]string{"slow": "start"})
	d.must("upload-keys")
	d.told("the next run", map[string]string{"slow": ""})
}
