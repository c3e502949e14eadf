package nixos_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/tests/fleet"
)

func TestASwitchTouchesExactlyTheUnitsThatChanged(t *testing.T) {
	f := fleet.Require(t, 1)
	h := f.Hosts[0]
	daemon := func(name, more string) string {
		return fmt.Sprintf(`systemd.services.%s = { wantedBy = [ "multi-user.target" ]; script = "exec sleep infinity"; %s };`, name, more)
	}
	all := func(version string) string {
		change := fmt.Sprintf("environment.VERSION = %q;", version)
		return daemon("kept", "") + daemon("stopped", change) + daemon("restarted", "stopIfChanged = false; "+change) +
			daemon("reloaded", `reload = "touch /run/reloaded"; reloadIfChanged = true; `+change) +
			daemon("untouched", "restartIfChanged = false; "+change)
	}
	first := switchTo(t, f, h, "{ "+all("1")+daemon("gone", "")+" }")
	if first.exit != 0 {
		t.Fatalf("the first switch exits with %d:\n%s", first.exit, first.output)
	}
	says(t, first, "activating the configuration...", "the following new units were started: ", "gone.service, kept.service")

	pids := `for s in kept stopped restarted reloaded untouched; do echo $s $(systemctl show -P MainPID $s); done`
	before := shell(t, h, pids)
	second := switchTo(t, f, h, "{ "+all("2")+daemon("fresh", "")+" }")
	if second.exit != 0 {
		t.Fatalf("the second switch exits with %d:\n%s", second.exit, second.output)
	}
	says(t, second, "stopping the following units: gone.service, stopped.service\n",
		"NOT restarting the following changed units: untouched.service\n",
		"reloading the following units: reloaded.service\n",
		"restarting the following units: restarted.service\n",
		"starting the following units: stopped.service\n",
		"the following new units were started: fresh.service\n")
	after := shell(t, h, pids)
	for i, line := range strings.Split(after, "\n") {
		name, _, _ := strings.Cut(line, " ")
		same := line == strings.Split(before, "\n")[i]
		if restarts := name == "stopped" || name == "restarted"; same == restarts {
			t.Errorf("before %q, now %q", strings.Split(before, "\n")[i], line)
		}
	}
	wants(t, "the reload's mark", shell(t, h, "ls /run/reloaded"), "/run/reloaded")
	wants(t, "the state of the others", shell(t, h, "systemctl is-active gone fresh ssh || :"), "inactive\nactive\nactive")

	third := switchTo(t, f, h, "{ "+all("2")+daemon("fresh", "")+" }")
	if third.exit != 0 || strings.Contains(third.output, "units: ") {
		t.Errorf("a switch that changes nothing exits with %d and says\n%s", third.exit, third.output)
	}
	wants(t, "the list of processes after it", shell(t, h, pids), after)
}

func TestASwitchSaysByItsExitStatusWhatFailed(t *testing.T) {
	f := fleet.Require(t, 1)
	h := f.Hosts[0]
	const fine = `system.activationScripts.later = lib.stringAfter [ "broken" ] "touch /run/later"; system.activationScripts.broken = "";`
	if a := switchTo(t, f, h, "{"+fine+"}"); a.exit != 0 {
		t.Fatalf("exit %d\n%s", a.exit, a.output)
	}
	shell(t, h, "rm /run/later")

	units := switchTo(t, f, h, `{ `+fine+` systemd.services.fails = { wantedBy = [ "multi-user.target" ]; serviceConfig.Type = "oneshot"; script = "exit 3"; }; }`)
	wants(t, "the exit status with a failed unit", fmt.Sprint(units.exit), "4")
	says(t, units, "warning: the following units failed: fails.service")

	script := switchTo(t, f, h, `{ imports = [ { system.activationScripts.broken = lib.mkForce "false"; } ]; `+fine+` }`)
	wants(t, "the exit status with a failed activation script", fmt.Sprint(script.exit), "2")
	says(t, script, "Activation script snippet 'broken' failed (1)")
	wants(t, "the mark of a script after it", shell(t, h, "ls /run/later"), "/run/later")

	reboot := switchTo(t, f, h, `{ `+fine+` system.extraSystemBuilderCmds = "printf other > $out/init-interface-version"; }`)
	wants(t, "the exit status when a reboot is needed", fmt.Sprint(reboot.exit), "100")

	loader := switchTo(t, f, h, `{ `+fine+` system.build.installBootLoader = lib.mkForce (pkgs.writeShellScript "no" "exit 1"); }`)
	wants(t, "the exit status when the boot loader fails", fmt.Sprint(loader.exit), "1")
	wants(t, "the exit status of an unknown action",
		fmt.Sprint(activate(t, h, shell(t, h, "readlink /run/current-system"), "swtich").exit), "1")

	if a := switchTo(t, f, h, "{"+fine+"}"); a.exit != 0 {
		t.Fatalf("after the failures: exit %d\n%s", a.exit, a.output)
	}
}

