package hosts_test

import (
	"fmt"
	"strings"
	"testing"
)

// directory asserts owner and mode of a directory on a host.
func (d *deployer) directory(host, path, want string) {
	d.t.Helper()
	if got := d.on(host, "stat -c '%U %G %a' "+path); strings.TrimSpace(got) != want {
		d.t.Errorf("%s is %s, want %s", path, got, want)
	}
}

// The users of its directories may be those of the system that comes with a key.
func TestDirectoriesOfKeysGetTheirOwnersBeforeOrWithTheActivation(t *testing.T) {
	for name, more := range map[string]string{"activation script": "", "userborn": "services.userborn.enable = true;"} {
		t.Run(name, func(t *testing.T) {
			d := deploying(t, 1)
			user := "d" + strings.Fields(name)[0]
			hive := func(permissions string) string {
				return fmt.Sprintf(`{ host1 = { %s
        users.users.%[2]s = { isSystemUser = true; group = "%[2]s"; };
        users.groups.%[2]s = { };
        deployment.keyDirectories."/srv/app" = { user = "%[2]s"; group = "%[2]s"; permissions = "%[3]s"; };
        deployment.keyDirectories."/home/alice/app" = { user = "%[2]s"; permissions = "0711"; };
        deployment.keys.k = { text = "v"; user = "%[2]s"; destDir = "/srv/app/deep"; };
        deployment.keys.late = { text = "w"; destDir = "/srv/app"; uploadAt = "post-activation"; };
        deployment.keys.guest = { text = "x"; destDir = "/home/alice/app"; uploadAt = "post-activation"; };
      }; }`, more, user, permissions)
			}
			d.hive(hive("2750"))
			d.on("host1", "rm -rf /home/alice/app")
			if o := d.run("upload-keys"); o.code == 0 || !strings.Contains(o.stderr, "no user") {
				t.Errorf("without its owner: exit %d: %s", o.code, o.stderr)
			}
			d.on("host1", "[ ! -e /srv/app ]")
			if o := d.run("apply", "--dry-run"); o.code != 3 || !strings.Contains(o.stdout, "root owns it until") {
				t.Errorf("a dry run does not tell of the owner:\n%s%s", o.stdout, o.stderr)
			}
			d.on("host1", "[ ! -e /srv/app ]")
			d.must("apply")
			d.directory("host1", "/srv/app", user+" "+user+" 2750")
			d.directory("host1", "/srv/app/deep", "root root 755")
			d.directory("host1", "/home/alice/app", user+" root 711")
			d.has("host1", "/srv/app/deep/k", "v", user+" root 600")
			d.has("host1", "/srv/app/late", "w", "root root 600")

			// What is there is left as it is.
			d.hive(hive("0700"))
			if o := d.must("upload-keys"); o.results["host1"].change("k") != "unchanged" {
				t.Errorf("%+v", o.results)
			}
			d.directory("host1", "/srv/app", user+" "+user+" 2750")
			d.on("host1", "rm -rf /srv/app")
			d.must("upload-keys")
			d.directory("host1", "/srv/app", user+" "+user+" 700")
			d.on("host1", "rm -rf /home/alice/app")
		})
	}
}

// The reboot makes the owner.
func TestADirectoryGetsItsOwnerWithTheReboot(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ host1 = {
    users.users.dboot = { isSystemUser = true; group = "dboot"; };
    users.groups.dboot = { };
    deployment.keyDirectories."/var/lib/app-keys" = { user = "dboot"; permissions = "0750"; };
    deployment.keys.k = { text = "v"; user = "dboot"; destDir = "/var/lib/app-keys"; };
  }; }`)
	d.on("host1", "rm -rf /var/lib/app-keys")
	d.must("apply", "boot")
	d.directory("host1", "/var/lib/app-keys", "root root 700")
	if err := d.host("host1").Reboot(); err != nil {
		t.Fatal(err)
	}
	d.directory("host1", "/var/lib/app-keys", "dboot root 750")
	d.has("host1", "/var/lib/app-keys/k", "v", "dboot root 600")
	d.on("host1", "rm -rf /var/lib/app-keys")
}
