package hosts_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/tests/nixenv"
)

// own is a host that has the program and a hive of its own.
const own = "/opt/own"

// ownHive puts the program, a nixpkgs and a hive onto host1.
func (d *deployer) ownHive(text string) {
	d.t.Helper()
	bin, err := program()
	if err != nil {
		d.t.Fatal(err)
	}
	root := d.host("host1").Path(own)
	if out, err := exec.Command("sh", "-ec", `rm -rf "$1"; mkdir -p "$1"; cp "$2" "$1/colmena-go"; cp -r "$3" "$1/nixpkgs"; chmod -R a+rX "$1"`,
		"sh", root, bin, nixenv.Nixpkgs(d.t)).CombinedOutput(); err != nil {
		d.t.Fatal(err, string(out))
	}
	d.t.Cleanup(func() { d.on("host1", "rm -rf "+own+" /etc/NIXOS") })
	d.on("host1", "touch /etc/NIXOS; cat >"+own+"/hive.nix <<'HIVE'\n"+text+"\nHIVE")
}

// nixDaemon runs one on host1, for users other than root, until the test is over.
func (d *deployer) nixDaemon() {
	d.t.Helper()
	d.t.Cleanup(func() { d.on("host1", "systemctl stop own-nix-daemon; rm -f /nix/var/nix/daemon-socket/socket") }) // or builds would ask one that is gone
	d.on("host1", `systemd-run --quiet --unit=own-nix-daemon nix-daemon
i=0; until NIX_REMOTE=daemon nix --extra-experimental-features nix-command store ping >/dev/null 2>&1; do i=$((i + 1)); [ $i -lt 300 ] || exit 1; sleep 0.1; done`)
}

// asUser is how a user of host1 runs a command line there.
func asUser(user, line string) string {
	return "cd " + own + "; export NIX_PATH=nixpkgs=$PWD/nixpkgs; " + map[string]string{
		"root":     "HOME=/root ",
		"deployer": "sudo -u deployer NIX_PATH=$NIX_PATH NIX_REMOTE=daemon HOME=/home/deployer ",
	}[user] + line + ` 2>&1 || echo "exit $?"`
}

const ownSystem = `{
  defaults = { boot.loader.grub.enable = false; fileSystems."/".device = "/dev/vda1"; system.stateVersion = "26.05"; };
  host1 = {
    deployment = {
      targetHost = null; allowLocalDeployment = true;
      keys.early = { text = "before"; group = "carol"; permissions = "0640"; };
      keys.late = { text = "after"; uploadAt = "post-activation"; destDir = "/srv/a b"; };
    };
    users.groups.carol = { };
    environment.etc."own-NUMBER".text = "here";
  };
  other.deployment.keys.k.text = "x";
}`

func (d *deployer) hasOwnSystem(number string) {
	d.t.Helper()
	d.has("host1", "/run/keys/early", "before", "root carol 640")
	d.has("host1", "/srv/a b/late", "after", "root root 600")
	d.state("host1", "early-key.service", "active")
	if got := d.on("host1", "cat /etc/own-"+number+"; readlink -e /run/current-system /nix/var/nix/profiles/system | uniq | wc -l"); got != "here1" {
		d.t.Errorf("the host has %q", got)
	}
}

func TestAMachineAppliesItsOwnSystem(t *testing.T) {
	d := deploying(t, 1)
	d.on("host1", "hostname host1") // a test that boots a system of another name may have been before
	d.ownHive(strings.ReplaceAll(ownSystem, "NUMBER", "1"))
	if got := d.on("host1", asUser("root", "./colmena-go apply-local")); !strings.Contains(got, "1 of 1 nodes succeeded") || strings.Contains(got, "copying") {
		t.Errorf("%s", got)
	}
	d.hasOwnSystem("1")
	if got := d.on("host1", asUser("root", "./colmena-go apply-local")); !strings.Contains(got, "2 unchanged") || strings.Contains(got, "building") {
		t.Errorf("again:\n%s", got)
	}

	for args, says := range map[string]string{
		"apply-local --node other":      "local deployment is not enabled for node \"other\"",
		"apply-local --node nobody":     "no node matches \"nobody\"",
		"apply-local --node @web":       "no node matches \"@web\"; the nodes are ",
		"apply-local --node 'host*'":    "no node matches \"host*\"",
		"apply-local keys --no-keys":    "--no-keys leaves nothing to do",
		"apply-local test --node 'x,y'": "no node matches",
	} {
		if got := d.on("host1", asUser("root", "./colmena-go "+args)); !strings.Contains(got, says) {
			t.Errorf("%s: want %q:\n%s", args, says, got)
		}
	}
	d.on("host1", "rm /run/keys/early; hostname elsewhere")
	defer d.on("host1", "hostname host1")
	if got := d.on("host1", asUser("root", "./colmena-go apply-local")); !strings.Contains(got, `no node matches "elsewhere"`) || !strings.Contains(got, "--node") {
		t.Errorf("%s", got)
	}
	if got := d.on("host1", asUser("root", "./colmena-go apply-local keys --node host1")); !strings.Contains(got, "1 changed") {
		t.Errorf("%s", got)
	}
	d.hasOwnSystem("1")

	// Keys alone would not hurt another system, but nobody has a use for them there.
	d.on("host1", "rm /etc/NIXOS /run/keys/early; [ ! -e /etc/os-release ] || ! grep -q ^ID=nixos /etc/os-release")
	for _, goal := range []string{"", "test", "keys"} {
		if got := d.on("host1", asUser("root", "./colmena-go apply-local --node host1 "+goal)); !strings.Contains(got, "does not run NixOS") {
			t.Errorf("%s: %s", goal, got)
		}
	}
	if got := d.on("host1", "ls /run/keys"); strings.Contains(got, "early") {
		t.Error("a key was brought to another system")
	}
	if got := d.on("host1", asUser("root", "./colmena-go apply-local --node host1 build")); !strings.Contains(got, "1 of 1 nodes succeeded") {
		t.Errorf("%s", got)
	}
}

