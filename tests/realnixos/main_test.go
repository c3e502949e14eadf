// Package realnixos_test deploys NixOS' own modules to hosts that boot them, where
// such a tree is there (nixenv.Bootable): what tests/nixos is held to.
package realnixos_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/tests/fleet"
	"github.com/colmena-go/colmena-go/tests/nixenv"
)

func TestMain(m *testing.M) { fleet.Main(m) }

// machine is one host that runs NixOS, and a hive for it.
type machine struct {
	t       *testing.T
	host    *fleet.Host
	program string
	dir     string
	env     []string
}

// common is what a node must set to run on Debian's programs, without a network
// of its own.
const common = `{ lib, pkgs, ... }: {
    boot.isContainer = true;
    # Debian's programs need Debian's loader, and /usr/bin/env is one of them.
    environment.ldso = "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2";
    environment.usrbinenv = pkgs.runCommand "env" { } "cp -L /usr/bin/env $out";
    environment.stub-ld.enable = false;
    documentation.enable = false;
    services.logrotate.enable = false; services.nscd.enable = false; system.nssModules = lib.mkForce [ ];
    services.openssh = { enable = true; startWhenNeeded = false; hostKeys = [ { path = "/etc/ssh/ssh_host_ed25519_key"; type = "ed25519"; } ]; };
    systemd.tmpfiles.rules = [ "d /run/sshd 0755 root root -" ];
    networking = { firewall.enable = false; useDHCP = false; useHostResolvConf = false; resolvconf.enable = false; };
    nix.settings = { experimental-features = [ "nix-command" "flakes" ]; sandbox = false; build-users-group = ""; substituters = lib.mkForce [ ]; };
    system.stateVersion = "25.05";
  }`

// booted returns a host that has booted the NixOS of a node.
func booted(t *testing.T, node string) *machine {
	t.Helper()
	nixpkgs := nixenv.Bootable(t)
	f := fleet.Require(t, 1)
	m := &machine{t: t, host: f.Hosts[0], dir: t.TempDir(), program: filepath.Join(t.TempDir(), "colmena-go")}
	m.env = append(nixenv.Env(t), "NIX_PATH=nixpkgs="+nixpkgs, "SSH_CONFIG_FILE="+f.SSHConfig)
	if out, err := exec.Command("go", "build", "-o", m.program, "../..").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	m.on("touch /etc/NIXOS") // or its switch refuses
	m.hive(node)
	m.run("apply", "boot")
	if err := m.host.BecomeNixOS(); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *machine) hive(node string) {
	m.t.Helper()
	text := fmt.Sprintf("{ meta.nixpkgs = import <nixpkgs> { system = \"x86_64-linux\"; };\n  defaults = %s;\n  host1 = %s; }\n", common, node)
	if err := os.WriteFile(filepath.Join(m.dir, "hive.nix"), []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// run runs the program, which must succeed.
func (m *machine) run(args ...string) {
	m.t.Helper()
	if code, out := m.try(args...); code != 0 {
		m.t.Fatalf("colmena-go %s: exit %d\n%s", strings.Join(args, " "), code, out)
	}
}

func (m *machine) try(args ...string) (int, string) {
	m.t.Helper()
	cmd := exec.Command("timeout", append([]string{"120", m.program}, args...)...)
	cmd.Dir, cmd.Env = m.dir, m.env
	out, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(out)
}

func (m *machine) on(script string) string {
	m.t.Helper()
	out, err := m.host.Shell(script)
	if err != nil {
		m.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// is waits until a script on the host prints what it shall.
func (m *machine) is(script, want string) {
	m.t.Helper()
	var got string
	for range 100 {
		if got = m.on(script); got == want {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	m.t.Errorf("%s:\n%s\nwant:\n%s", script, got, want)
}
