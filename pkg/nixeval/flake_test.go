package nixeval

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/tests/nixenv"
)

// flake writes a flake in a folder with an awkward name; outputs is the
// function's body, which finds nixpkgs (a flake) and pkgs.
func flake(t *testing.T, outputs string) Source {
	t.Helper()
	return flakeIn(t, "my hive #1", outputs)
}

func flakeIn(t *testing.T, name, outputs string) Source {
	t.Helper()
	nixpkgs := nixenv.Use(t)
	if _, err := os.Stat(nixpkgs + "/flake.nix"); err != nil {
		t.Skip("the nixpkgs in use is no flake")
	}
	dir := filepath.Join(t.TempDir(), name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`{
		inputs.nixpkgs.url = "path:%s";
		outputs = { self, nixpkgs }: let pkgs = nixpkgs.legacyPackages.x86_64-linux; in { %s };
	}`, nixpkgs, outputs)
	if err := os.WriteFile(filepath.Join(dir, "flake.nix"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return Source{Flake: ".", Dir: dir}
}

// raw is a hive for the output colmena.
const raw = `{ meta.nixpkgs = pkgs; web = { deployment.tags = [ "%s" ]; deployment.keys.k.text = "v"; }; }`

func TestTheFirstOutputWithAHiveIsDeployed(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	ours := fmt.Sprintf("colmenaHive = (import %s/nix/eval.nix { }).makeHive { } %s;", root, fmt.Sprintf(raw, "ours"))
	plain := "colmena = " + fmt.Sprintf(raw, "plain") + ";"
	theirs := `colmenaHive = { __schema = "v0.5"; metaConfig = { name = "t"; description = ""; machinesFile = null; allowApplyAll = true; };
		nodes.web = nixpkgs.lib.nixosSystem { system = "x86_64-linux"; specialArgs.name = "web"; modules = [ ` +
		"(import " + root + `/nix/options.nix { }).deployment { deployment.tags = [ "theirs" ]; } ]; }; };`
	systems := `nixosConfigurations.web = nixpkgs.lib.nixosSystem { system = "x86_64-linux"; modules = [ { networking.hostName = "w"; } ]; };`
	shadow := `packages.x86_64-linux.colmena = pkgs.writeText "colmena" "the program"; legacyPackages.x86_64-linux.colmenaHive = pkgs.writeText "x" "y";`
	cases := []struct{ name, outputs, want string }{
		{"colmenaHive of ours", ours + plain, "ours"},
		{"colmena", plain, "plain"},
		{"colmena rather than Colmena's colmenaHive", theirs + plain, "plain"},
		{"Colmena's colmenaHive alone", theirs, "theirs"},
		{"nixosConfigurations", systems, ""},
		{"a package named colmena is not the hive", shadow + plain, "plain"},
		{"a function", "colmena = { }: " + fmt.Sprintf(raw, "called") + ";", "called"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			// Store paths that are not inputs are out of reach of a pure evaluation.
			tool := Tool{Impure: strings.Contains(c.outputs, root)}
			source := flake(t, c.outputs)
			h, err := evaluated(t, tool, source, Request{Keys: true, Announce: true})
			if err != nil {
				t.Fatal(err)
			}
			if strings.Count(h.announced, `"name":"web"`) != 1 {
				t.Errorf("announced is %s, want web once", h.announced)
			}
			if got := tag(h, "web"); got != c.want {
				t.Errorf("the tag is %q, want %q", got, c.want)
			}
		})
	}
}

func TestAFlakeThatCannotBeDeployedIsExplained(t *testing.T) {
	cases := []struct{ name, outputs, says string }{
		{"no hive at all", "x = 1;", "colmenaHive, colmena and nixosConfigurations"},
		{"no nixpkgs", "colmena = { web = { }; };", "meta.nixpkgs must be set"},
		{"nixpkgs not initialized", "colmena = { meta.nixpkgs = nixpkgs; web = { }; };", "initialize it"},
		{"nixpkgs as a function", "colmena = { meta.nixpkgs = import nixpkgs; web = { }; };", "initialize it"},
		{"a hive for each system", "colmena.x86_64-linux = { meta.nixpkgs = pkgs; web = { }; };", "a hive is not made for each system"},
		{"one made for each system", "colmenaHive.x86_64-linux = { };", "has an attribute x86_64-linux"},
		{"a secret without quotes", "colmena = { meta.nixpkgs = pkgs; web.deployment.keys.k.text = s3cret; };", "undefined variable [not shown]"},
		{"a syntax error beside a secret", "colmena = { web.deployment.keys.k.text = \"s3cret\" };", "syntax error"},
		{"a value beside a secret", "colmena = { meta.nixpkgs = pkgs; web.deployment.keys.k.text = \"s3cret\" + 1; };", "cannot"},
		{"JSON beside outputs", "colmena = { meta.nixpkgs = pkgs; } // builtins.fromJSON \"{ s3cret }\";", "parse error"},
		{"a throw with a secret in a key", "colmena = { meta.nixpkgs = pkgs; web.deployment.keys.k.text = throw (\"s3\" + \"cret\"); };", "deployment.keys.k.text"},
		{"an evaluated hive as colmena", `colmena = { __schema = "v0.5"; };`, "colmenaHive"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := evalSource(t, flake(t, c.outputs), "", Request{Keys: true})
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v\ndoes not say %q", err, c.says)
			}
			if err != nil && strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v\nshows a secret", err)
			}
		})
	}
	if _, err := evalSource(t, flake(t, "x = 1;"), "", Request{}); !errors.Is(err, ErrNoOutput) {
		t.Errorf("%v, want ErrNoOutput", err)
	}
}

