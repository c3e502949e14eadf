package hosts_test

import (
	"strings"
	"testing"
)

// keysToInstall are those of a system that is being installed below /srv/mnt.
const keysToInstall = `deployment = {
    keyDirectories."/var/lib/app" = { user = "app"; group = "app"; permissions = "0750"; };
    keys.kept = { text = "k"; destDir = "/var/lib/app/keys"; restartUnits = [ "none-of-these.service" ]; user = "app"; group = "app"; permissions = "0440"; };
    keys.linked = { text = "l"; destDir = "/linked"; };
    keys.later = { text = "n"; destDir = "/var/lib/later"; user = "later"; uploadAt = "post-activation"; };
    keys.volatile.text = "v";
  };`

// installed makes a root on a host whose user app has other ids than the host's own could have.
const installed = `rm -rf /srv/* /linked /var/lib/app; mkdir -p /srv/mnt/etc /srv/mnt/var; ln -s /srv/outside /srv/mnt/linked
printf 'root:x:0:0\napp:x:%[1]s:7\n' >/srv/mnt/etc/passwd; printf 'app:x:%[1]s:\n' >/srv/mnt/etc/group; mkdir /srv/outside; stat -c '%i %Y' /run/keys`

// state of a host but for its other root.
const aroundTheRoot = `ls -A /srv/outside /run/keys /var/lib | grep -v '^$'; ls -d /linked /var/lib/app 2>&1; systemctl list-units --plain --no-legend '*-key.service'`

func TestKeysGoBelowTheRootsOfSystemsThatHaveNotBooted(t *testing.T) {
	d := deploying(t, 2)
	d.hive("{ host1 = { " + keysToInstall + " }; host2 = { " + keysToInstall + " }; }")
	ids := map[string]string{"host1": "4321", "host2": "8765"}
	before := map[string]string{}
	for host, id := range ids {
		d.on(host, strings.ReplaceAll(installed, "%[1]s", id))
		before[host] = d.on(host, aroundTheRoot)
	}
	o := d.run("upload-keys", "--root", "/srv/mnt", "--dry-run", "--json")
	if o.code != 3 || !strings.Contains(o.stdout, "/srv/mnt/var/lib/app/keys/kept") {
		t.Errorf("a dry run: exit %d: %s%s", o.code, o.stdout, o.stderr)
	}
	for host := range ids {
		if got := d.on(host, "find /srv/mnt -type f | sort"); strings.TrimSpace(got) != "/srv/mnt/etc/group\n/srv/mnt/etc/passwd" {
			t.Errorf("%s: a dry run left %s", host, got)
		}
	}
	o = d.must("upload-keys", "--root", "/srv/mnt")
	for host, id := range ids {
		for key, want := range map[string]string{"kept": "changed", "linked": "changed", "later": "changed", "volatile": "skipped"} {
			if got := o.results[host].change(key); got != want {
				t.Errorf("%s: %s is %s, want %s", host, key, got, want)
			}
		}
		for path, want := range map[string]string{
			"/var/lib/app": id + " " + id + " 750", "/var/lib/app/keys": "0 0 755", "/var/lib/app/keys/kept": id + " " + id + " 440",
			"/srv/outside/linked": "0 0 600", "/var/lib/later/later": "0 0 600",
		} {
			if got := strings.TrimSpace(d.on(host, "stat -c '%u %g %a' /srv/mnt"+path)); got != want {
				t.Errorf("%s: %s is %s, want %s", host, path, got, want)
			}
		}
		if got := d.on(host, "cat /srv/mnt/var/lib/app/keys/kept /srv/mnt/srv/outside/linked /srv/mnt/var/lib/later/later; [ ! -e /srv/mnt/run ] && stat -c ' %a' /srv/mnt/var/lib/colmena-go"); got != "kln 700" {
			t.Errorf("%s: in the root is %q", host, got)
		}
		if after := d.on(host, aroundTheRoot); after != before[host] {
			t.Errorf("%s: outside of it is\n%s\nbefore\n%s", host, after, before[host])
		}
	}
	o = d.must("upload-keys", "--root", "/srv/mnt")
	if got := o.results["host2"].change("kept"); got != "unchanged" {
		t.Errorf("again it is %s", got)
	}
	d.on("host2", "mv /srv/mnt /srv/other; ln -s other /srv/mnt")
	if o = d.run("upload-keys", "--root", "/srv/mnt", "--json"); o.results["host1"].Status != "succeeded" || !strings.Contains(o.results["host2"].Error, "--root: /srv/mnt is a symlink") {
		t.Errorf("%+v", o.results)
	}
}

func TestAnOrdinaryUserPutsKeysBelowAnotherRootWithSudo(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ host1 = {
    deployment.targetUser = "deployer";
    deployment.keys.kept = { text = "k"; destDir = "/var/lib/app"; user = "app"; };
  }; }`)
	d.on("host1", strings.ReplaceAll(installed, "%[1]s", "4321"))
	d.must("upload-keys", "--root", "/srv/mnt")
	if got := d.on("host1", "stat -c '%u %g %a' /srv/mnt/var/lib/app/kept; cat /srv/mnt/var/lib/app/kept; ls -d /var/lib/app 2>&1 || :"); !strings.HasPrefix(got, "4321 0 600\nk") || !strings.Contains(got, "No such file") {
		t.Errorf("there is %s", got)
	}
}
