package hosts_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// marked is a hive of one host whose keys count, in files of their names, how often their
// commands run: three with a fingerprint, one without.
func (d *deployer) marked(fingerprint string) {
	key := func(name, more string) string {
		return fmt.Sprintf(`%s = { keyCommand = [ "sh" "-c" "echo run >>%s; printf secret" ]; %s };`, name, filepath.Join(d.dir, name), more)
	}
	mark := "fingerprint = " + fingerprint + ";"
	d.hive(`{ host1.deployment.keys = { ` + key("early", mark) + key("late", mark+` uploadAt = "post-activation"; user = "root"; permissions = "0640";`) +
		key("lasting", mark+` destDir = "/var/keys";`) + key("plain", "") + ` }; }`)
}

// runs tells how often the commands of keys ran since the last time, as "early late lasting plain".
func (d *deployer) runs() string {
	var counts []string
	for _, name := range []string{"early", "late", "lasting", "plain"} {
		text, _ := os.ReadFile(filepath.Join(d.dir, name))
		os.Remove(filepath.Join(d.dir, name))
		counts = append(counts, fmt.Sprint(strings.Count(string(text), "run")))
	}
	return strings.Join(counts, " ")
}

func TestAKeyThatTheHostHoldsIsNotResolved(t *testing.T) {
	d := deploying(t, 1)
	t.Cleanup(func() { d.on("host1", "rm -rf /var/keys") })
	d.marked(`"v1"`)
	var o outcome
	ran := func(want, what string) {
		t.Helper()
		if got := d.runs(); got != want {
			t.Errorf("%s: commands of early, late, lasting and plain ran %s times, want %s", what, got, want)
		}
		d.has("host1", "/run/keys/early", "secret", "root root 600")
		d.has("host1", "/run/keys/late", "secret", "root root 640")
		d.has("host1", "/var/keys/lasting", "secret", "root root 600")
		d.untouched("host1")
	}
	d.must("upload-keys")
	ran("1 1 1 1", "nothing is there yet")
	for _, args := range [][]string{{"upload-keys"}, {"apply"}, {"apply"}, {"upload-keys", "--dry-run"}, {"plan"}} {
		o = d.must(args...)
		ran("0 0 0 1", "all is there, "+args[0])
	}
	d.must("apply", "boot") // which sends none that are in memory, and needs none
	ran("0 0 0 1", "boot")
	o = d.must("upload-keys", "--resolve-all")
	ran("1 1 1 1", "all are asked for")
	if o.results["host1"].change("late") != "unchanged" {
		t.Errorf("%+v", o.results)
	}

	d.on("host1", "rm /run/keys/early; printf Secret >/run/keys/late")
	o = d.must("upload-keys")
	ran("1 1 0 1", "one is gone, one was changed")
	if r := o.results["host1"]; r.change("early") != "changed" || r.change("late") != "changed" || r.change("lasting") != "unchanged" {
		t.Errorf("%+v", r)
	}
	d.on("host1", "chmod 644 /run/keys/early; chown 0:1 /var/keys/lasting")
	o = d.must("upload-keys")
	ran("0 0 0 1", "modes and owners alone are wrong")
	if r := o.results["host1"]; r.change("early") != "mended" || r.change("late") != "unchanged" || r.change("lasting") != "mended" {
		t.Errorf("%+v", r)
	}
	// Where others can write, the file has to be sent.
	d.on("host1", "chown 65534 /var/keys; chmod 644 /var/keys/lasting")
	o = d.must("upload-keys")
	ran("0 0 1 1", "a mode in a directory of others")
	if r := o.results["host1"]; r.change("lasting") != "mended" {
		t.Errorf("%+v", r)
	}
	o = d.must("upload-keys")
	ran("0 0 0 1", "in a directory of others")

	d.marked(`"v2"`)
	d.must("upload-keys", "--dry-run")
	ran("1 1 1 1", "another fingerprint, dry run")
	o = d.must("upload-keys")
	ran("1 1 1 1", "another fingerprint")
	if r := o.results["host1"]; r.change("early") != "unchanged" {
		t.Errorf("%+v", r)
	}
	d.must("upload-keys")
	ran("0 0 0 1", "which is known by now")
	d.marked("null")
	d.must("upload-keys")
	ran("1 1 1 1", "no fingerprint any more")
	d.marked(`"v2"`)
	d.must("upload-keys")
	ran("1 1 1 1", "which were not remembered without")

	// What was lost is made up for, whatever there is in its place.
	for _, command := range []string{"rm /run/colmena-go/keys /var/lib/colmena-go/keys", "echo x >>/run/colmena-go/keys; echo x >/var/lib/colmena-go/keys", "rm -r /run/colmena-go /var/lib/colmena-go"} {
		d.on("host1", command)
		d.must("upload-keys")
		ran("1 1 1 1", command)
		d.must("upload-keys")
		ran("0 0 0 1", "again, "+command)
	}
	// As after a boot.
	d.on("host1", "find /run/keys -mindepth 1 -delete; rm -r /run/colmena-go")
	d.must("apply")
	ran("1 1 0 1", "what was in memory is gone")
}

