package nixeval

import (
	"os"
	"strings"
	"testing"
)

// A configuration of a flake with options below deployment gets those of ours
// that it lacks, and the units of keys unless it has them.
func TestConfigurationsMayDeclareDeploymentThemselves(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile("../../nix/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	clash := `{ environment.etc.k.text = "x"; deployment.keys.k = { text = "v"; destDir = "/etc"; }; }` // which keys.nix refuses
	theirs := "((" + read("options.nix") + ") { quickSubmodule = " + read("quick-submodule.nix") + "; }).deployment"
	ours := "((" + read("keys.nix") + ") { scriptText = name: name; })"
	path := `{ systemd.paths.k-key.pathConfig.PathExists = "/etc/k"; }`
	own := func(option string) string {
		return "({ lib, ... }: { options." + option + " = lib.mkOption { default = { }; }; }) { networking.hostName = \"w\"; }"
	}
	for _, c := range []struct {
		name, modules string
		says          []string // of the error; none without one
	}{
		{"none", "", nil},
		{"none, but keys", clash, []string{"The option `deployment' does not exist", "hint: import nixosModules.default"}},
		{"Colmena's", theirs + clash, []string{"leads to /etc/k"}},
		{"Colmena's with its units", theirs + path + clash, nil},
		{"ours with its units", theirs + ours + `{ deployment.keys.k.text = "v"; }`, nil},
		{"another", own("deployment.environment") + `{ deployment.environment = "prod"; }`, nil},
		{"another, and keys", own("deployment.environment") + clash, []string{"The option `deployment.keys' does not exist", "import nixosModules.default"}},
		{"another of the name keys", own("deployment.keys"), []string{`node "web"`, "declares the option deployment.keys itself", "rename it"}},
		{"others below the name keys", own("deployment.keys.path"), []string{"declares the option deployment.keys itself"}},
		{"another of the name deployment", own("deployment"), []string{"declares the option deployment itself"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			source := flake(t, `nixosConfigurations.web = nixpkgs.lib.nixosSystem { system = "x86_64-linux"; specialArgs.name = "web";
				modules = [ { boot.loader.grub.enable = false; fileSystems."/".device = "/dev/vda1"; system.stateVersion = "26.05"; } `+c.modules+` ]; };`)
			_, err := evalSource(t, source, "", Request{Keys: true, Toplevel: true})
			if (err != nil) != (c.says != nil) {
				t.Errorf("%v", err)
			}
			for _, word := range c.says {
				if err != nil && !strings.Contains(err.Error(), word) {
					t.Errorf("%v\ndoes not say %q", err, word)
				}
			}
		})
	}
}

func TestWhatIsNoConfigurationIsToldAsThat(t *testing.T) {
	for outputs, says := range map[string]string{
		`nixosConfigurations.web = { pkgs, ... }: { };`: "nixosConfigurations.web is a function, as a module is: make it with",
		`nixosConfigurations.web.modules = [ ];`:        "nixosConfigurations.web is not what nixosSystem returns: make it with",
		`nixosConfigurations.aarch64-linux.pi = nixpkgs.lib.nixosSystem { system = "aarch64-linux"; modules = [ ]; };`: "nixosConfigurations has an attribute aarch64-linux: configurations are not made for each system",
	} {
		if _, err := evalSource(t, flake(t, outputs), "", Request{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", outputs, err)
		}
	}
}