func TestAFileThatGitDoesNotTrackIsNamed(t *testing.T) {
	// Nix itself takes no git folder with a space in its name.
	source := flakeIn(t, "hive", "colmena = { meta.nixpkgs = pkgs; web = ./web.nix; };")
	git := exec.Command("sh", "-ec", `git init -q && git add flake.nix && echo '{ }' >web.nix`)
	git.Dir = source.Dir
	if out, err := git.CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	_, err := evalSource(t, source, "", Request{})
	if err == nil || !strings.Contains(err.Error(), "git add") || !strings.Contains(err.Error(), "web.nix") {
		t.Errorf("%v\ndoes not say to git add web.nix", err)
	}
}

// told is a node that learns of its nixpkgs as those of today's NixOS do.
const told = `{ lib, config, ... }: {
	options.nixpkgs.flake.source = lib.mkOption { type = lib.types.nullOr (lib.types.either lib.types.str lib.types.path); default = null; };
	options.system.nixos.revision = lib.mkOption { type = lib.types.nullOr lib.types.str; default = null; };
	options.system.nixos.versionSuffix = lib.mkOption { type = lib.types.str; default = "pre-git"; };
	config.deployment.tags = [ (toString config.nixpkgs.flake.source) (toString config.system.nixos.revision) config.system.nixos.versionSuffix ];
	config.environment.etc.nixpkgs.text = toString config.nixpkgs.flake.source;
}`