func TestAUserAppliesTheMachinesSystemWithSudo(t *testing.T) {
	d := deploying(t, 1)
	d.ownHive(strings.ReplaceAll(ownSystem, "NUMBER", "2"))
	d.nixDaemon()
	if got := d.on("host1", asUser("deployer", "./colmena-go apply-local")); !strings.Contains(got, "only root can do that: pass --sudo") {
		t.Errorf("%s", got)
	}
	if got := d.on("host1", asUser("deployer", "./colmena-go apply-local push")); !strings.Contains(got, "1 of 1 nodes succeeded") {
		t.Errorf("%s", got)
	}
	if got := d.on("host1", "ls /run/keys"); strings.Contains(got, "early") {
		t.Error("a key was brought without being asked for")
	}
	if got := d.on("host1", asUser("deployer", "./colmena-go apply-local --sudo")); !strings.Contains(got, "1 of 1 nodes succeeded") {
		t.Errorf("%s", got)
	}
	d.hasOwnSystem("2")
}

// A user whose sudo asks for a password gives it once, on the terminal; ^C there
// is for the program, not for what it runs as root.
func TestSudoMayAskForAPasswordAndInterruptsAreNotForTheSwitch(t *testing.T) {
	d := deploying(t, 1)
	d.on("host1", "hostname host1")
	d.ownHive(strings.ReplaceAll(strings.Replace(ownSystem, "users.groups.carol = { };", `users.groups.carol = { };
    system.activationScripts.slow = "touch `+own+`/begun; i=0; until [ -e `+own+`/go ] || [ $i = 300 ]; do i=$((i + 1)); sleep 0.1; done";`, 1), "NUMBER", "3"))
	d.nixDaemon()
	d.on("host1", `useradd -m typist; echo typist:open-sesame | chpasswd; printf 'typist ALL=(ALL) ALL\nDefaults:typist timestamp_timeout=0\n' >/etc/sudoers.d/typist; chmod 0440 /etc/sudoers.d/typist`)
	defer d.on("host1", "userdel -r typist 2>/dev/null; rm /etc/sudoers.d/typist")
	got := d.on("host1", "cd "+own+`; mkfifo typed; : >shown
command="cd $PWD; NIX_PATH=nixpkgs=$PWD/nixpkgs NIX_REMOTE=daemon exec ./colmena-go apply-local --sudo"
setpriv --reuid=typist --regid=typist --init-groups env --default-signal=INT HOME=/home/typist script -qec "$command" /dev/null <typed >shown 2>&1 &
exec 3>typed
awaits() { i=0; until eval "$1"; do i=$((i + 1)); [ $i -lt 600 ] || { cat shown; exit 1; }; sleep 0.05; done; }
awaits 'grep -q "assword" shown'
echo open-sesame >&3
awaits '[ -e begun ]'
printf '\003' >&3
awaits 'grep -q interrupted shown'
touch go
wait $! || :
exec 3>&-
cat shown`)
	if strings.Count(got, "assword for") != 1 || strings.Contains(got, "open-sesame") || !strings.Contains(got, "1 of 1 nodes succeeded") || !strings.Contains(got, "finishing hosts that are being changed") {
		t.Errorf("%s", got)
	}
	d.hasOwnSystem("3")
}
