package hosts_test

import (
	"strings"
	"testing"
)

// ofAnotherKind is a node for a machine that this one cannot build for, and the host
// one that says it can.
const ofAnotherKind = `{
  meta.nodeNixpkgs.host1 = import <nixpkgs> { system = "riscv64-linux"; };
  host1 = { pkgs, ... }: {
    deployment.buildOnTarget = true;
    environment.etc.kind.source = pkgs.runCommand "kind" { now = toString builtins.currentTime; } "echo ${pkgs.stdenv.hostPlatform.system} >$out";
  };
}`

func TestAHostOfAnotherKindBuildsForItself(t *testing.T) {
	d := deploying(t, 1)
	d.on("host1", "cp /etc/nix/nix.conf /root/nix.conf; echo 'extra-platforms = riscv64-linux' >>/etc/nix/nix.conf")
	t.Cleanup(func() { d.on("host1", "cat /root/nix.conf >/etc/nix/nix.conf") })
	d.hive(ofAnotherKind)

	o := d.run("apply", "push", "--json", "--no-build-on-target")
	if r := o.results["host1"]; o.code != 1 || r.Step != "build" || !strings.Contains(r.Error, "hint: this machine cannot build for riscv64-linux: have the host do it (deployment.buildOnTarget)") {
		t.Errorf("this machine builds it, or does not say why not: %+v", r)
	}
	o = d.must("apply")
	if got := d.on("host1", "cat /etc/kind"); got != "riscv64-linux" {
		t.Errorf("the host has %q", got)
	}
	if path := o.toplevel(t, "host1"); d.isHere(path) {
		t.Errorf("%s came back", path)
	}

	// A host that is not what its node says is told as that.
	d.on("host1", "cat /root/nix.conf >/etc/nix/nix.conf")
	d.hive(ofAnotherKind)
	o = d.run("apply", "push", "--json")
	if r := o.results["host1"]; o.code != 1 || r.Step != "build" || !strings.Contains(r.Error, "hint: the host builds for x86_64-linux, and its node is for riscv64-linux") {
		t.Errorf("%+v", r)
	}
}
