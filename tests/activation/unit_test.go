// Package activation_test activates on a booted host, where systemd runs the
// activation as a unit. The systems are stand-ins: store paths whose
// switch-to-configuration is a script that does what the test is about.
// pkg/activation's own tests tell the same without systemd.
package activation_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/activation"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/tests/lacking"
)

func TestEveryExitStatusComesBackFromTheUnit(t *testing.T) {
	h := host(t)
	for _, exit := range []int{0, 1, 2, 3, 4, 100, 101} {
		top := h.system(t, fmt.Sprintf("exit %d\n", exit))
		o, err := activation.Run(t.Context(), h, activation.Request{Goal: hive.Test, Toplevel: top}, hooks(t, nil))
		if err != nil || o.Exit != exit || !o.Active() || o.TookEffect() != (exit != 100) || (o.Err() == nil) != (exit == 0 || exit == 100) {
			t.Errorf("exit %d: got %+v (%v), %v", exit, o, o.Err(), err)
		}
	}
	h.clean(t)
}

// The new system may be the current one or not, whatever the exit status.
func TestASwitchThatFailsEarlyLeavesTheOldSystemAndSaysSo(t *testing.T) {
	h := host(t)
	old := h.system(t, "# old\n")
	if _, err := activation.Run(t.Context(), h, activation.Request{Goal: hive.Test, Toplevel: old}, hooks(t, nil)); err != nil {
		t.Fatal(err)
	}
	top := h.system(t, "ln -sfn "+old+" /run/current-system; exit 1\n")
	o, err := activation.Run(t.Context(), h, activation.Request{Goal: hive.Test, Toplevel: top}, hooks(t, nil))
	if err != nil || o.TookEffect() || !strings.Contains(fmt.Sprint(o.Err()), "the host runs "+old) {
		t.Errorf("got %+v (%v), %v", o, o.Err(), err)
	}
	h.clean(t)
}

func TestTheProfileMovesForSwitchAndBootOnly(t *testing.T) {
	h := host(t)
	const profile = "/nix/var/nix/profiles/system"
	for _, goal := range []hive.Goal{hive.Switch, hive.Test, hive.Boot, hive.DryActivate} {
		top := h.system(t, "echo $1 "+string(goal)+"\nreadlink -f "+profile+"\n")
		before := h.sh(t, "readlink -f "+profile)
		var lines []string
		if _, err := activation.Run(t.Context(), h, activation.Request{Goal: goal, Toplevel: top}, hooks(t, &lines)); err != nil {
			t.Fatal(err)
		}
		want := before
		if goal.SetsProfile() {
			want = top
		}
		if expected := []string{fmt.Sprintf("%s %s", goal, goal), want}; !slices.Equal(lines, expected) {
			t.Errorf("%s: the switch saw %q, want %q", goal, lines, expected)
		}
	}
	h.clean(t)
}

func TestTheActivationOutlivesWhatASwitchDoesToSystemd(t *testing.T) {
	h := host(t)
	var lines []string
	o, err := activation.Run(t.Context(), h, activation.Request{Goal: hive.Test, Toplevel: h.system(t, `
echo begun
systemctl daemon-reload
systemctl daemon-reexec
systemctl restart dbus.service systemd-journald.service
systemctl reset-failed
systemctl isolate multi-user.target
echo done
`)}, hooks(t, &lines))
	if err != nil || o.Err() != nil || !slices.Equal(lines, []string{"begun", "done"}) {
		t.Errorf("got %+v, %q, %v", o, lines, err)
	}
	h.clean(t)
}

func TestFailedUnitsAreNamed(t *testing.T) {
	h := host(t)
	h.unit(t, `fails\x20here.service`, "Type=oneshot\nExecStart=/bin/false\n")
	o, err := activation.Run(t.Context(), h, activation.Request{
		Goal: hive.Test, Toplevel: h.system(t, `systemctl start 'fails\x20here.service' 2>/dev/null || exit 4`),
	}, hooks(t, nil))
	if err != nil || !slices.Equal(o.FailedUnits, []string{`fails\x20here.service`}) {
		t.Errorf("got %+v, %v", o, err)
	}
}

