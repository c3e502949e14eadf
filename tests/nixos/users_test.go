package nixos_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/tests/fleet"
)

func TestUsersAndGroupsComeAndGoWithTheConfiguration(t *testing.T) {
	f := fleet.Require(t, 1)
	h := f.Hosts[0]
	own := `grep -v '^\(acme\|under_score\|svc1\|normal\|nixuser\):' /etc/passwd | cksum`
	const declared = `{
  users.users.under_score = { isSystemUser = true; group = "under_score"; extraGroups = [ "keys" ]; };
  users.groups.under_score = { };
  users.users.svc1 = { isSystemUser = true; uid = 777; group = "svc1"; };
  users.groups.svc1.gid = 778;
  users.users.normal = { isNormalUser = true; description = "A Person"; };
}`
	if a := switchTo(t, f, h, "{ }"); a.exit != 0 {
		t.Fatalf("exit %d\n%s", a.exit, a.output)
	}
	before := shell(t, h, own)
	a := switchTo(t, f, h, declared)
	if a.exit != 0 {
		t.Fatalf("exit %d\n%s", a.exit, a.output)
	}
	wants(t, "svc1", shell(t, h, "id svc1"), "uid=777(svc1) gid=778(svc1) groups=778(svc1)")
	wants(t, "the members of keys", shell(t, h, "getent group keys"), "keys:x:96:under_score")
	wants(t, "normal's home", shell(t, h, "stat -c '%U %G %a' /home/normal"), "normal users 700")
	wants(t, "/run/keys", shell(t, h, "stat -c '%U %G %a' /run/keys; stat -f -c %T /run/keys"), "root keys 750\nramfs")
	wants(t, "the host's own users", shell(t, h, own), before)
	uid := shell(t, h, "id -u under_score")

	if a := switchTo(t, f, h, "{ }"); a.exit != 0 {
		t.Fatalf("exit %d\n%s", a.exit, a.output)
	}
	wants(t, "the users that are left", shell(t, h, "getent passwd under_score svc1 normal || :"), "")
	wants(t, "the group that is left", shell(t, h, "getent group svc1 || :"), "")
	wants(t, "the host's own users", shell(t, h, own), before)

	if a := switchTo(t, f, h, declared); a.exit != 0 {
		t.Fatalf("exit %d\n%s", a.exit, a.output)
	}
	wants(t, "the uid of a user who comes back", shell(t, h, "id -u under_score"), uid)
}

func TestUsersThatAServiceMakesComeAfterTheActivationScript(t *testing.T) {
	for enable, service := range map[string]string{"services.userborn": "userborn", "systemd.sysusers": "systemd-sysusers"} {
		t.Run(service, func(t *testing.T) { usersMadeBy(t, enable, service) })
	}
}

func usersMadeBy(t *testing.T, enable, service string) {
	f := fleet.Require(t, 1)
	h := f.Hosts[0]
	module := func(user string) string {
		return fmt.Sprintf(`{
  %[2]s.enable = true;
  users.users.%[1]s = { isSystemUser = true; group = "%[1]s"; };
  users.groups.%[1]s = { };
  system.activationScripts.look = lib.stringAfter [ "etc" "users" "groups" ] "id %[1]s >/run/seen 2>&1 || :";
  systemd.services.after-users = { requiredBy = [ "sysinit-reactivation.target" ]; wantedBy = [ "sysinit.target" ]; before = [ "sysinit-reactivation.target" "sysinit.target" ];
    after = [ "%[3]s.service" ]; unitConfig.DefaultDependencies = false; restartTriggers = [ "%[1]s" ];
    serviceConfig = { Type = "oneshot"; RemainAfterExit = true; }; script = "id -un %[1]s >/run/after"; };
  systemd.services.uses = { wantedBy = [ "multi-user.target" ]; script = "exec sleep infinity"; serviceConfig.User = "%[1]s"; };
}`, user, enable, service)
	}
	for _, user := range []string{"bornone", "borntwo"} {
		a := switchTo(t, f, h, module(user))
		if a.exit != 0 {
			t.Fatalf("exit %d\n%s", a.exit, a.output)
		}
		if seen := shell(t, h, "cat /run/seen"); !strings.Contains(seen, "no such user") {
			t.Errorf("the activation script sees %q", seen)
		}
		wants(t, "the user a service after "+service+" sees", shell(t, h, "cat /run/after"), user)
		wants(t, "the user of another service", shell(t, h, "ps -o user= -p $(systemctl show -P MainPID uses)"), user)
	}
	if err := h.Reboot(); err != nil {
		t.Fatal(err)
	}
	wants(t, "the host after a reboot", shell(t, h, "systemctl is-system-running --wait; cat /run/after"), "running\nborntwo")
	if a := switchTo(t, f, h, "{ }"); a.exit != 0 {
		t.Fatalf("exit %d\n%s", a.exit, a.output)
	}
}

func TestFilesInEtcAppearChangeAndVanish(t *testing.T) {
	f := fleet.Require(t, 1)
	h := f.Hosts[0]
	a := switchTo(t, f, h, `{ environment.etc = { "sub.dir/linked".text = "one"; copied = { text = "two"; mode = "0640"; group = "keys"; }; }; }`)
	if a.exit != 0 {
		t.Fatalf("exit %d\n%s", a.exit, a.output)
	}
	wants(t, "the link", shell(t, h, "readlink '/etc/sub.dir/linked'; cat '/etc/sub.dir/linked'"), "/etc/static/sub.dir/linked\none")
	wants(t, "the copy", shell(t, h, "stat -c '%F %U %G %a' /etc/copied"), "regular file root keys 640")
	if a := switchTo(t, f, h, `{ environment.etc."sub.dir/linked".text = "three"; }`); a.exit != 0 {
		t.Fatalf("exit %d\n%s", a.exit, a.output)
	}
	wants(t, "what is left", shell(t, h, "cat '/etc/sub.dir/linked'; ls /etc/copied 2>&1 || :"), "threels: cannot access '/etc/copied': No such file or directory")
	wants(t, "the host's own files", shell(t, h, "ls /etc/ssh/sshd_config /etc/systemd/system/multi-user.target.wants/ssh.service"),
		"/etc/ssh/sshd_config\n/etc/systemd/system/multi-user.target.wants/ssh.service")
}
