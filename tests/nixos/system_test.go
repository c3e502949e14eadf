package nixos_test

import (
	"os"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/tests/nixenv"
)

// evaluated is a value of a module's system, as JSON.
func evaluated(tb testing.TB, module, attr string) (json, stderr string, err error) {
	tb.Helper()
	return run(tb, "nix-instantiate", "--eval", "--strict", "--json", "-E", systemExpr(tb, module)+"."+attr)
}

func TestASystemIsOneStorePathWithWhatADeploymentRuns(t *testing.T) {
	toplevel := system(t, `{ environment.systemPackages = [ pkgs.hello ]; }`)
	for _, file := range []string{"activate", "dry-activate", "bin/switch-to-configuration", "sw/bin/hello",
		"etc/systemd/system/sysinit-reactivation.target", "etc/hostname", "nixos-version", "system"} {
		if _, err := os.Stat(toplevel + "/" + file); err != nil {
			t.Error(err)
		}
	}
}

func TestTheSameModulesGiveTheSameSystem(t *testing.T) {
	const module = `{ users.users.u = { isNormalUser = true; }; systemd.services.s.script = "true"; }`
	if a, b := system(t, module), system(t, module); a != b {
		t.Errorf("%s and %s", a, b)
	}
}

func TestFailedAssertionsStopTheBuildAndNameThemselves(t *testing.T) {
	_, stderr, err := evaluated(t, `{ assertions = [ { assertion = false; message = "the moon is full"; } ]; users.users.u.isSystemUser = true; }`,
		"config.system.build.toplevel.drvPath")
	if err == nil {
		t.Fatal("it evaluates")
	}
	for _, want := range []string{"Failed assertions:", "- the moon is full", "users.users.u.group is unset"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("the error lacks %q:\n%s", want, stderr)
		}
	}
}

func TestWarningsAreShown(t *testing.T) {
	_, stderr, err := evaluated(t, `{ warnings = [ "mind the gap" ]; }`, "config.system.build.toplevel.drvPath")
	if err != nil || !strings.Contains(stderr, "mind the gap") {
		t.Errorf("%v\n%s", err, stderr)
	}
}

func TestConfigurationsAnswerAsInNixpkgs(t *testing.T) {
	for name, c := range map[string]struct{ module, attr, want string }{
		"overlays compose and reach pkgs": {
			`{ nixpkgs.overlays = lib.mkBefore [ (final: prev: { said = prev.said or "" + "1"; }) ]; imports = [ { nixpkgs.overlays = [ (final: prev: { said = prev.said + "2"; }) ]; } ]; }`,
			"pkgs.said", `"12"`},
		"nixpkgs.config reaches pkgs and merges": {
			`{ nixpkgs.config = lib.mkBefore { allowUnfree = true; x.a = 1; }; imports = [ { nixpkgs.config.x.b = 2; } ]; }`,
			"pkgs.config.x", `{"a":1,"b":2}`},
		"pkgs can be given": {
			`{ nixpkgs.pkgs = import ` + nixenv.Nixpkgs(t) + ` { overlays = [ (final: prev: { mine = "m"; }) ]; }; }`,
			"pkgs.mine", `"m"`},
		"pkgs given to eval-config get the overlays of modules": {
			`{ nixpkgs.overlays = [ (final: prev: { mine = prev.hello.name; }) ]; imports = [ { nixpkgs.pkgs = import ` + nixenv.Nixpkgs(t) + ` { }; } ]; }`,
			"pkgs.mine", `"hello"`},
		"a normal user has a home and the users group": {
			`{ users.users.u.isNormalUser = true; }`,
			"config.users.users.u.home", `"/home/u"`},
		"extraGroups become members": {
			`{ users.users.u = { isNormalUser = true; extraGroups = [ "keys" ]; }; }`,
			"config.users.groups.keys", `{"gid":96,"members":["u"],"name":"keys"}`},
		"credentialsFile of a certificate is its environmentFile": {
			`{ security.acme.certs."my-site.tld".credentialsFile = "/run/keys/acme-credentials.secret"; }`,
			`config.security.acme.certs."my-site.tld".environmentFile`, `"/run/keys/acme-credentials.secret"`},
		"activation scripts run after what they depend on": {
			`{ system.activationScripts.aaa = lib.stringAfter [ "users" "zzz" ] ": a"; system.activationScripts.zzz = ": z"; }`,
			`config.system.activationScripts.aaa`, `{"deps":["users","zzz"],"supportsDryActivation":false,"text":": a"}`},
		"unit options repeat as lists": {
			`{ systemd.services.s.serviceConfig.Environment = [ "A=1" ]; imports = [ { systemd.services.s.serviceConfig.Environment = "B=2"; } ]; }`,
			`config.systemd.services.s.serviceConfig.Environment`, `["A=1","B=2"]`},
		"extendModules adds modules": {
			`{ networking.hostName = lib.mkForce "a"; }`,
			`extendModules { modules = [ { networking.domain = "d"; } ]; }).config.networking.fqdn`, `"a.d"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expr := systemExpr(t, c.module) + "." + c.attr
			if strings.HasPrefix(c.attr, "extendModules") {
				expr = "(" + expr
			}
			got, stderr, err := run(t, "nix-instantiate", "--eval", "--strict", "--json", "-E", expr)
			if err != nil {
				t.Fatalf("%v\n%s", err, stderr)
			}
			wants(t, c.attr, strings.TrimSpace(got), c.want)
		})
	}
}

func TestUnknownAndIllTypedOptionsAreNamed(t *testing.T) {
	for name, c := range map[string]struct{ module, want string }{
		"unknown": {`{ servces.nginx.enable = true; }`, "The option `servces' does not exist."},
		"nested":  {`{ systemd.services.a.scrpt = "x"; }`, "The option `systemd.services.a.scrpt' does not exist."},
		"type":    {`{ networking.hostName = 5; }`, "A definition for option `networking.hostName' is not of type `string matching the pattern"},
		"user":    {`{ users.users."a:b".isSystemUser = true; }`, "A definition for option `users.users.\"a:b\".name' is not of type `string, not containing newlines or colons'"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, stderr, err := evaluated(t, c.module, "config.system.build.toplevel.drvPath")
			if err == nil || !strings.Contains(stderr, c.want) {
				t.Errorf("the error lacks %q: %v\n%s", c.want, err, stderr)
			}
		})
	}
}

func TestAFlakeMakesSystemsWithIt(t *testing.T) {
	dir := t.TempDir()
	flake := `{ outputs = { nixpkgs, ... }: { nixosConfigurations.a = nixpkgs.lib.nixosSystem {
  system = "x86_64-linux"; modules = [ { networking.hostName = "flaked"; } ]; }; hello = nixpkgs.legacyPackages.x86_64-linux.hello; }; }`
	if err := os.WriteFile(dir+"/flake.nix", []byte(flake), 0o600); err != nil {
		t.Fatal(err)
	}
	out, stderr, err := run(t, "nix", "eval", "--raw", "--no-write-lock-file", "--override-input", "nixpkgs", "path:"+nixenv.Nixpkgs(t),
		"path:"+dir+"#nixosConfigurations.a.config.system.build.toplevel.name")
	if err != nil || !strings.HasPrefix(out, "nixos-system-flaked-") {
		t.Errorf("%q, %v\n%s", out, err, stderr)
	}
}
