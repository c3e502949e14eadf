package hosts_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// untouchedBy runs something, after which nothing on the hosts may be another file, or a
// changed one, but for what the system itself writes and the records of Nix's own.
func (d *deployer) untouchedBy(hosts []string, do func()) {
	d.t.Helper()
	const list = `find / \( -path /proc -o -path /sys -o -path /dev -o -path /run/systemd -o -path /run/log -o -path /run/user -o -path /var/log -o -path /nix/var/nix/db -o -path /run/dbus -o -path /run/sudo \) -prune -o -printf '%i %C@ %y %p\n' | sort`
	before := map[string]string{}
	for _, host := range hosts {
		before[host] = d.on(host, list)
	}
	do()
	for _, host := range hosts {
		was := map[string]bool{}
		for line := range strings.SplitSeq(before[host], "\n") {
			was[line] = true
		}
		for line := range strings.SplitSeq(d.on(host, list), "\n") {
			if !was[line] {
				d.t.Errorf("%s: touched: %s", host, line)
			}
		}
	}
}

// packaged is a hive whose hosts have these packages and this kernel.
func packaged(kernel string, packages map[string][]string) string {
	text := "{ "
	for host, names := range packages {
		user := map[string]string{"host2": "deployer"}[host] // who becomes root with sudo
		if user == "" {
			user = "root"
		}
		text += host + fmt.Sprintf(` = { pkgs, ... }: { deployment.targetUser = %q; `, user) + `environment.systemPackages = [ `
		for _, name := range names {
			text += fmt.Sprintf(`(pkgs.runCommand %q { } "mkdir -p $out/share; echo %s >$out/share/%[1]s") `, name, strings.Repeat("x", 20000))
		}
		text += fmt.Sprintf(`]; system.extraSystemBuilderCmds = "ln -s %s $out/kernel; printf quiet > $out/kernel-params"; }; `, kernel)
	}
	return text + "}"
}

type diffed struct {
	Node, Status, Step, Error string
	Same                      *bool
	Current, Next, Wanted     *struct {
		Path, NixOS string
		Bytes       int64
	}
	Packages *struct {
		Changed, Added, Removed []struct {
			Name     string
			Old, New []string
		}
		Rebuilt int
	}
	Copy   *struct{ Paths, Bytes int64 }
	Reboot []string

	Unknown []string
}

func diffsOf(t *testing.T, o outcome) map[string]diffed {
	t.Helper()
	var document struct{ Results []diffed }
	if err := json.Unmarshal([]byte(o.stdout), &document); err != nil {
		t.Fatalf("%v: %s%s", err, o.stdout, o.stderr)
	}
	all := map[string]diffed{}
	for _, r := range document.Results {
		all[r.Node] = r
	}
	return all
}

func TestDiffTellsWhatIsOtherOnTheHostsAndChangesNothingThere(t *testing.T) {
	d := deploying(t, 3)
	d.hive(packaged("/bin/ls", map[string][]string{"host1": {"nginx-1.26.1", "nano-7.2"}, "host2": {"htop-3.3"}, "host3": {}}))
	d.must("apply")
	d.on("host1", "ln -sfn $(readlink -f /run/current-system) /run/booted-system")
	defer d.on("host1", "rm /run/booted-system")
	if o := d.run("diff"); o.code != 0 || o.stdout != "host1, host2 and host3: no difference\nall 3 hosts run their configuration\n" {
		t.Errorf("exit %d: %s%s", o.code, o.stdout, o.stderr)
	}

	d.hive(packaged("/bin/sh", map[string][]string{"host1": {"nginx-1.26.2", "htop-3.3"}, "host2": {"htop-3.3"}, "host3": {}}))
	if err := d.host("host3").StopSSHD(); err != nil {
		t.Fatal(err)
	}
	defer d.host("host3").StartSSHD()
	var o outcome
	d.untouchedBy([]string{"host1", "host2"}, func() { o = d.run("diff", "--json") })
	if o.code != 1 {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
	all := diffsOf(t, o)
	one := all["host1"]
	if one.Same == nil || *one.Same || one.Packages == nil || fmt.Sprint(one.Packages.Changed, one.Packages.Added, one.Packages.Removed) !=
		"[{nginx [1.26.1] [1.26.2]}] [{htop [] [3.3]}] [{nano [7.2] []}]" {
		t.Errorf("%+v\n%s", one, o.stdout)
	}
	if one.Current.Path != d.on("host1", "readlink -f /run/current-system") || one.Wanted.Path == one.Current.Path || one.Current.Bytes == 0 {
		t.Errorf("%+v %+v", one.Current, one.Wanted)
	}
	if one.Copy == nil || one.Copy.Paths < 3 || one.Copy.Bytes < 40000 || len(one.Reboot) != 1 {
		t.Errorf("%+v %q", one.Copy, one.Reboot)
	}
	if two := all["host2"]; two.Packages == nil || len(two.Packages.Changed) != 0 || two.Copy.Paths == 0 || *two.Same {
		t.Errorf("with sudo: %+v", two)
	}
	if left := d.on("host1", "ls "+one.Wanted.Path+" 2>&1 || :"); !strings.Contains(left, "No such file") {
		t.Errorf("it was sent: %s", left)
	}
	if three := all["host3"]; three.Status != "failed" || three.Step != "connect" || three.Same != nil {
		t.Errorf("%+v", three)
	}
	if o := d.run("diff", "--on", "host1,host2"); o.code != 3 || !strings.Contains(o.stdout, "  changed  nginx  1.26.1 → 1.26.2\n  added    htop   3.3              +2") {
		t.Errorf("exit %d: %s%s", o.code, o.stdout, o.stderr)
	}
	// What the host is to build is not sent there to find out.
	o = d.run("diff", "--json", "--on", "host1", "--build-on-target")
	if one := diffsOf(t, o)["host1"]; o.code != 3 || one.Packages == nil || one.Copy != nil || *one.Same || len(one.Unknown) != 1 {
		t.Errorf("exit %d: %s", o.code, o.stdout)
	}
	// What the host will boot, it has.
	d.must("apply", "boot", "--on", "host1")
	o = d.run("diff", "--json", "--on", "host1", "--build-on-target")
	if one := diffsOf(t, o)["host1"]; o.code != 3 || one.Packages == nil || len(one.Packages.Changed) != 1 || one.Next.Path != one.Wanted.Path || one.Copy.Paths != 0 {
		t.Errorf("exit %d: %s", o.code, o.stdout)
	}
}