func TestAWaitingKeyIsAskedForOnceAndOneThatIsThereIsNot(t *testing.T) {
	h := host(t)
	h.unit(t, `a\x20b-key.service`, "Type=oneshot\nExecStart=/bin/sh -c 'until [ -e /run/wanted ]; do sleep 0.05; done'\n")
	h.unit(t, "there-key.service", "Type=oneshot\nExecStart=/bin/true\n")
	h.sh(t, "rm -f /run/wanted")
	var wanted []string
	on := hooks(t, nil)
	on.KeyWanted = func(unit string) {
		wanted = append(wanted, unit)
		h.sh(t, "touch /run/wanted") // stands for the upload
	}
	o, err := activation.Run(t.Context(), h, activation.Request{
		Goal:     hive.Test,
		Toplevel: h.system(t, `systemctl start there-key.service 'a\x20b-key.service'`),
		WaitFor:  []string{"other-key.service", "there-key.service", `a\x20b-key.service`},
	}, on)
	if want := []string{`a\x20b-key.service`}; err != nil || o.Err() != nil || !slices.Equal(wanted, want) {
		t.Errorf("got %+v, asked for %q, %v", o, wanted, err)
	}
	h.clean(t)
}

func TestAServiceThatWaitsForAKeyDoesNotBlockTheSwitch(t *testing.T) {
	h := host(t)
	for name, slice := range map[string]string{"as we make it": "system.slice", "in a slice of its own": "keys.slice"} {
		t.Run(name, func(t *testing.T) { waitsForAKey(t, h, slice) })
	}
}

func waitsForAKey(t *testing.T, h *booted, slice string) {
	t.Helper()
	h.unit(t, "new-key.service", "Type=oneshot\nRemainAfterExit=yes\nSlice="+slice+"\nExecStart=/bin/sh -c 'until [ -e /run/wanted ]; do sleep 0.05; done'\n")
	h.unit(t, "user.service", "ExecStart=/bin/sleep infinity\n[Unit]\nRequires=new-key.service\nAfter=new-key.service\n")
	h.sh(t, "rm -f /run/wanted")
	asked := 0
	on := hooks(t, nil)
	on.KeyWanted = func(string) { asked++; h.sh(t, "touch /run/wanted") }
	if _, err := activation.Run(t.Context(), h, activation.Request{
		Goal: hive.Test, Toplevel: h.system(t, "systemctl start user.service"), WaitFor: []string{"new-key.service"},
	}, on); err != nil || asked != 1 {
		t.Errorf("asked %d times, %v", asked, err)
	}
	if state := h.sh(t, "systemctl is-active user.service; systemctl stop user.service new-key.service"); state != "active" {
		t.Errorf("the service is %s", state)
	}
}

// slow is a system whose switch runs for five seconds and leaves a mark.
const slow = `
echo begun
sleep 5
echo over
touch /run/finished
exit 4
`

func TestACancelledDeploymentLeavesTheUnitRunning(t *testing.T) {
	h := host(t)
	h.sh(t, "rm -f /run/finished /run/let-go")
	ctx, cancel := context.WithCancel(t.Context())
	on := activation.Hooks{Output: func(string) { cancel() }}
	untilLetGo := strings.Replace(slow, "sleep 5", "until [ -e /run/let-go ]; do sleep 0.05; done", 1)
	_, err := activation.Run(ctx, h, activation.Request{Goal: hive.Test, Toplevel: h.system(t, untilLetGo)}, on)
	var detached *activation.Detached
	if !errors.As(err, &detached) || !errors.Is(err, activation.ErrGoesOn) || !detached.Begun {
		t.Fatalf("got %v", err)
	}
	if state := h.sh(t, "systemctl is-active "+detached.Unit); state != "active" {
		t.Errorf("%s is %s", detached.Unit, state)
	}
	h.sh(t, "touch /run/let-go")
	h.eventually(t, "[ -e /run/finished ] && ! systemctl is-active "+detached.Unit)
	dir := strings.TrimSuffix(detached.Log, "/log")
	if got := h.sh(t, "cat "+detached.Log+" "+dir+"/status"); got != "begun\nover\nexit 4" {
		t.Errorf("the host remembers %q", got)
	}
	if _, err := activation.Run(t.Context(), h, activation.Request{Goal: hive.Test, Toplevel: h.system(t, "")}, hooks(t, nil)); err != nil {
		t.Fatal(err)
	}
	h.clean(t)
}

