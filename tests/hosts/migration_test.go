package hosts_test

import (
	"fmt"
	"testing"
)

// theirs are units as other tools make them for the keys of /run/keys: a process
// each that waits for the file, and another that waits until it goes.
const theirs = `{ pkgs, lib, ... }: {
    systemd.paths = lib.genAttrs [ "there-key" "late-key" "dropped-key" ] (unit: {
      wantedBy = [ "paths.target" ]; pathConfig.PathExists = "/run/keys/${lib.removeSuffix "-key" unit}";
    });
    systemd.services = lib.genAttrs [ "there-key" "late-key" "dropped-key" ] (unit: let key = lib.removeSuffix "-key" unit; in {
      serviceConfig = { TimeoutStartSec = "infinity"; Restart = "always"; RestartSec = "100ms"; };
      path = [ pkgs.inotify-tools ];
      preStart = "until [ -e /run/keys/${key} ]; do inotifywait -qq -t 1 -e create,move /run/keys || :; done";
      script = "inotifywait -qq -e delete_self /run/keys/${key} & [ -e /run/keys/${key} ] || exit 0; wait %1";
    }) // { needs = {
      wantedBy = [ "multi-user.target" ]; requires = [ "late-key.service" ]; after = [ "late-key.service" ];
      script = "exec sleep infinity";
    }; };
  }`

func TestKeyUnitsOfAnotherToolBecomeOurs(t *testing.T) {
	d := deploying(t, 1)
	const ours = `{ host1 = {
    deployment.keys.there.text = "%s";
    deployment.keys.late = { text = "v"; uploadAt = "post-activation"; };
    systemd.services.needs = {
      wantedBy = [ "multi-user.target" ]; requires = [ "late-key.service" ]; after = [ "late-key.service" ];
      script = "exec sleep infinity";
    };
  }; }`
	d.on("host1", "echo old >/run/keys/there; echo old >/run/keys/dropped; echo old >/run/keys/late")
	d.hive("{ host1 = " + theirs + "; }")
	d.must("apply")
	d.state("host1", "there-key.service", "active")
	d.on("host1", "systemctl stop needs; rm /run/keys/late; systemctl start --no-block needs")
	d.state("host1", "late-key.service", "activating")
	t.Cleanup(func() {
		d.hive("{ host1 = { }; }")
		d.must("apply")
	})

	d.hive(fmt.Sprintf(ours, "v"))
	d.must("apply")
	d.state("host1", "needs.service", "active")
	for unit, want := range map[string]string{"there-key.service": "active", "late-key.service": "active", "dropped-key.service": "inactive"} {
		d.state("host1", unit, want)
	}
	d.hive(fmt.Sprintf(ours, "another"))
	d.must("upload-keys")
	d.on("host1", "rm /run/keys/late")
	d.state("host1", "late-key.service", "inactive")
	d.state("host1", "there-key.service", "active")
	d.on("host1", "rm /run/keys/there")
	d.state("host1", "there-key.service", "inactive")
	d.must("upload-keys")
	d.state("host1", "there-key.service", "active")
	d.state("host1", "late-key.service", "active")
	if got := d.on("host1", "pgrep -c -x inotifywait"); got != "1" {
		t.Errorf("%s watchers run", got)
	}
	if got := d.on("host1", "systemctl list-units --all --plain --no-legend '*-key.path'"); got != "" {
		t.Errorf("left behind: %s", got)
	}
}