func TestASwitchWaitsForTheJobsItStarts(t *testing.T) {
	f := fleet.Require(t, 1)
	h := f.Hosts[0]
	shell(t, h, "rm -f /run/awaited")
	toplevel := system(t, `{
  systemd.services.awaits = { serviceConfig = { Type = "oneshot"; RemainAfterExit = true; TimeoutStartSec = "infinity"; }; script = "until [ -e /run/awaited ]; do sleep 0.05; done"; };
  systemd.services.needs = { wantedBy = [ "multi-user.target" ]; requires = [ "awaits.service" ]; after = [ "awaits.service" ]; script = "exec sleep infinity"; };
}`)
	install(t, f, h, toplevel)
	done := make(chan activation)
	go func() { done <- activate(t, h, toplevel, "switch") }()
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(shell(t, h, "systemctl list-jobs --no-legend"), "awaits.service") {
		if time.Now().After(deadline) {
			t.Fatal("no job of awaits.service is seen")
		}
	}
	select {
	case a := <-done:
		t.Fatalf("it did not wait:\n%s", a.output)
	case <-time.After(500 * time.Millisecond):
	}
	shell(t, h, "touch /run/awaited")
	if a := <-done; a.exit != 0 {
		t.Errorf("exit %d\n%s", a.exit, a.output)
	}
	wants(t, "the state of the unit that needs it", shell(t, h, "systemctl is-active needs"), "active")
}

func TestASwitchDiesWhenItsReaderIsGone(t *testing.T) {
	f := fleet.Require(t, 1)
	h := f.Hosts[0]
	toplevel := system(t, `{ environment.etc.piped.text = "x"; }`)
	install(t, f, h, toplevel)
	out := shell(t, h, fmt.Sprintf(`bash -c '(%s/bin/switch-to-configuration test 2>&1; echo $? >/run/status) | sleep 0'; until [ -s /run/status ]; do sleep 0.05; done; cat /run/status`, toplevel))
	wants(t, "the exit status", out, "141")
}

func TestADryActivationChangesNothing(t *testing.T) {
	f := fleet.Require(t, 1)
	h := f.Hosts[0]
	if a := switchTo(t, f, h, `{ systemd.services.dry = { wantedBy = [ "multi-user.target" ]; script = "exec sleep 1000"; }; }`); a.exit != 0 {
		t.Fatalf("exit %d\n%s", a.exit, a.output)
	}
	look := `readlink /run/current-system; cat /etc/passwd | cksum; cat /boot/nixos-entry; systemctl show -P MainPID dry; ls /run`
	before := shell(t, h, look)
	toplevel := system(t, `{ users.users.dryuser.isNormalUser = true; systemd.services.dry = { wantedBy = [ "multi-user.target" ]; script = "exec sleep 2000"; };
  system.activationScripts.seen = { supportsDryActivation = true; text = "echo seen on $NIXOS_ACTION"; }; }`)
	install(t, f, h, toplevel)
	a := activate(t, h, toplevel, "dry-activate")
	wants(t, "the exit status", fmt.Sprint(a.exit), "0")
	says(t, a, "would stop the following units: dry.service", "would activate the configuration...", "seen on dry-activate", "would start the following units: dry.service")
	wants(t, "the host afterwards", shell(t, h, look), before)
}

func TestBootTakesEffectAtTheNextBootAndTestEndsThere(t *testing.T) {
	f := fleet.Require(t, 1)
	h := f.Hosts[0]
	marked := func(word string) string {
		return system(t, fmt.Sprintf(`{ environment.etc.word.text = "%[1]s"; users.users.%[1]s = { isSystemUser = true; group = "%[1]s"; }; users.groups.%[1]s = { };
  systemd.services.word = { wantedBy = [ "multi-user.target" ]; script = "exec sleep infinity"; serviceConfig.User = "%[1]s"; };
  systemd.services.early = { wantedBy = [ "sysinit.target" ]; before = [ "sysinit.target" ]; unitConfig.DefaultDependencies = false;
    serviceConfig = { Type = "oneshot"; RemainAfterExit = true; }; script = "id %[1]s && [ -e /etc/word ]"; }; }`, word))
	}
	state := `cat /etc/word; echo; ps -o user= -p $(systemctl show -P MainPID word); systemctl is-active early; systemctl is-system-running --wait`
	runs := func(when, word string) {
		t.Helper()
		wants(t, "the host "+when, shell(t, h, state), word+"\n"+word+"\nactive\nrunning")
	}

	now, next, tried := marked("nowword"), marked("nextword"), marked("triedword")
	for _, toplevel := range []string{now, next, tried} {
		install(t, f, h, toplevel)
	}
	if a := activate(t, h, now, "switch"); a.exit != 0 {
		t.Fatalf("exit %d\n%s", a.exit, a.output)
	}
	runs("after switch", "nowword")

	if a := activate(t, h, next, "boot"); a.exit != 0 {
		t.Fatalf("exit %d\n%s", a.exit, a.output)
	}
	shell(t, h, "systemctl daemon-reload")
	runs("after boot", "nowword")
	if err := h.Reboot(); err != nil {
		t.Fatal(err)
	}
	runs("after the reboot", "nextword")
	wants(t, "the booted system", shell(t, h, "readlink /run/booted-system"), next)

	if a := activate(t, h, tried, "test"); a.exit != 0 {
		t.Fatalf("exit %d\n%s", a.exit, a.output)
	}
	runs("after test", "triedword")
	if err := h.Reboot(); err != nil {
		t.Fatal(err)
	}
	runs("after another reboot", "nextword")
}
