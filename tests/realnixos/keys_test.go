package realnixos_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/colmena-go/colmena-go/tests/nixenv"
)

// node is one with a key of each kind, for a user it declares, and services that
// run as that user and need a key each.
func node(user, dir, more string) string {
	return fmt.Sprintf(`{ lib, config, ... }: {
    imports = [ { %[3]s } ];
    users.users.%[1]s = { isSystemUser = true; group = "%[1]s"; };
    users.groups.%[1]s = { };
    deployment.keys = {
      pre = { text = "pre-secret"; user = "%[1]s"; group = "keys"; permissions = "0440"; destDir = "%[2]s"; };
      lasting = { text = "lasting-secret"; user = "%[1]s"; group = "%[1]s"; destDir = "/var/lib/secrets"; };
      post = { text = "post-secret"; group = "keys"; permissions = "0440"; uploadAt = "post-activation"; };
    };
    systemd.services = lib.mapAttrs' (name: key: lib.nameValuePair "needs-${name}" {
      wantedBy = [ "multi-user.target" ]; requires = [ "${name}-key.service" ]; after = [ "${name}-key.service" ];
      script = "cat ${key.path} >/run/needs-${name}/seen; exec sleep infinity";
      serviceConfig = { User = "%[1]s"; SupplementaryGroups = [ "keys" ]; RuntimeDirectory = "needs-${name}"; };
    }) { inherit (config.deployment.keys) pre post; };
  }`, user, dir, more)
}

// runs asserts that all keys are there, and the services that need them run.
func (m *machine) runs(user, dir string) {
	m.t.Helper()
	m.is(fmt.Sprintf("stat -c '%%n %%U:%%G %%a' %s/pre /var/lib/secrets/lasting /run/keys/post", dir),
		fmt.Sprintf("%s/pre %s:keys 440\n/var/lib/secrets/lasting %[2]s:%[2]s 600\n/run/keys/post root:keys 440", dir, user))
	m.is("systemctl is-active pre-key lasting-key post-key needs-pre needs-post colmena-go-keys || :", "active\nactive\nactive\nactive\nactive\nactive")
	m.is("cat /run/needs-*/seen || :", "post-secretpre-secret")
	m.is("stat -c %U /run/needs-*/seen || :", user+"\n"+user)
	m.is("systemctl is-system-running || :", "running")
}

func TestKeysOnARealNixOS(t *testing.T) {
	m := booted(t, node("one", "/run/keys", ""))
	m.is("systemctl is-active pre-key post-key needs-pre needs-post lasting-key || :", "activating\nactivating\ninactive\ninactive\nactive")
	m.is("stat -c %U:%G /var/lib/secrets/lasting", "one:one")
	m.run("upload-keys")
	m.runs("one", "/run/keys")
	for _, shape := range []struct{ name, user, dir, more, needs string }{
		{name: "nothing changed", user: "one", dir: "/run/keys"},
		{name: "another directory", user: "one", dir: "/srv/keys"},
		{name: "an owner that the switch makes", user: "two", dir: "/srv/keys"},
		{name: "userborn", user: "two", dir: "/run/keys", more: "services.userborn.enable = true;", needs: "userborn"},
		{name: "userborn makes the owner", user: "three", dir: "/run/keys", more: "services.userborn.enable = true;", needs: "userborn"},
		{name: "the new switch", user: "four", dir: "/run/keys", more: newSwitch, needs: "switch-to-configuration"},
		{name: "the new switch, another directory", user: "four", dir: "/srv/keys", more: newSwitch, needs: "switch-to-configuration"},
	} {
		t.Run(shape.name, func(t *testing.T) {
			m.t = t
			m.needs(shape.needs)
			m.hive(node(shape.user, shape.dir, shape.more))
			m.run("apply")
			m.runs(shape.user, shape.dir)
		})
	}
	m.t = t
	t.Run("no keys, and the first ones", func(t *testing.T) {
		m.t = t
		m.hive("{ }")
		m.run("apply")
		m.is("systemctl list-units --all --plain --no-legend '*-key.service' 'colmena-go*'", "")
		m.on("rm -rf /run/keys/* /srv/keys")
		m.hive(node("five", "/run/keys", ""))
		m.run("apply")
		m.runs("five", "/run/keys")
	})
	// The boot waits for keys, which come while it does.
	t.Run("rebooted", func(t *testing.T) {
		m.t = t
		defer m.host.ReturnsFromReboots()()
		m.hive(node("six", "/run/keys", `environment.etc.generation.text = "six";`))
		for _, args := range [][]string{{"apply", "--reboot"}, {"reboot"}} {
			before := m.on("cat /proc/sys/kernel/random/boot_id")
			m.run(args...)
			if m.on("cat /proc/sys/kernel/random/boot_id") == before {
				t.Errorf("%v: it was not rebooted", args)
			}
			m.is("cat /etc/generation; [ /run/booted-system -ef /run/current-system ] && echo booted", "sixbooted")
			m.runs("six", "/run/keys")
		}
		before := m.on("cat /proc/sys/kernel/random/boot_id")
		m.run("reboot", "--if-needed")
		m.is("cat /proc/sys/kernel/random/boot_id", before)
	})
}

const newSwitch = "system.switch = { enable = false; enableNg = true; };"

// needs skips the test where the tree has a program only by name.
func (m *machine) needs(program string) {
	m.t.Helper()
	if program == "" {
		return
	}
	if _, err := os.Stat(filepath.Join(nixenv.Bootable(m.t), "standin/debian/bin", program)); err != nil {
		m.t.Skipf("the tree has no %s: %v", program, err)
	}
}

// The new switch waits until the boot has ended, and that waits for keys.
func TestTheNewSwitchAfterARebootWaitsForNoKeyThatNobodyBrings(t *testing.T) {
	m := booted(t, node("one", "/run/keys", ""))
	m.needs("switch-to-configuration")
	m.hive(node("one", "/run/keys", newSwitch))
	m.run("apply")
	m.runs("one", "/run/keys")
	for _, next := range []struct{ node, needs string }{
		{node("one", "/run/keys", newSwitch), "active"},
		{node("one", "/srv/keys", newSwitch), "active"},
		{"{ " + newSwitch + " }", "inactive"},
	} {
		m.on("rm -rf /srv/keys")
		if err := m.host.Reboot(); err != nil {
			t.Fatal(err)
		}
		m.is("systemctl is-system-running; systemctl is-active post-key || :", "starting\nactivating")
		if code, out := m.try("apply", "dry-activate"); code != 1 {
			t.Errorf("a dry activation: exit %d\n%s", code, out)
		}
		m.hive(next.node)
		m.run("apply")
		m.is("systemctl is-system-running; systemctl is-active needs-pre || :", "running\n"+next.needs)
		m.hive(node("one", "/run/keys", newSwitch))
		m.run("apply")
	}
}
