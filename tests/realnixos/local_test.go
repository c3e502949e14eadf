package realnixos_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/tests/nixenv"
)

// A machine that runs NixOS applies its own system, from a nixpkgs and a hive that it has.
func TestARealNixOSAppliesItself(t *testing.T) {
	m := booted(t, node("one", "/run/keys", ""))
	m.run("upload-keys")
	m.runs("one", "/run/keys")
	const own = "/opt/own"
	root := m.host.Path(own)
	if out, err := exec.Command("sh", "-ec", `rm -rf "$1"; mkdir -p "$1"; cp "$2" "$1/colmena-go"; cp -a "$3" "$1/nixpkgs"`,
		"sh", root, m.program, nixenv.Bootable(t)).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	apply := func(node, args string) string {
		m.hive("{ imports = [ (" + node + ") ]; deployment = { targetHost = null; allowLocalDeployment = true; }; environment.systemPackages = [ ]; }")
		if out, err := exec.Command("cp", m.dir+"/hive.nix", root).CombinedOutput(); err != nil {
			t.Fatal(err, string(out))
		}
		return m.on("cd " + own + "; export HOME=/root NIX_PATH=nixpkgs=$PWD/nixpkgs; ./colmena-go apply-local --node host1 " + args + ` 2>&1 || echo "exit $?"`)
	}
	// What needs a compiler, which the host has not, comes from here.
	m.hive(node("two", "/srv/keys", ""))
	m.run("apply", "push")
	got := apply(node("two", "/srv/keys", `environment.etc.own.text = "mine";`), "")
	if !strings.Contains(got, "1 of 1 nodes succeeded") {
		t.Fatalf("it does not apply itself:\n%s", got)
	}
	m.runs("two", "/srv/keys")
	m.is("cat /etc/own; readlink -e /run/current-system /nix/var/nix/profiles/system | uniq | wc -l", "mine1")
	if got := apply(node("two", "/srv/keys", `environment.etc.own.text = "mine";`), "switch"); !strings.Contains(got, "unchanged") || strings.Contains(got, "building") {
		t.Errorf("again:\n%s", got)
	}
	m.runs("two", "/srv/keys")
}
