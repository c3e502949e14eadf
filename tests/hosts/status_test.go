package hosts_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

type seenHost struct {
	Node, Status, Step, State string
	Reachable                 bool
	Wanted                    *struct{ Path string }
	AsConfigured              *bool
	Current, Booted, Next     *struct {
		Path, NixOS string
		Since       *time.Time
		Generation  *int
	}
	Reboot, FailedUnits []string
	FailedCount         int
	Keys                []struct{ Name, State, Note string }
}

func statusOf(t *testing.T, o outcome) map[string]seenHost {
	t.Helper()
	var document struct{ Results []seenHost }
	if err := json.Unmarshal([]byte(o.stdout), &document); err != nil {
		t.Fatalf("%v: %s%s", err, o.stdout, o.stderr)
	}
	all := map[string]seenHost{}
	for _, r := range document.Results {
		all[r.Node] = r
	}
	return all
}

// Of four hosts one is as its configuration says, one is seen with sudo and has much that is
// wrong, one boots what somebody else has set, and one is dead.
func TestStatusTellsWhatHostsAreLikeAndChangesNothingThere(t *testing.T) {
	d := deploying(t, 4)
	hive := func(kernel, motd string) string {
		return fmt.Sprintf(`{
  host1 = { };
  host2 = { deployment.targetUser = "deployer"; environment.etc.motd.text = %q;
    deployment.keys.good.text = "a"; deployment.keys."a b" = { text = "b"; destDir = "/srv/my keys"; user = "alice"; };
    deployment.keys.gone.text = "c"; deployment.keys.moved = { text = "d"; destDir = "/srv/my keys"; permissions = "0400"; };
    system.extraSystemBuilderCmds = "ln -s %s $out/kernel; printf quiet > $out/kernel-params"; };
  host3 = { };
  host4 = { };
}`, motd, kernel)
	}
	d.hive(hive("/bin/ls", "one"))
	o := d.must("apply")
	one, three := o.toplevel(t, "host1"), o.toplevel(t, "host3")
	t.Cleanup(func() {
		d.on("host2", "systemctl reset-failed; rm -f /run/booted-system /etc/sudoers.d/log")
		d.on("host3", "nix-env -p /nix/var/nix/profiles/system --set "+three)
	})
	d.on("host1", "ln -sfn "+one+" /run/booted-system")
	defer d.on("host1", "rm /run/booted-system")
	d.on("host3", "rm -f /run/booted-system") // of a test that rebooted it
	d.on("host2", `ln -sfn $(readlink -f /run/current-system) /run/booted-system; systemd-run --unit 'bad-\x1b' -p Type=oneshot false 2>/dev/null || :
rm /run/keys/gone; chmod 0444 '/srv/my keys/moved'`)
	other := d.on("host3", "echo other >/tmp/other; nix-store --add /tmp/other")
	d.on("host3", "nix-env -p /nix/var/nix/profiles/system --set "+other)
	d.hive(hive("/bin/sh", "two"))
	d.must("apply", "boot", "--on", "host2", "--no-keys")
	d.hive(hive("/bin/sh", "three"))
	if err := d.host("host4").StopSSHD(); err != nil {
		t.Fatal(err)
	}
	defer d.host("host4").StartSSHD()

	d.untouchedBy([]string{"host1", "host2", "host3"}, func() { o = d.run("status", "--json") })
	if o.code != 1 || strings.Contains(o.stderr, "building") {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	all := statusOf(t, o)
	if h := all["host1"]; !h.Reachable || h.AsConfigured == nil || !*h.AsConfigured || h.Wanted.Path != one || h.Current.Path != one || h.Booted.Path != one ||
		len(h.Reboot) != 0 || h.FailedCount != 0 || h.Current.Generation == nil || d.on("host1", fmt.Sprintf("readlink -f /nix/var/nix/profiles/system-%d-link", *h.Current.Generation)) != one {
		t.Errorf("%+v", h)
	}
	h := all["host2"]
	if *h.AsConfigured || h.Next.Path == h.Current.Path || h.Current.Path != d.on("host2", "readlink -f /run/current-system") || h.Next.Path != d.on("host2", "readlink -f /nix/var/nix/profiles/system") {
		t.Errorf("%+v", h)
	}
	if h.State != "degraded" || h.FailedCount != 1 || len(h.FailedUnits) != 1 || h.FailedUnits[0] != `bad-\x1b.service` || fmt.Sprint(h.Reboot) != "[kernel]" {
		t.Errorf("%+v", h)
	}
	if got := fmt.Sprint(h.Keys); got != "[{a b in place } {gone missing } {good in place } {moved drifted mode 0444 and not 0400}]" {
		t.Errorf("keys: %s", got)
	}
	if since := d.on("host2", "stat -c %Y /run/current-system"); h.Current.Since == nil || fmt.Sprint(h.Current.Since.Unix()) != since {
		t.Errorf("since %v, want %s", h.Current.Since, since)
	}
	if h := all["host3"]; *h.AsConfigured || h.Current.Path != three || h.Next.Path != other || h.Booted != nil {
		t.Errorf("%+v", h)
	}
	if h := all["host4"]; h.Reachable || h.Status != "failed" || h.Step != "connect" || h.Wanted.Path == "" {
		t.Errorf("%+v", h)
	}

	// Contents are compared where that is asked for, and nothing of them is told.
	d.on("host2", "printf tampered >/run/keys/good")
	d.untouchedBy([]string{"host2"}, func() { o = d.run("status", "--keys", "--hosts-only", "--json", "--on", "host2") })
	if got := fmt.Sprint(statusOf(t, o)["host2"].Keys); got != "[{a b in place } {gone missing } {good drifted another content} {moved drifted another mode}]" || strings.Contains(o.stdout+o.stderr, "tampered") {
		t.Errorf("keys: %s: %s", got, o.stderr)
	}
	d.on("host2", "printf a >/run/keys/good")

	o = d.run("status", "--on", "host1,host2,host3")
	for _, want := range []string{`(?m)^host1  as configured  `, `(?m)^host2  differs +kernel +1 missing: gone +1 failed: bad-\\x1b.service  `, `(?m)^host3  boots other `,
		`(?m)^3 of 3 hosts answer, 1 as configured, 1 differs, 1 boots other, 1 to reboot, 1 key missing, 1 key drifted, 1 failed unit$`} {
		if !regexp.MustCompile(want).MatchString(o.stdout) {
			t.Errorf("%s is not in\n%s%s", want, o.stdout, o.stderr)
		}
	}
	if o.code != 0 {
		t.Errorf("exit %d", o.code)
	}
	if h := statusOf(t, d.run("status", "--json", "--hosts-only", "--on", "host1"))["host1"]; !h.Reachable || h.AsConfigured != nil || h.Wanted != nil || h.Current.Path != one {
		t.Errorf("%+v", h)
	}
}

// A watch keeps one connection to each host, and finds one again that has rebooted.
func TestAWatchFollowsHostsThroughReboots(t *testing.T) {
	d := deploying(t, 3)
	d.hive(`{ host1 = { }; host2.deployment.targetUser = "deployer"; host3 = { }; }`)
	d.must("apply")
	if err := d.host("host3").StopSSHD(); err != nil {
		t.Fatal(err)
	}
	defer d.host("host3").StartSSHD()
	d.env = append(d.env, "TERM=xterm", "CI=", "GITHUB_ACTIONS=") // somebody looks on
	s := d.typing("status", "--watch", "--every", "1")
	s.Await("3 hosts answer")
	for _, text := range []string{"host1", "as configured", "host2", "as configured", "host3", "unreachable: "} {
		s.Await(text)
	}
	const logins = `journalctl -b -o cat -t sshd -t sshd-session --grep "^Accepted publickey" | wc -l`
	before := d.on("host2", logins)

	d.on("host2", "systemd-run --unit watched -p Type=oneshot false 2>/dev/null || :")
	s.Await("1 failed: watched.service")
	d.on("host2", "systemctl reset-failed")
	s.Await("0") // of a time
	if after := d.on("host2", logins); after != before {
		t.Errorf("%s logins, and then %s", before, after)
	}

	if err := d.host("host1").Reboot(); err != nil {
		t.Fatal(err)
	}
	s.Await("host1  \x1b[31m")
	s.Await("host1  \x1b[32mas configured")
	s.Type("q")
	if code := s.Wait(); code != 0 {
		t.Errorf("exit %d", code)
	}
	if shown := s.Shown(); !s.Echoes() || !strings.Contains(shown[strings.LastIndex(shown, "NODE"):], "host3  \x1b[31munreachable: ") {
		t.Error("the last table does not stay, or the terminal is not as it was")
	}
	for _, host := range []string{"host1", "host2"} {
		if left := d.on(host, "pgrep -f '[e]val .*head -c' || :"); left != "" {
			t.Errorf("%s: left: %s", host, left)
		}
	}

	// Without a terminal: a document a line.
	cmd := d.command("status", "--watch", "--every", "1", "--json", "--on", "host2")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	lines := bufio.NewScanner(out)
	for range 3 {
		if !lines.Scan() {
			t.Fatal("it ended: ", lines.Err())
		}
		if h := statusOf(t, outcome{stdout: lines.Text()})["host2"]; !h.Reachable || !*h.AsConfigured {
			t.Errorf("%+v", h)
		}
	}
	out.Close() // as head(1) does
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("%v", err)
	}
}
