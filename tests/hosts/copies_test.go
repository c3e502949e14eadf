package hosts_test

import (
	"strings"
	"testing"
)

// Between the copy and the activation, the host collects garbage: a keyCommand runs
// then, and has it do so.
func TestTheHostsGarbageCollectorLeavesWhatIsOnItsWay(t *testing.T) {
	for name, where := range map[string]string{"copied": "false", "built there": "true"} {
		d := deploying(t, 1)
		d.on("host1", "nix-collect-garbage >/dev/null 2>&1")
		d.hive(`{
  host1 = {
    deployment.buildOnTarget = ` + where + `;
    deployment.keys.k.keyCommand = [ "sh" "-c" "ssh -F $SSH_CONFIG_FILE host1 'nix-collect-garbage 2>&1; ls /nix/store' >collected </dev/null; echo content" ];
    environment.etc.fresh.text = "${toString builtins.currentTime} ${./hive.nix}";
  };
}`)
		garbage := d.on("host1", "nix-store --add /etc/hostname")
		o := d.must("apply")
		d.has("host1", "/run/keys/k", "content\n", "root root 600")
		collected := d.read("collected")
		base := func(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
		if !strings.Contains(collected, "store paths deleted") || strings.Contains(collected, "\n"+base(garbage)+"\n") {
			t.Fatalf("%s: nothing was collected, so this shows nothing:\n%s", name, collected)
		}
		if got := d.on("host1", "readlink /run/current-system"); got != o.toplevel(t, "host1") || !strings.Contains(collected, "\n"+base(got)+"\n") {
			t.Errorf("%s: the host runs %s; its store was\n%s", name, got, collected)
		}
		d.nothingKept("host1")
		if !strings.Contains(o.stderr, "host1 | copied ") || !strings.Contains(o.stderr, " paths") {
			t.Errorf("%s: it is not told what was copied:\n%s", name, o.stderr)
		}
	}
}