// As lib.nixosSystem of nixpkgs' flake has it, which hives do not go through.
func TestNodesOfAFlakeKnowTheirNixpkgs(t *testing.T) {
	const node = told
	const versioned = `nixpkgs.legacyPackages.x86_64-linux // { lib = nixpkgs.lib // { trivial = nixpkgs.lib.trivial // { revisionWithDefault = _: "abc"; versionSuffix = ".2026.abc"; }; }; }`
	for name, c := range map[string]struct{ outputs, want string }{
		"of an import":          {`colmena = { meta.nixpkgs = import nixpkgs { system = "x86_64-linux"; }; web = ` + node + "; };", `^/nix/store/[^/ ]*-source  pre-git$`},
		"of legacyPackages":     {`colmena = { meta.nixpkgs = ` + versioned + "; web = " + node + "; };", `^/nix/store/[^/ ]*-source abc \.2026\.abc$`},
		"unless it says so":     {`colmena = { meta.nixpkgs = ` + versioned + "; web = { imports = [ (" + node + `) ]; nixpkgs.flake.source = null; system.nixos.revision = "mine"; }; };`, `^ mine \.2026\.abc$`},
		"or has no such option": {`colmena = { meta.nixpkgs = pkgs; web.deployment.tags = [ "t" ]; };`, `^t$`},
	} {
		h, err := evalSource(t, flake(t, c.outputs), "", Request{Toplevel: true})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := tag(h, "web"); !regexp.MustCompile(c.want).MatchString(got) {
			t.Errorf("%s: %q, want %s", name, got, c.want)
		}
	}
	// A file is evaluated as ever: its nixpkgs may be no flake.
	h, err := evaluate(t, "{ web = "+node+"; }", "", Request{})
	if err != nil || tag(h, "web") != "  pre-git" {
		t.Errorf("%v: %v", err, h)
	}
}

// On a host `nix run nixpkgs#x` finds it without a network, and no sweep of the
// store takes it away.
func TestTheNixpkgsOfAFlakeGoesToTheHostWithTheSystem(t *testing.T) {
	const module = `{ imports = [ (` + told + `) ]; fileSystems."/".device = "/dev/vda1"; boot.loader.grub.enable = false; system.stateVersion = "26.05"; }`
	with := func(pkgs string) string { return "colmena = { meta.nixpkgs = " + pkgs + "; web = " + module + "; };" }
	for name, c := range map[string]struct {
		tool     Tool
		pkgs     string
		noSource bool
		goes     bool
	}{
		"of the flake":                  {Tool{}, "pkgs", false, true},
		"if Nix does not have it there": {Tool{}, "pkgs", true, false},
		"from elsewhere":                {Tool{Impure: true}, "import (/. + " + `"` + nixenv.Use(t) + `"` + ") { system = builtins.currentSystem; }", false, false},
		"from a folder of the store":    {Tool{}, `pkgs // { path = "${nixpkgs}/lib/.."; }`, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			e := New(c.tool, flake(t, with(c.pkgs)))
			if c.noSource {
				e.found = &found{output: outputs[1], noSource: true}
			}
			h, err := all(t, e, Part{Request: Request{Toplevel: true}, Most: 1})
			if err != nil {
				t.Fatal(err)
			}
			top := h.Nodes[0].Toplevel
			if err := (Tool{}).Realise(t.Context(), []string{top.DrvPath + "!out"}, nil); err != nil {
				t.Fatal(err)
			}
			closure, err := exec.Command("nix-store", "-qR", top.OutPath).Output()
			if err != nil {
				t.Fatal(err)
			}
			source, _, _ := strings.Cut(tag(h, "web"), " ")
			if (source != "") != c.goes || (source != "" && strings.Contains(string(closure), source+"\n")) != c.goes {
				t.Errorf("the node learns of %q; its closure:\n%s", source, closure)
			}
		})
	}
}

