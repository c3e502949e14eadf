package hosts_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// withDaemon starts a host's own nix-daemon, as NixOS has one, whose builds leave
// a mark in their output; it ends with the test.
func (d *deployer) withDaemon(host string) {
	d.t.Helper()
	d.on(host, `systemctl stop a-daemon 2>/dev/null; systemd-run --quiet --unit=a-daemon -E MARK=daemon nix-daemon
until nix store ping --store daemon >/dev/null 2>&1; do sleep 0.05; done`)
	d.t.Cleanup(func() { d.on(host, "systemctl stop a-daemon; rm -rf /nix/var/nix/daemon-socket") })
}

// isHere reports whether a path is valid on the deploying machine.
func (d *deployer) isHere(path string) bool {
	d.t.Helper()
	cmd := exec.Command("nix-store", "--check-validity", path)
	cmd.Env = d.env
	return cmd.Run() == nil
}

const builtThere = `{
  host1 = { pkgs, ... }: {
    deployment.buildOnTarget = true;
    deployment.keys.k.text = "never in a derivation";
    environment.etc.where.source = derivation {
      name = "where"; now = toString builtins.currentTime; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/usr/bin:/bin";
      args = [ "-c" "cat /srv/name > $out; echo this is built on $(cat /srv/name)" ];
    };
  };
  host2.environment.etc.unrelated.text = "x";
}`

func TestAHostBuildsItsOwnSystem(t *testing.T) {
	d := deploying(t, 2)
	d.hive(builtThere)
	d.on("host1", "echo host1 >/srv/name")
	d.withDaemon("host1")
	o := d.must("apply")
	if got := d.on("host1", "cat /etc/where"); got != "host1" {
		t.Errorf("it was built on %q", got)
	}
	d.has("host1", "/run/keys/k", "never in a derivation", "root root 600")
	built := d.on("host1", "readlink -f /etc/where; readlink -f /run/current-system")
	for _, path := range strings.Fields(built) {
		if d.isHere(path) {
			t.Errorf("%s came back", path)
		}
	}
	if other := d.on("host2", "readlink -f /run/current-system"); !d.isHere(other) {
		t.Error("host2's system was not built here, so this shows nothing")
	}
	if !strings.Contains(o.stderr, "where> this is built on host1") {
		t.Errorf("what the builder says is not shown:\n%s", o.stderr)
	}
	if got := d.on("host1", "cat /proc/$(systemctl show -P MainPID a-daemon)/comm; grep -rl 'never in a derivation' /nix/store 2>/dev/null || :"); got != "nix-daemon" {
		t.Errorf("the daemon or the store of the host: %s", got)
	}
	d.nothingKept("host1")
	// Without a daemon root's own Nix builds, for a node that did not ask as well.
	d.on("host2", "rm -rf /nix/var/nix/daemon-socket")
	o = d.must("apply", "push", "--build-on-target", "--on", "host2")
	if strings.Contains(o.stderr, "building") {
		t.Errorf("what the host runs is built again: %s", o.stderr)
	}
	d.hive(strings.ReplaceAll(builtThere, `text = "x"`, `text = "y"`))
	o = d.must("build", "--build-on-target", "--on", "host2")
	path := o.toplevel(t, "host2")
	if d.isHere(path) {
		t.Error("it was built here")
	}
	d.on("host2", "nix-store --check-validity "+path)
}

func TestABuildThatFailsOnTheHostIsToldWithItsLastLines(t *testing.T) {
	d := deploying(t, 2)
	d.hive(`{
  host1 = { deployment.buildOnTarget = true; deployment.keys.k.text = "x"; environment.etc.bad.source = derivation {
    name = "bad"; now = toString builtins.currentTime; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/usr/bin:/bin";
    args = [ "-c" "echo no luck on $(cat /srv/name); exit 3" ]; }; };
  host2 = { };
}`)
	d.on("host1", "echo host1 >/srv/name")
	o := d.run("apply", "--json")
	bad := o.results["host1"]
	if o.code != 1 || bad.Status != "failed" || bad.Step != "build" || o.results["host2"].Status != "succeeded" {
		t.Errorf("exit %d, %+v\n%s", o.code, o.results, o.stderr)
	}
	for _, words := range []string{"bad.drv' failed with exit code 3", "on the host: nix log", "> no luck on host1"} {
		if !strings.Contains(bad.Error, words) {
			t.Errorf("%q lacks %q", bad.Error, words)
		}
	}
	d.untouched("host1")
	d.nothingKept("host1")
}

// Neither an interrupt nor a killed deployer leaves a builder on the host.
func TestABuildOnTheHostEndsWithTheDeployer(t *testing.T) {
	d := deploying(t, 1)
	d.withDaemon("host1")
	d.hive(`{
  host1 = { deployment.buildOnTarget = true; environment.etc.slow.source = derivation {
    name = "slow"; now = toString builtins.currentTime; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/usr/bin:/bin";
    args = [ "-c" "exec sleep 7654" ]; }; };
}`)
	building := func(want string) {
		t.Helper()
		var got string
		for range 600 {
			if got = d.on("host1", "pgrep -fc '^sleep 7654' || :"); got == want {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Fatalf("%s builders, want %s", got, want)
	}
	for _, signal := range []os.Signal{os.Interrupt, os.Kill} {
		cmd := d.command("apply", "push")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		building("1")
		cmd.Process.Signal(signal)
		cmd.Wait()
		building("0")
		if signal == os.Interrupt {
			d.nothingKept("host1")
		}
	}
}

// nothingKept looks at roots that keep something: one that leads nowhere, since its
// deployer was killed and /run is empty since, is removed by the collector.
func (d *deployer) nothingKept(host string) {
	d.t.Helper()
	if left := d.on(host, `ls -A /run/colmena-go/roots
for root in /nix/var/nix/gcroots/auto/colmena-go-*; do if [ -L "$(readlink "$root")" ]; then echo "$root"; fi; done`); left != "" {
		d.t.Errorf("%s: kept from the garbage collector still: %s", host, left)
	}
}

// With no job here, all is built where meta.machinesFile says, and comes back.
func TestBuildersOfTheHiveBuildWhereNothingIsBuiltHere(t *testing.T) {
	d := deploying(t, 2)
	d.on("host2", "echo host2 >/srv/name")
	d.env = append(d.env, "NIX_SSHOPTS=-F "+d.fleet.SSHConfig)
	system := d.local("nix eval --impure --raw --expr builtins.currentSystem")
	d.write("machines", "ssh://root@host2 "+system+" - 4 1\n")
	d.hive(`{
  meta.machinesFile = ./machines;
  host1.environment.etc.where.source = derivation {
    name = "where"; now = toString builtins.currentTime; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/usr/bin:/bin";
    args = [ "-c" "cat /srv/name > $out" ]; };
}`)
	o := d.must("build", "--build-jobs", "0")
	if got := d.local("cat " + o.toplevel(t, "host1") + "/etc/where"); got != "host2" {
		t.Errorf("it was built on %q", got)
	}
}

// local runs a script on the deploying machine.
func (d *deployer) local(script string) string {
	d.t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir, cmd.Env = d.dir, d.env
	out, err := cmd.Output()
	if err != nil {
		d.t.Fatal(script, err)
	}
	return strings.TrimSpace(string(out))
}
