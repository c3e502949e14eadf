package hosts_test

import (
	"strings"
	"testing"
)

// What eval, repl and nix-info make of a newer Nix than tests/cli has.
func TestAHiveIsAskedWithTheHostsNixToo(t *testing.T) {
	d := deploying(t, 1)
	d.ownHive(`{ web.deployment = { targetHost = "192.0.2.1"; keys.k.text = "s3cret"; }; }`)
	d.on("host1", "mkdir "+own+"/flake; cat >"+own+`/flake/flake.nix <<'FLAKE'
{
  inputs.nixpkgs.url = "path:`+own+`/nixpkgs";
  outputs = { self, nixpkgs }: {
    colmena = {
      meta.nixpkgs = import nixpkgs { system = "x86_64-linux"; };
      web.deployment = { targetHost = "192.0.2.2"; keys.k.text = "s3cret"; };
    };
  };
}
FLAKE
cd `+own+`; echo '{ nodes, ... }: {' >wrong.nix; echo '  tags = nodes.wbe; }' >>wrong.nix
echo '{ nodes, lib, ... }: lib.mapAttrs (_: node: node.config.deployment.targetHost) nodes' >hosts.nix`)
	for args, says := range map[string]string{
		"nix-info": "nix              nix (Nix) 2.",
		"eval -E '{ nodes, ... }: attrNames nodes'": `["web"]`,
		"eval hosts.nix":          `{"web":"192.0.2.1"}`,
		"eval -f flake hosts.nix": `{"web":"192.0.2.2"}`,
		"eval --instantiate -E '{ nodes, ... }: nodes.web.config.system.build.toplevel'":        "/nix/store/",
		"eval -f flake --instantiate -E '{ nodes, ... }: nodes.web.config.networking.hostName'": "neither a derivation nor",
		"eval -E '{ nodes, ... }: nodes.wbe'":                                                   "attribute 'wbe' missing (did you mean web?) at -E:1:17",
		"eval -f flake -E '{ nodes, ... }: nodes.wbe'":                                          "attribute 'wbe' missing (did you mean web?) at -E:1:17",
		"eval wrong.nix":                           "attribute 'wbe' missing (did you mean web?) at " + own + "/wrong.nix:2:10",
		"eval -f flake wrong.nix":                  "attribute 'wbe' missing (did you mean web?) at " + own + "/wrong.nix:2:10",
		"eval -E '{ nodes, ... }: nods'":           "undefined variable 'nods' at -E:1:17",
		"eval -E '{ nodes, ... }: (1'":             "syntax error, unexpected end of file",
		"eval -E '1) (2'":                          "at -E:1:2",
		"eval -E '{ nodes }: 1'":                   "let its arguments end with dots",
		"eval -E '{ lib, ... }: lib.id'":           "hint: choose what to print",
		"eval -f flake -E '_: currentTime'":        "at -E:1:4",
		"eval -f flake -E '_: import ./hosts.nix'": "--impure",
		"repl <typed":                              "192.0.2.1",
		"repl -f flake <typed":                     "192.0.2.2",
	} {
		got := d.on("host1", "cd "+own+"; echo nodes.web.config.deployment.targetHost >typed; HOME=/root NIX_PATH=nixpkgs=$PWD/nixpkgs ./colmena-go "+args+` 2>&1 || echo "exit $?"`)
		if !strings.Contains(got, says) {
			t.Errorf("%s: want %q:\n%s", args, says, got)
		}
	}
	if got := d.on("host1", "grep -rl s3cret /root/.cache 2>/dev/null || :"); got != "" {
		t.Errorf("a secret is in %s", got)
	}
}
