package hosts_test

import (
	"os"
	"strings"
	"testing"
)

func TestTheProgramOfAKeyCommandIsBuiltBeforeItRuns(t *testing.T) {
	d := deploying(t, 2)
	d.hive(`{
  host1 = { pkgs, ... }: let
    tool = pkgs.writeScript "tool" "#!/bin/sh\nexec cat \"$1\" # ${toString builtins.currentTime}\n";
    file = pkgs.writeText "file" "from the store ${toString builtins.currentTime}";
  in {
    deployment.keys.k.keyCommand = [ "${tool}" (toString ./plain) ];
    deployment.keys.f.keyFile = "${file}";
    environment.etc."tool's path".text = builtins.unsafeDiscardStringContext "${tool}";
  };
  host2.deployment.keys.k.keyCommand = [ "${derivation {
    name = "bad"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo this tool has no luck; exit 1" ];
  }}/bin/x" ];
}`)
	d.write("plain", "content")
	o := d.run("upload-keys", "--json")
	if o.code != 1 || o.results["host1"].Status != "succeeded" {
		t.Errorf("exit %d: %+v\n%s", o.code, o.results, o.stderr)
	}
	d.has("host1", "/run/keys/k", "content", "root root 600")
	if text, err := os.ReadFile(d.host("host1").Path("/run/keys/f")); err != nil || !strings.HasPrefix(string(text), "from the store") {
		t.Errorf("%q, %v", text, err)
	}
	bad := o.results["host2"]
	if bad.Status != "failed" || bad.Step != "keys" || !strings.Contains(bad.Error, `deployment.keys."k" needs`) || !strings.Contains(bad.Error, "bad.drv") {
		t.Errorf("%+v", bad)
	}
	d.untouched("host2")
}
