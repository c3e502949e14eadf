package hosts_test

import (
	"strings"
	"testing"
)

// gone asserts that there is nothing at a path.
func (d *deployer) gone(host, path string) {
	d.t.Helper()
	if out := d.on(host, "ls -d "+path+" 2>/dev/null || echo none"); strings.TrimSpace(out) != "none" {
		d.t.Errorf("%s on %s is still there", path, host)
	}
}

func TestKeysThatAreNoMoreAreRemovedWhereThatIsWanted(t *testing.T) {
	d := deploying(t, 1)
	t.Cleanup(func() { d.on("host1", "rm -rf /var/keys /var/elsewhere") })
	hive := func(keys, more string) { d.hive(`{ host1.deployment = { keys = { ` + keys + ` }; ` + more + ` }; }`) }
	const kept = `kept.text = "stays"; `
	const all = kept + `old.text = "secret"; late = { text = "late"; uploadAt = "post-activation"; }; moved = { text = "moves"; destDir = "/var/keys"; }; `
	const left = kept + `moved = { text = "moves"; destDir = "/var/elsewhere"; }; `
	hive(all, "")
	d.on("host1", "mkdir -p /run/keys; printf mine >/run/keys/mine")
	d.must("apply")

	hive(left, "")
	d.must("apply")
	d.has("host1", "/run/keys/old", "secret", "root root 600") // nothing is removed unless that is wanted
	for _, goal := range [][]string{{"apply", "test", "--prune-keys"}, {"apply", "boot", "--prune-keys"}, {"apply", "push", "--prune-keys"}, {"apply", "--no-keys", "--prune-keys"}} {
		d.must(goal...)
		d.has("host1", "/run/keys/old", "secret", "root root 600")
	}

	hive(left, "removeStaleKeys = true;")
	if o := d.run("plan"); o.code != 3 || !strings.Contains(o.stdout+o.stderr, "- old (/run/keys/old)") {
		t.Errorf("%d %s%s", o.code, o.stdout, o.stderr)
	}
	d.has("host1", "/run/keys/old", "secret", "root root 600")
	o := d.must("apply")
	for _, path := range []string{"/run/keys/old", "/run/keys/late", "/var/keys/moved"} {
		d.gone("host1", path)
	}
	d.has("host1", "/var/elsewhere/moved", "moves", "root root 600")
	d.has("host1", "/run/keys/kept", "stays", "root root 600")
	d.has("host1", "/run/keys/mine", "mine", "root root 644")
	if r := o.results["host1"]; r.change("old") != "removed" || r.change("kept") != "unchanged" {
		t.Errorf("%+v", r)
	}

	// The last key goes as well, by upload-keys and its flag; what was changed since stays.
	hive(left, "")
	d.on("host1", "printf other >/run/keys/kept")
	hive("", "")
	if o := d.must("upload-keys", "--prune-keys"); !strings.Contains(o.stderr, "/run/keys/kept is no key any more, and stays") {
		t.Error(o.stderr)
	}
	d.gone("host1", "/var/elsewhere/moved")
	d.has("host1", "/run/keys/kept", "other", "root root 600")
	d.untouched("host1")
}

// A switch that fails may be gone back on: what its keys were stays.
func TestAfterASwitchThatFailedNoKeyIsRemoved(t *testing.T) {
	d := deploying(t, 1)
	d.hive(`{ host1.deployment.keys.old.text = "secret"; }`)
	d.must("apply")
	d.hive(`{ host1 = { deployment.removeStaleKeys = true; system.activationScripts.broken.text = "exit 1"; }; }`)
	if o := d.run("apply"); o.code != 1 {
		t.Errorf("%d %s", o.code, o.stderr)
	}
	d.has("host1", "/run/keys/old", "secret", "root root 600")
	d.hive(`{ host1.deployment.removeStaleKeys = true; }`)
	d.must("apply")
	d.gone("host1", "/run/keys/old")
}
