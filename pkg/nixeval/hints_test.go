package nixeval

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// One or more mistakes for every row of the table, by what Nix and nixpkgs say.
func TestEveryHintIsGiven(t *testing.T) {
	cases := []struct{ about, says string }{
		{"The option `deployment.keys.foo.mode' does not exist. Definition values:", "a key has no option mode: it is permissions"},
		{"The option `deployment.keys.\"a.b\".owner' does not exist", "a key has no option owner: it is user"},
		{"The option `deployment.keys.foo.permision' does not exist", "did you mean permissions?"},
		{"The option `deployment.keys.foo.xyzzy' does not exist", "there are name, text, keyFile"},
		{"The option `deployment.tags' does not exist", "there is no deployment.tags outside of a hive by itself: import nixosModules.default"},
		{"The option `deployment' does not exist", "import nixosModules.default"},
		{"The option `deployment.tag' does not exist", "there is no deployment.tag: it is tags"},
		{"The option ‘deployment.targetHots’ does not exist", "did you mean targetHost?"},
		{"The option `allowAplyAll' does not exist\nwhile evaluating the hive's meta", "there is no meta.allowAplyAll: did you mean allowApplyAll?"},
		{"The option `pkgs' does not exist\nwhile evaluating the hive's meta", "there is no meta.pkgs: it is nixpkgs"},
		{"The option `deployment.targetEnv' does not exist", "there is no deployment.targetEnv: NixOps makes machines with it; leave it out"},
		{"The option `inputs.nixpkgs' does not exist", "inherit inputs;"},
		{"infinite recursion encountered\ncolmena-go: while asking for nodes.a.config", "nodes.NODE.config"},
		{"infinite recursion encountered\nwhile evaluating the module argument `pkgs' in \"x\"", "imports = [ ./FILE ];"},
		{"A definition for option `machinesFile' is not of type `null or path'", "as in ./machines"},
		{"The option `specialArgs' does not exist", "meta.specialArgs for all nodes"},
		{"The option `nodeSpecialArgs' does not exist", "meta.nodeSpecialArgs.NODE"},
		{"The option `modules' does not exist", "modules go into imports"},
		{"The option `keys.k.text' does not exist", "it is deployment.keys"},
		{"The option `targetHost' does not exist", "it is deployment.targetHost"},
		{"The option `meta.nixpkgs' does not exist", "beside the nodes"},
		{"infinite recursion encountered\nfrom call site\nwhile evaluating the module argument `foo' in \"x\"", "meta.specialArgs = { inherit foo; };"},
		{"attribute 'inputs' missing\nwhile evaluating the module argument `inputs' in \"/x.nix\"", "inherit inputs;"},
		{"attribute 's3cret' missing\nwhile evaluating the module argument `inputs' in \"/x.nix\"", "inherit inputs;"},
		{"'a' at /h.nix:1:49 called with unexpected argument 'name'", "`{ lib, ... }:`"},
		{"A definition for option `deployment.keys.k.keyCommand' is not of type `null or (list of string)'", "a list of words"},
		{"A definition for option `deployment.keys.k.keyFile' is not of type `null or path'", "absolute path, in quotes"},
		{"A definition for option `deployment.keys.k.permissions' is not of type `string'", `"0640"`},
		{"attribute 'currentSystem' missing", "no builtins.currentSystem: write the value itself, or pass --impure"},
		{"undefined variable 'inputs'", "meta.specialArgs = { inherit inputs; };"},
		{"undefined variable 'nixpkgs'", "arguments of the flake's `outputs`"},
		{"undefined variable 'pkgs'", "add it to the module's arguments, as in `{ pkgs, ... }:`"},
		{"undefined variable 'mkForce'", "it is lib.mkForce: add lib to"},
		{"undefined variable 'system'", "pkgs.stdenv.hostPlatform.system"},
		{"undefined variable 'hunter2'", "text needs quotes"},
		{"file 'nixpkgs' was not found in the Nix search path (add it using $NIX_PATH or -I)", "set meta.nixpkgs"},
		{"cannot look up '<nixpkgs>' in pure evaluation mode (use '--impure' to override)", "import nixpkgs { system"},
		{"access to absolute path '/etc/x' is forbidden in pure eval mode (use '--impure' to override)", "a flake sees only what is in it"},
		{"a 'aarch64-linux' with features {} is required to build '/nix/store/x.drv'", "meta.machinesFile"},
		{"Cannot build '/nix/store/x.drv'.\nReason: platform mismatch\nRequired system: 'aarch64-linux'\nCurrent system: 'x86_64-linux'", "cannot build for aarch64-linux: name a builder in meta.machinesFile"},
		{"path URL 'path:.?dir=x' has unsupported parameter 'dir'", "PATH?dir=FOLDER"},
		{"error: unrecognised flag '--apply'", "Nix 2.8 or newer"},
		{"error: 'eval' is not a recognised command", "Nix 2.8 or newer"},
	}
	given := map[string]bool{}
	for _, c := range cases {
		message, hint, _ := strings.Cut(withHints("message", c.about), "\nhint: ")
		if message != "message" || !strings.Contains(hint, c.says) {
			t.Errorf("%s\nhas the hint %q, want %q", c.about, hint, c.says)
		}
		for _, h := range hints {
			if h.pattern.MatchString(c.about) {
				given[h.text] = true
				break
			}
		}
	}
	for _, h := range hints {
		if !given[h.text] {
			t.Errorf("no mistake leads to the hint %q", h.text)
		}
	}
	for _, about := range []string{"attribute 'foo' missing", "Failed assertions:\n- The option `mode' does not exist", "syntax error, unexpected end of file", "The option `services.ngnix.enable' does not exist", "The option `networking.hostNam' does not exist"} {
		if got := withHints("message", about); got != "message" {
			t.Errorf("%s has %q", about, got)
		}
	}
}

func TestNoNameThatIsShownIsTakenForText(t *testing.T) {
	for _, name := range strings.Split("lib pkgs config options inputs self nixpkgs name nodes modulesPath system specialArgs types utils mkIf", " ") {
		if !commonNames.MatchString(name) {
			t.Errorf("%s is not shown", name)
		}
		if got := withHints("", "undefined variable '"+name+"'"); strings.Contains(got, "quotes") || !strings.Contains(got, "arguments") {
			t.Errorf("%s has%s", name, got)
		}
	}
}

func TestHintsKnowEveryOption(t *testing.T) {
	text, err := os.ReadFile("../../nix/options.nix")
	if err != nil {
		t.Fatal(err)
	}
	known := slices.Concat(keyOptions, deploymentOptions, metaOptions, []string{"path"}) // path is internal
	found := map[string]bool{}                                                           // those of keys and of directories have names in common
	for _, option := range regexp.MustCompile(`(?m)^ +(\w+) = mkOption`).FindAllStringSubmatch(string(text), -1) {
		found[option[1]] = true
		if !slices.Contains(known, option[1]) {
			t.Errorf("hints do not know the option %s", option[1])
		}
	}
	for _, option := range known {
		if !found[option] {
			t.Errorf("hints know the option %s, which is none", option)
		}
	}
}