func TestALostConnectionDoesNotReachTheSwitch(t *testing.T) {
	for name, cut := range map[string]string{
		"the session's sshd is killed": "pkill -KILL -f '^sshd(-session)?: root@notty'",
		"sshd is stopped with all its sessions": "systemd-run --quiet --no-block sh -c " +
			"'systemctl kill --signal=KILL ssh.service; sleep 0.3; systemctl restart ssh.service'",
	} {
		t.Run(name, func(t *testing.T) {
			h := host(t)
			h.sh(t, "rm -f /run/finished")
			on := activation.Hooks{Output: func(line string) {
				if line == "begun" {
					h.sh(t, cut)
				}
			}}
			_, err := activation.Run(t.Context(), h, activation.Request{Goal: hive.Test, Toplevel: h.system(t, slow)}, on)
			var detached *activation.Detached
			if !errors.As(err, &detached) {
				t.Fatalf("got %v", err)
			}
			h.eventually(t, "[ -e /run/finished ]")
			h.eventually(t, "grep -q exit "+strings.TrimSuffix(detached.Log, "log")+"status")
			if got := h.sh(t, "cat "+strings.TrimSuffix(detached.Log, "log")+"status"); got != "exit 4" {
				t.Errorf("the host remembers %q", got)
			}
			if _, err := activation.Run(t.Context(), h, activation.Request{Goal: hive.Test, Toplevel: h.system(t, "")}, hooks(t, nil)); err != nil {
				t.Fatal(err)
			}
			h.clean(t)
		})
	}
}

func TestARestartOfSshdIsNotNoticed(t *testing.T) {
	h := host(t)
	o, err := activation.Run(t.Context(), h, activation.Request{
		Goal: hive.Test, Toplevel: h.system(t, "systemctl restart ssh.service; sleep 0.5; exit 4"),
	}, hooks(t, nil))
	if err != nil || o.Exit != 4 {
		t.Errorf("got %+v, %v", o, err)
	}
	h.clean(t)
}

func TestALoginShellOfAnotherKindWorks(t *testing.T) {
	h := host(t)
	if h.sh(t, "test -x /usr/bin/fish && echo yes") != "yes" {
		lacking.Skip(t, "the host has no fish")
	}
	top := h.system(t, "exit 100")
	h.sh(t, "usermod -s /usr/bin/fish root")
	defer h.sh(t, "usermod -s /bin/bash root")
	if o, err := activation.Run(t.Context(), h, activation.Request{Goal: hive.Test, Toplevel: top}, hooks(t, nil)); err != nil || !o.RebootNeeded() {
		t.Errorf("got %+v, %v", o, err)
	}
}

// What is killed besides the switch itself does not hide how that ended.
func TestAUnitWhoseMainProcessIsKilledIsFollowedToTheEndOfItsSwitch(t *testing.T) {
	h := host(t)
	on := activation.Hooks{Output: func(string) {
		h.sh(t, "systemctl kill -s KILL --kill-whom=main 'colmena-go-activate-*'")
	}}
	o, err := activation.Run(t.Context(), h, activation.Request{Goal: hive.Test, Toplevel: h.system(t, slow)}, on)
	if err != nil || o.Exit != 4 || o.Killed != "" {
		t.Errorf("got %+v, %v", o, err)
	}
	h.sh(t, "systemctl reset-failed")
	h.clean(t)
}