// Its source may be elsewhere, in a vault that is sealed or on a disk that is away.
func TestTheSourceOfAKeyThatTheHostHoldsMayBeAway(t *testing.T) {
	d := deploying(t, 1)
	d.write("source", "secret")
	d.hive(`{ host1.deployment.keys.token = { keyFile = "` + filepath.Join(d.dir, "source") + `"; fingerprint = "v1"; }; }`)
	d.must("upload-keys")
	os.Remove(filepath.Join(d.dir, "source"))
	for _, args := range [][]string{{"upload-keys"}, {"apply"}, {"upload-keys", "--dry-run"}, {"plan"}} {
		d.must(args...)
	}
	d.has("host1", "/run/keys/token", "secret", "root root 600")
	d.on("host1", "echo other >/run/keys/token")
	for _, args := range [][]string{{"upload-keys", "--json"}, {"apply", "--json"}} {
		o := d.run(args...)
		if r := o.results["host1"]; o.code != 1 || r.Step != "keys" || !strings.Contains(r.Error, "cannot be read") {
			t.Errorf("%v: exit %d: %+v", args, o.code, r)
		}
	}
	d.has("host1", "/run/keys/token", "other\n", "root root 600")
}

// What the host holds when it is asked may be gone when it is to be changed: here the command
// of another key, which runs in between, takes it away.
func TestAKeyThatIsGoneWhenItMattersIsResolvedThen(t *testing.T) {
	d := deploying(t, 1)
	held := `{ keyCommand = [ "sh" "-c" "echo run >>` + filepath.Join(d.dir, "early") + `; printf secret" ]; fingerprint = "v1";`
	hive := func(other string) {
		d.hive(`{ host1.deployment.keys = { early = ` + held + ` }; late = ` + held + ` uploadAt = "post-activation"; };
  other.keyCommand = [ "sh" "-c" "` + other + `; printf other" ]; }; }`)
	}
	hive(":")
	d.must("upload-keys")
	d.runs()
	for _, args := range [][]string{{"upload-keys"}, {"apply"}, {"upload-keys", "--dry-run"}} {
		early, late := d.host("host1").Path("/run/keys/early"), d.host("host1").Path("/run/keys/late")
		hive("rm -f " + early + "; printf Secret >" + late)
		o := d.run(append(args, "--json")...)
		if got := d.runs(); got != "2 0 0 0" {
			t.Errorf("%s: the commands ran %s times", args, got)
		}
		if !strings.Contains(o.stderr, "no longer has what it remembers of the keys") {
			t.Errorf("%s: it is not told: %s", args, o.stderr)
		}
		if slices.Contains(args, "--dry-run") {
			if o.code != 3 {
				t.Errorf("%s: exit %d", args, o.code)
			}
			continue
		}
		d.has("host1", "/run/keys/early", "secret", "root root 600")
		d.has("host1", "/run/keys/late", "secret", "root root 600")
		if r := o.results["host1"]; r.change("early") != "changed" || r.change("late") != "changed" {
			t.Errorf("%s: %+v", args, r)
		}
		d.untouched("host1")
	}
}

// A reboot takes away what is in memory: it is resolved again, and before, to see that it can be.
func TestAHostHoldsNoKeyInMemoryAcrossAReboot(t *testing.T) {
	d := deploying(t, 1)
	d.reboots("host1")
	t.Cleanup(func() { d.on("host1", "rm -rf /var/keys") })
	d.marked(`"v1"`)
	d.must("apply")
	d.runs()
	before := d.bootID("host1")
	o := d.must("reboot")
	if got := d.runs(); got != "2 2 0 2" || d.bootID("host1") == before {
		t.Errorf("commands of early, late, lasting and plain ran %s times", got)
	}
	if r := o.results["host1"]; r.change("early") != "changed" || r.change("lasting") != "unchanged" {
		t.Errorf("%+v", r)
	}
	d.has("host1", "/run/keys/early", "secret", "root root 600")
	d.has("host1", "/run/keys/late", "secret", "root root 640")
	d.must("upload-keys")
	if got := d.runs(); got != "0 0 0 1" {
		t.Errorf("afterwards they ran %s times", got)
	}
	d.untouched("host1")
}
