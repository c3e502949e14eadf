package hosts_test

import (
	"fmt"
	"strings"
	"testing"
)

// A boot does not end before the keys that services wait for are there, and the
// switch of NixOS waits for the end of the boot.
func TestASwitchAfterARebootWaitsForNoKeyThatNobodyBrings(t *testing.T) {
	d := deploying(t, 1)
	const needy = `{ host1 = {
    deployment.keys.k = { text = "v"; destDir = "%s"; };
    deployment.keys.late = { text = "v"; uploadAt = "post-activation"; };
    systemd.services = builtins.listToAttrs (map (key: { name = "needs-${key}"; value = {
      wantedBy = [ "multi-user.target" ]; requires = [ "${key}-key.service" ]; after = [ "${key}-key.service" ];
      script = "exec sleep infinity";
    }; }) [ "k" "late" ]);
  }; }`
	before := fmt.Sprintf(needy, "/run/keys")
	d.hive(before)
	d.must("apply")
	t.Cleanup(func() {
		d.hive("{ host1 = { }; }")
		d.must("apply")
	})
	reboot := func() {
		t.Helper()
		if err := d.host("host1").Reboot(); err != nil {
			t.Fatal(err)
		}
		d.state("host1", "late-key.service", "activating")
	}

	reboot()
	current := d.on("host1", "readlink -e /run/current-system /nix/var/nix/profiles/system")
	d.hive(fmt.Sprintf(needy, "/run/elsewhere"))
	for _, args := range [][]string{{"dry-activate"}, {"--no-keys"}} {
		o := d.run(append([]string{"apply"}, args...)...)
		if o.code != 1 || !strings.Contains(o.stderr, "-key.service waits for its key") || !strings.Contains(o.stderr, "run upload-keys first") {
			t.Errorf("apply %v: exit %d\n%s", args, o.code, o.stderr)
		}
	}
	if got := d.on("host1", "readlink -e /run/current-system /nix/var/nix/profiles/system"); got != current {
		t.Errorf("the host's systems are %s, were %s", got, current)
	}

	for _, change := range []struct{ name, hive, needs string }{
		{"the same keys", before, "active"},
		{"a key in another directory", fmt.Sprintf(needy, "/run/elsewhere"), "active"},
		{"no keys", "{ host1 = { }; }", "inactive"},
	} {
		t.Run(change.name, func(t *testing.T) {
			d.t = t
			d.hive(change.hive)
			d.must("apply")
			d.state("host1", "needs-k.service", change.needs)
			d.state("host1", "needs-late.service", change.needs)
			d.hive(before)
			d.must("apply")
			reboot()
		})
	}
	d.t = t
}