func TestAKilledUnitIsToldFromAFailedSwitch(t *testing.T) {
	h := host(t)
	on := activation.Hooks{Output: func(string) {
		h.sh(t, "systemctl kill -s KILL --kill-whom=all 'colmena-go-activate-*'")
	}}
	o, err := activation.Run(t.Context(), h, activation.Request{Goal: hive.Test, Toplevel: h.system(t, slow)}, on)
	if err != nil || !errors.Is(o.Err(), activation.ErrKilled) || !strings.Contains(o.Err().Error(), "journalctl -u colmena-go-activate-") {
		t.Fatalf("got %+v, %v", o, err)
	}
	if log := h.sh(t, "journalctl -q -n 50 -u "+regexp.MustCompile("colmena-go-activate-[0-9a-f]+").FindString(o.Killed)); !strings.Contains(log, "KILL") {
		t.Errorf("the journal does not say how: %s", log)
	}
	h.clean(t)
}

// All that waits for the switch is gone, but not the switch: nothing is said of it
// before it ends, and no other begins beside it.
func TestASwitchThatIsNotWaitedForAnyMoreIsFollowedToItsEnd(t *testing.T) {
	h := host(t)
	h.sh(t, "rm -f /run/finished /run/second /run/go-on")
	second := func() (activation.Outcome, error) {
		return activation.Run(t.Context(), h, activation.Request{Goal: hive.Test, Toplevel: h.system(t, "touch /run/second")}, hooks(t, nil))
	}
	on := activation.Hooks{Output: func(line string) {
		if line != "begun" {
			return
		}
		h.sh(t, "pkill -KILL -f '[/]script run test'")
		if _, err := second(); !errors.Is(err, activation.ErrBusy) || h.sh(t, "ls /run/second 2>/dev/null") != "" {
			t.Errorf("beside it: %v", err)
		}
		h.sh(t, "touch /run/go-on")
	}}
	// That of somebody else is not waited for.
	h.sh(t, "systemd-run --quiet --unit=foreign sh -c 'sleep 120; :' /nix/store/0-other/bin/switch-to-configuration test")
	defer h.sh(t, "systemctl stop foreign.service")
	o, err := activation.Run(t.Context(), h, activation.Request{Goal: hive.Test, Toplevel: h.system(t, `
echo begun
left=600
until [ -e /run/go-on ]; do left=$((left - 1)); [ $left -gt 0 ] || exit 1; sleep 0.1; done
sleep 1
touch /run/finished
exit 4
`)}, on)
	if err != nil || !errors.Is(o.Err(), activation.ErrKilled) || !o.Active() || h.sh(t, "ls /run/finished; systemctl is-active foreign.service") != "/run/finished\nactive" {
		t.Errorf("got %+v, %v", o, err)
	}
	if o, err := second(); err != nil || o.Err() != nil || h.sh(t, "ls /run/second") != "/run/second" {
		t.Errorf("after it: %+v, %v", o, err)
	}
	h.clean(t)
}

// systemd's private socket is another one as soon as it is started anew.
func TestThatTheBootHasEndedIsKeptUntilSystemdStartsAnew(t *testing.T) {
	h := host(t)
	h.eventually(t, "systemctl is-system-running | grep -e running -e degraded")
	kept := func() bool {
		return h.sh(t, "[ /run/colmena-go/booted -ef /run/systemd/private ] && echo yes") == "yes"
	}
	for _, anew := range []string{"rm -f /run/colmena-go/booted", "systemctl daemon-reexec"} {
		h.sh(t, anew)
		if kept() {
			t.Errorf("after %s: it counts as ended without having been asked", anew)
		}
		if _, err := activation.Run(t.Context(), h, activation.Request{Goal: hive.Test, Toplevel: h.system(t, "")}, hooks(t, nil)); err != nil || !kept() {
			t.Errorf("after %s: %v; the answer is kept: %v", anew, err, kept())
		}
	}
	if state := h.sh(t, "systemctl is-system-running"); state != "running" && state != "degraded" {
		t.Errorf("the socket under its other name harms systemd: %s", state)
	}
	h.clean(t)
}

