package keyunits_test

import (
	"strings"
	"testing"
)

const etc = `"dir/a".text = "x"; tree = { target = "other"; source = ./.; }; off = { enable = false; text = "x"; };`

// A plain NixOS build meets these alone: no program is involved.
func TestTheModulesAssertionsStandOnTheirOwn(t *testing.T) {
	for keys, says := range map[string][]string{
		`a = { };`:           {`deployment.keys."a": exactly one`},
		`"a\nb".text = "v";`: {"control characters, since a unit"},
		`"a${builtins.concatStringsSep "" (builtins.genList (_: "é") 31)}".text = "v";`:                {"too long for a unit's"},
		`a = { text = "v"; name = "x/y"; };`:                                                           {`deployment.keys."a".name must be a file name`},
		`a = { text = "v"; name = ".."; };`:                                                            {`deployment.keys."a".name must be a file name`},
		`a = { text = "v"; destDir = "/a/../b"; };`:                                                    {`deployment.keys."a".destDir must be`},
		`a = { text = "v"; name = ".colmena-go.x"; };`:                                                 {`deployment.keys."a".name must be a file name`},
		`a = { text = "v"; destDir = "/run//colmena-go/x"; };`:                                         {`deployment.keys."a".destDir is no place for keys`},
		`a = { text = "v"; destDir = "/run/colmena-go-keys"; };`:                                       {`deployment.keys."a".destDir is no place for keys`},
		`a = { text = "v"; destDir = "/srv/.colmena-go.x"; };`:                                         {`deployment.keys."a".destDir is no place for keys`},
		`a = { text = "v"; destDir = "/var/lib/colmena-go"; };`:                                        {`deployment.keys."a".destDir is no place for keys`},
		`a = { text = "v"; fingerprint = ""; };`:                                                       {`deployment.keys."a".fingerprint must be`},
		`a = { text = "v"; fingerprint = "a\nb"; };`:                                                   {`deployment.keys."a".fingerprint must be`},
		`a = { text = "v"; environment."A=B" = ""; };`:                                                 {`deployment.keys."a".environment must have`},
		`a = { text = "v"; environment.COLMENA_GO_NODE = ""; };`:                                       {`deployment.keys."a".environment must have`},
		`a = { text = "v"; environment."" = ""; };`:                                                    {`deployment.keys."a".environment must have`},
		`a = { text = "v"; keyTimeout = 3000000; };`:                                                   {`deployment.keys."a".keyTimeout must be`},
		`a = { text = "v"; group = "a:b"; };`:                                                          {`deployment.keys."a".user and .group`},
		`a.text = "v"; b = { text = "v"; name = "a"; };`:                                               {`"a" leads to /run/keys/a, as do the keys b`, `"b" leads to /run/keys/a, as do the keys a`},
		`a = { text = "v"; destDir = "/etc//dir"; };`:                                                  {`"a" leads to /etc//dir/a, where the activation puts environment.etc."dir/a": choose`},
		`a = { text = "v"; destDir = "/etc/other/x"; };`:                                               {`puts environment.etc."tree": choose`},
		`a = { text = "v"; name = "dir"; destDir = "/etc"; };`:                                         {`puts environment.etc."dir/a": choose`},
		`a = { text = "v"; permissions = "8"; user = "a:b"; };`:                                        {`- deployment.keys."a".permissions must be`, `- deployment.keys."a".user and`},
		`a.text = "v"; }; deployment.keyDirectories = { "/a/../b" = { }; "c" = { }; `:                  {`deployment.keyDirectories."/a/../b" must be`, `deployment.keyDirectories."c" must be`},
		`a.text = "v"; }; deployment.keyDirectories = { "/run//keys/" = { }; "/" = { }; `:              {`keyDirectories."/run//keys/" is made by NixOS`, `keyDirectories."/" is made by NixOS`},
		`a.text = "v"; }; deployment.keyDirectories = { "/nix/store" = { }; "/b" = { }; "//b" = { }; `: {`keyDirectories."/nix/store" is no place`, `keyDirectories."//b" is set twice`},
		`a.text = "v"; }; deployment.keyDirectories."/b" = { permissions = "8"; user = "a:b"; `:        {`keyDirectories."/b".permissions must be`, `keyDirectories."/b".user and`},
	} {
		_, stderr, err := evaluated(t, "nix-instantiate", "{ environment.etc = { "+etc+" }; deployment.keys = { "+keys+" }; }", "system.build.toplevel.drvPath", "--eval")
		for _, want := range says {
			if err == nil || !strings.Contains(stderr, want) {
				t.Errorf("%s: %v, %s\nlacks %s", keys, err, stderr, want)
			}
		}
	}
}

func TestAKeyMayLieBesideFilesOfEtc(t *testing.T) {
	module := "{ environment.etc = { " + etc + ` }; deployment.keys = { off = { text = "v"; destDir = "/etc"; }; tree = { text = "v"; destDir = "/etc"; }; ab = { text = "v"; destDir = "/etc/dir"; }; }; }`
	if _, stderr, err := evaluated(t, "nix-instantiate", module, "system.build.toplevel.drvPath", "--eval"); err != nil {
		t.Errorf("%v, %s", err, stderr)
	}
}

func TestWhatIsNoUnitCannotWaitForKeys(t *testing.T) {
	for _, list := range []string{
		`restartUnits = [ "a b" ];`, `reloadUnits = [ "ok.timer" "-M" ];`, `reloadUnits = [ "mail@.service" ];`, `reloadUnits = [ "x*" ];`,
		`restartUnits = [ "" ];`, `restartUnits = [ "a\nb" ];`, `restartUnits = [ "$(id)" ];`, `restartUnits = [ "a/b" ];`,
	} {
		_, stderr, err := evaluated(t, "nix-instantiate", `{ deployment.keys.a = { text = "v"; `+list+` }; }`, "system.build.toplevel.drvPath", "--eval")
		if err == nil || !strings.Contains(stderr, `deployment.keys."a".restartUnits and .reloadUnits must be`) {
			t.Errorf("%s: %v, %s", list, err, stderr)
		}
	}
}

func TestUnitsOfAnyNameMayWaitForKeys(t *testing.T) {
	const module = `{ deployment.keys.a = { text = "v"; restartUnits = [ "nginx" "mail@a-b.service" "web.socket" ]; reloadUnits = [ "a\\x2db.mount" "foo.bar" ":_" ]; }; }`
	if _, stderr, err := evaluated(t, "nix-instantiate", module, "system.build.toplevel.drvPath", "--eval"); err != nil {
		t.Errorf("%v, %s", err, stderr)
	}
}