// Some versions of Nix copy inputs into the store only when they have to.
func TestANixpkgsThatIsNotInTheStoreIsNotTold(t *testing.T) {
	const line = `@nix {"action":"msg","level":0,"msg":"error: x","raw_msg":"path '/nix/store/00000000000000000000000000000000-source' is not valid"}`
	calls := nixenv.StandIn(t, aNode)
	script := fmt.Sprintf("#!/bin/sh\nfor a; do case $a in *'flakeSource = true'*) echo %q >&2; exit 1;; esac; done\nexec \"${0%%/*}/nix-store\" \"$@\"\n", line)
	dir, _, _ := strings.Cut(os.Getenv("PATH"), ":")
	if err := os.WriteFile(dir+"/nix", []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := evaluateAll(t, Tool{}, inFlake); err != nil {
		t.Errorf("%v after %q", err, calls())
	}
}

// What comes at the end comes in JSON inside of JSON.
func TestATextOfAFlakeIsItselfOrAnError(t *testing.T) {
	for text, says := range map[string]string{"a\"b\\c\n\t\x01${x}é\u2028\\u0041\\": "", "pa\xffss": hive.BadText} {
		source := flake(t, `colmena = { meta.nixpkgs = pkgs; web.deployment.keys.k.text = builtins.readFile ./key; };`)
		if err := os.WriteFile(filepath.Join(source.Dir, "key"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var node hive.Node
		var wrong error
		part := Part{Request: Request{Keys: true}, Texts: true, Only: []string{"web"}, Most: 1}
		err := New(Tool{}, source).Run(t.Context(), part, Hooks{Done: func(text []byte) { node, wrong = hive.DecodeNode(text) }})
		if says != "" {
			if err = errors.Join(err, wrong); err == nil || !strings.Contains(err.Error(), `node "web": deployment.keys."k".text `+says) {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		if err != nil || wrong != nil || string(node.Keys[0].Text.Reveal()) != text {
			t.Errorf("%q: %v, %v, %q", text, err, wrong, node.Keys[0].Text.Reveal())
		}
	}
}

// A secret that nix eval returns must stay in no cache of Nix.
func TestTextsOfAFlakeStayOutOfNixsCaches(t *testing.T) {
	const planted = "plantedSecretOfAFlake"
	source := flake(t, `colmena = { meta.nixpkgs = pkgs; web.deployment.keys.k.text = "planted" + "SecretOfAFlake"; };`)
	h, err := evaluated(t, Tool{}, source, Request{Keys: true})
	if err != nil || !strings.Contains(h.texts, planted) {
		t.Fatalf("%v: the secret does not even arrive", err)
	}
	cache := os.Getenv("XDG_CACHE_HOME")
	if found, _ := exec.Command("grep", "-rlaF", planted, cache, source.Dir).Output(); len(found) > 0 {
		t.Errorf("the secret is in %s", found)
	}
	if err := os.WriteFile(cache+"/planted", []byte(planted), 0o600); err != nil {
		t.Fatal(err)
	}
	if found, _ := exec.Command("grep", "-rlaF", planted, cache).Output(); len(found) == 0 {
		t.Error("the search finds nothing at all")
	}
}

// Traces go where logs go. A text comes only for who asks for it.
func TestNoTextOfAFlakeIsInATrace(t *testing.T) {
	source := flake(t, `colmena = { meta.nixpkgs = pkgs; web.deployment.keys.k.text = "planted" + "Secret"; };`)
	h, err := all(t, New(Tool{}, source), Part{Request: Request{Keys: true, Announce: true}, Most: 10})
	if err != nil || nodeNames(h) != "web" || !h.Nodes[0].Keys[0].TextLater {
		t.Fatalf("%v; %+v", err, h.Nodes)
	}
	if strings.Contains(h.texts+h.announced, "plantedSecret") {
		t.Errorf("%s\n%s", h.announced, h.texts)
	}
}

// nixpkgs has files of its own in such a folder, where nobody looks for a mistake.
func TestAFlakesOwnLibIsNotTakenForThatOfNixpkgs(t *testing.T) {
	source := flake(t, `colmena = { meta.nixpkgs = pkgs; web.imports = [ ./lib/way.nix ]; };`)
	if err := os.Mkdir(filepath.Join(source.Dir, "lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(source.Dir, "lib", "way.nix"), []byte("{ nodes, ... }: {\ndeployment.targetHost = nodes.webb.config.networking.hostName; }"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := evalSource(t, source, "", Request{})
	if err == nil || !strings.Contains(err.Error(), "attribute 'webb' missing (did you mean web?) at ") || !strings.Contains(err.Error(), "/lib/way.nix:2:") {
		t.Errorf("%v", err)
	}
}