// The unit's own result is there when its status could not be written.
func TestAStatusThatCannotBeWrittenIsAskedOfSystemd(t *testing.T) {
	h := host(t)
	for _, exit := range []int{0, 3} {
		top := h.system(t, fmt.Sprintf("rm /run/colmena-go/activate-*/status; mkdir /run/colmena-go/$(ls /run/colmena-go | grep activate-)/status; exit %d\n", exit))
		o, err := activation.Run(t.Context(), h, activation.Request{Goal: hive.Test, Toplevel: top}, hooks(t, nil))
		if err != nil || o.Exit != exit || o.Killed != "" {
			t.Errorf("exit %d: got %+v, %v", exit, o, err)
		}
	}
	h.clean(t)
}

func TestTheJournalTellsHowASwitchEnded(t *testing.T) {
	h := host(t)
	since := h.sh(t, "date +%s")
	if _, err := activation.Run(t.Context(), h, activation.Request{Goal: hive.Test, Toplevel: h.system(t, "exit 4")}, hooks(t, nil)); err != nil {
		t.Fatal(err)
	}
	h.eventually(t, "journalctl -q --since=@"+since+" -u 'colmena-go-activate-*' | grep 'switch-to-configuration test ended with 4'")
}

// Whose pipe breaks then: units ignore SIGPIPE (systemd.exec(5)).
func TestAJournalThatIsGoneHidesNoStatus(t *testing.T) {
	h := host(t)
	// systemd keeps the other ends of such pipes for the next journald.
	const noJournal = "systemctl stop systemd-journald.service 'systemd-journald*.socket' && systemctl clean --what=fdstore systemd-journald.service || exit 50\n"
	const noStatus = "cd /run/colmena-go/activate-* && rm status && mkdir status || exit 51\n"
	for _, script := range []string{noJournal + "exit 4\n", noStatus + noJournal + "exit 4\n"} {
		top := h.system(t, script)
		o, err := activation.Run(t.Context(), h, activation.Request{Goal: hive.Test, Toplevel: top}, hooks(t, nil))
		h.sh(t, "systemctl start systemd-journald.service")
		if err != nil || o.Exit != 4 || o.Killed != "" {
			t.Errorf("%s: got %+v, %v", script, o, err)
		}
		h.clean(t)
	}
}

func TestAStoppedUnitFinishesItsSwitchFirst(t *testing.T) {
	h := host(t)
	on := activation.Hooks{Output: func(line string) {
		if line == "begun" {
			h.sh(t, "systemctl stop --no-block 'colmena-go-activate-*'")
		}
	}}
	o, err := activation.Run(t.Context(), h, activation.Request{Goal: hive.Test, Toplevel: h.system(t, slow)}, on)
	if err != nil || o.Exit != 4 {
		t.Errorf("got %+v, %v", o, err)
	}
	h.clean(t)
}

func TestAHostWhoseSystemdRunFailsActivatesDetached(t *testing.T) {
	h := host(t)
	h.sh(t, "mkdir -p /run/shim && printf '#!/bin/sh\\necho no bus today >&2; exit 1\\n' >/run/shim/systemd-run && chmod +x /run/shim/systemd-run")
	top := h.system(t, "exit 2")
	h.path = "/run/shim:/usr/sbin:/usr/bin:/sbin:/bin"
	var notes []string
	on := activation.Hooks{Note: func(n string) { notes = append(notes, n) }}
	o, err := activation.Run(t.Context(), h, activation.Request{Goal: hive.Test, Toplevel: top}, on)
	if err != nil || o.Exit != 2 || len(notes) != 1 || !strings.Contains(notes[0], "no bus today") {
		t.Errorf("got %+v, notes %q, %v", o, notes, err)
	}
	h.clean(t)
}

func TestTenThousandLinesArriveInOrder(t *testing.T) {
	h := host(t)
	var lines []string
	on := activation.Hooks{Output: func(l string) { lines = append(lines, l) }}
	began := time.Now()
	if _, err := activation.Run(t.Context(), h, activation.Request{
		Goal: hive.Test, Toplevel: h.system(t, "i=0; while [ $i -lt 10000 ]; do echo $i; i=$((i + 1)); done"),
	}, on); err != nil || len(lines) != 10000 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	for i, line := range lines {
		if line != fmt.Sprint(i) {
			t.Fatalf("line %d is %q", i, line)
		}
	}
	t.Logf("in %v", time.Since(began))
}
