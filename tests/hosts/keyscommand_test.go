package hosts_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// standings are what keys status says of a host's keys: NAME STATE, in the order that it
// has, with the unit's state.
func (d *deployer) standings(code int, host string, args ...string) string {
	d.t.Helper()
	o := d.run(append([]string{"keys", "status", "--json"}, args...)...)
	if o.code != code {
		d.t.Errorf("exit %d, want %d:\n%s%s", o.code, code, o.stderr, o.stdout)
	}
	var document struct {
		Results []struct {
			Node string
			Keys []struct{ Name, State, UnitState, Compared string }
		}
	}
	if err := json.Unmarshal([]byte(o.stdout), &document); err != nil {
		d.t.Fatal(err)
	}
	var list []string
	for _, r := range document.Results {
		for _, k := range r.Keys {
			if r.Node == host {
				list = append(list, strings.TrimSpace(fmt.Sprintf("%s %s %s", k.Name, k.State, k.UnitState)))
			}
		}
	}
	return strings.Join(list, ", ")
}

func TestHowHostsHaveTheirKeysIsToldWithoutASource(t *testing.T) {
	d := deploying(t, 2)
	const text = `{ host1 = {
    deployment.keys.cmd = { keyCommand = [ "sh" "-c" "echo run >>%[1]s/ran; cat %[1]s/secret" ]; };
    deployment.keys.disk = { text = "d"; destDir = "/srv/disk"; };%[2]s };
  host2.deployment = { targetUser = "deployer"; keys.k.text = "v"; }; }`
	const old = ` deployment.keys.old = { text = "o"; destDir = "/srv/disk"; };`
	d.hive(fmt.Sprintf(text, d.dir, old))
	d.write("secret", "first")
	d.must("apply")
	d.state("host1", "cmd-key.service", "active")
	d.state("host1", "disk-key.service", "active")
	d.state("host1", "old-key.service", "active")
	os.Remove(d.dir + "/ran")

	const all = "cmd in place active, disk in place active, old in place active"
	if got := d.standings(0, "host1"); got != all {
		t.Error(got)
	}
	if got := d.standings(0, "host2"); got != "k in place active" {
		t.Error(got)
	}
	// The source has another content by now, which only --resolve sees.
	d.write("secret", "second")
	if got := d.standings(0, "host1"); got != all {
		t.Error(got)
	}
	if _, err := os.Stat(d.dir + "/ran"); err == nil {
		t.Error("a keyCommand was run")
	}
	if got := d.standings(3, "host1", "--resolve"); got != strings.Replace(all, "cmd in place", "cmd differs", 1) {
		t.Error(got)
	}
	if o := d.run("keys", "diff", "--json"); o.code != 3 || o.results["host1"].change("cmd") != "changed" || o.results["host1"].change("disk") != "unchanged" {
		t.Errorf("exit %d: %s", o.code, o.stdout)
	}

	// What nobody declares any more is stale, and nothing is touched by looking.
	d.hive(fmt.Sprintf(text, d.dir, ""))
	d.on("host1", "chown nobody /run/keys/cmd")
	look := func() string {
		return d.on("host1", "find /run/keys /run/colmena-go /var/lib/colmena-go /srv -type f -printf '%p %i %A@ %T@ %C@\n' | sort")
	}
	before := look()
	for _, args := range [][]string{nil, {"--resolve"}} {
		state := "cmd wrong owner or mode active"
		if args != nil {
			state = "cmd differs active"
		}
		if got := d.standings(3, "host1", args...); got != state+", disk in place active, old stale" {
			t.Error(args, got)
		}
	}
	d.run("keys", "diff")
	if after := look(); after != before {
		t.Errorf("looking changed the host:\n%s\nbefore:\n%s", after, before)
	}
	d.on("host1", "rm /run/keys/cmd; printf other >/srv/disk/old")
	d.state("host1", "cmd-key.service", "inactive")
	got := d.standings(3, "host1")
	if !strings.HasPrefix(got, "cmd missing") || strings.Contains(got, "old") {
		t.Error(got)
	}
	d.untouched("host1")
}
