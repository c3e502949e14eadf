// Package flake_test runs the flake as a user would, offline: with a stand-in
// for nixpkgs that builds the program for real.
package flake_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/version"
	"github.com/colmena-go/colmena-go/tests/nixenv"
)

// setUp copies what git tracks, and a nixpkgs that knows this machine's Go.
func setUp(t *testing.T) (project, nixpkgs string) {
	t.Helper()
	dir := t.TempDir()
	project, nixpkgs = filepath.Join(dir, "colmena-go"), filepath.Join(dir, "nixpkgs")
	out, err := exec.Command("sh", "-euc", `cd ../..
mkdir "$1" "$2"
git ls-files --cached --others --exclude-standard >"$1.list"
tar -c --ignore-failed-read -T "$1.list" 2>/dev/null | tar -x -C "$1"
sed "s|@modcache@|$(go env GOMODCACHE)|; s|@gocache@|$(go env GOCACHE)|; s|/usr/local/go/bin|$(go env GOROOT)/bin|" tests/flake/nixpkgs/flake.nix >"$2/flake.nix"
cp tests/flake/nixpkgs/image.nix "$2"
go mod download`, "sh", project, nixpkgs).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return project, nixpkgs
}

func nix(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("nix", args...)
	cmd.Dir, cmd.Env = dir, nixenv.Env(t)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestNixRunDeploy(t *testing.T) {
	project, nixpkgs := setUp(t)
	hive := t.TempDir()
	if err := os.WriteFile(hive+"/hive.nix", []byte(`{ meta.nixpkgs = import `+nixenv.Nixpkgs(t)+` { }; alone.deployment.targetHost = null; }`), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(app string, args ...string) string {
		t.Helper()
		all := append([]string{"run", "path:" + project + app, "--override-input", "nixpkgs", "path:" + nixpkgs, "--no-write-lock-file", "--"}, args...)
		out, err := nix(t, hive, all...)
		if err != nil {
			t.Fatalf("nix run %s %v: %v\n%s", app, args, err, out)
		}
		return out
	}
	if out := run("#deploy", "--json", "push"); !strings.Contains(out, `"goal": "push"`) || !strings.Contains(out, `"skipped"`) {
		t.Errorf("deploy does not apply: %s", out)
	}
	if out := run("#deploy", "upload-keys", "--on", "alone"); !strings.Contains(out, "skipped") {
		t.Errorf("deploy upload-keys: %s", out)
	}
	if out := run("", "--version"); !strings.Contains(out, "colmena-go version "+version.Number) {
		t.Errorf("default: %s", out)
	}
	out, err := nix(t, hive, "eval", "--raw", "path:"+project+"#packages.x86_64-linux.default.outPath", "--override-input", "nixpkgs", "path:"+nixpkgs, "--no-write-lock-file")
	built := regexp.MustCompile(`/nix/store/\S+-colmena-go-[0-9.]+`).FindString(out)
	if err != nil || built == "" {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, file := range []string{"man/man1/colmena-go.1", "bash-completion/completions/colmena-go", "zsh/site-functions/_colmena-go", "fish/vendor_completions.d/colmena-go.fish"} {
		if info, err := os.Stat(filepath.Join(built, "share", file)); err != nil || info.Size() == 0 {
			t.Errorf("the package lacks %s: %v", file, err)
		}
	}
}

// userFlake writes a flake of somebody who has this one as an input, with what
// it puts out, and returns its folder.
func userFlake(t *testing.T, outputs string) string {
	t.Helper()
	project, nixpkgs := setUp(t)
	return flakeUsing(t, "path:"+project, nixpkgs, outputs)
}

// flakeUsing is the same with the URL of the project.
func flakeUsing(t *testing.T, project, nixpkgs, outputs string) string {
	t.Helper()
	dir := t.TempDir()
	text := `{
  inputs.nixpkgs.url = "path:` + nixenv.Nixpkgs(t) + `";
  inputs.colmena-go = { url = "` + project + `"; inputs.nixpkgs.url = "path:` + nixpkgs + `"; };
  outputs = { self, nixpkgs, colmena-go }: {
    apps.x86_64-linux.deploy = colmena-go.lib.deployApp "x86_64-linux";
` + outputs + ` }; }`
	if err := os.WriteFile(dir+"/flake.nix", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// nodes of the hive of the flake in dir, as its app `deploy` lists them.
func nodes(t *testing.T, dir string) string {
	t.Helper()
	out, err := nix(t, dir, "run", ".#deploy", "--", "list", "--json")
	at := strings.Index(out, "{\n")
	if err != nil || at < 0 {
		t.Fatalf("%v\n%s", err, out)
	}
	var listed bytes.Buffer
	if err := json.Compact(&listed, []byte(out[at:])); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return listed.String()
}

func TestAFlakeUsesMakeHiveAndDeployApp(t *testing.T) {
	dir := userFlake(t, `
    colmena = throw "colmenaHive comes first";
    colmenaHive = colmena-go.lib.makeHive {
      meta = { name = "ours"; nixpkgs = nixpkgs.legacyPackages.x86_64-linux; };
      web = { deployment.targetHost = null; deployment.tags = [ "edge" ]; deployment.keys.token.text = "v"; };
    };`)
	want := `"name":"ours","description":"A colmena-go hive","nodes":[{"name":"web","targetHost":null,"targetPort":null,"targetUser":null,"tags":["edge"],"keys":["token"],`
	if got := nodes(t, dir); !strings.Contains(got, want) {
		t.Errorf("%s\nhas not %s", got, want)
	}
	// Only the app that applies takes a goal for its first word.
	out, err := nix(t, dir, "run", ".#deploy", "--", "keys", "--json")
	if err != nil || !strings.Contains(out, `"goal": "keys"`) {
		t.Errorf("deploy does not apply: %v\n%s", err, out)
	}
	if out, err := nix(t, dir, "run", ".#deploy", "--", "keys", "list"); err != nil || !strings.Contains(out, "token") {
		t.Errorf("the command keys is taken for the goal: %v\n%s", err, out)
	}
}

func TestAConfigurationOfAFlakeUsesTheModule(t *testing.T) {
	dir := userFlake(t, `
    nixosConfigurations.db = nixpkgs.lib.nixosSystem {
      system = "x86_64-linux";
      modules = [
        colmena-go.nixosModules.default
        {
          networking.hostName = "database";
          deployment.targetPort = 2222;
          deployment.keys.token = { text = "v"; user = "acme"; };
        }
      ];
    };`)
	// Without a name from a hive, the host is that of networking.hostName.
	want := `"nodes":[{"name":"db","targetHost":"database","targetPort":2222,"targetUser":"root","tags":[],"keys":["token"],`
	if got := nodes(t, dir); !strings.Contains(got, want) {
		t.Errorf("%s\nhas not %s", got, want)
	}
	// colmena-go adds the module where it is missing; a plain build does not.
	out, err := nix(t, dir, "eval", "--json", ".#nixosConfigurations.db.config", "--apply",
		"c: [ c.deployment.targetHost c.deployment.keys.token.path (c.systemd.services ? colmena-go-keys) ]")
	if err != nil || !strings.Contains(out, `["database","/run/keys/token",true]`) {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestAMachineThatDeploysHasTheProgram(t *testing.T) {
	dir := userFlake(t, `
    nixosConfigurations = nixpkgs.lib.genAttrs [ "own" "overlay" "given" ] (how: nixpkgs.lib.nixosSystem {
      system = "x86_64-linux";
      modules = [
        colmena-go.nixosModules.colmena-go
        { programs.colmena-go.enable = true; }
        {
          own.nixpkgs.overlays = [ (final: _: { inherit (colmena-go.inputs.nixpkgs.legacyPackages.x86_64-linux) buildGoModule; }) ];
          overlay.nixpkgs.overlays = [ (final: _: { inherit (colmena-go.inputs.nixpkgs.legacyPackages.x86_64-linux) buildGoModule; }) colmena-go.overlays.default ];
          given.programs.colmena-go.package = colmena-go.packages.x86_64-linux.default;
        }.${how}
      ];
    });
    found = builtins.mapAttrs (_: c: map (p: p.version or "") (builtins.filter (p: p ? outPath && nixpkgs.lib.hasInfix "-colmena-go-" p.outPath) c.config.environment.systemPackages)) self.nixosConfigurations;`)
	out, err := nix(t, dir, "eval", "--json", ".#found")
	want := `{"given":["` + version.Number + `"],"overlay":["` + version.Number + `"],"own":["` + version.Number + `"]}`
	if err != nil || !strings.Contains(out, want) {
		t.Errorf("%v\n%s\nhas not %s", err, out, want)
	}
}

func TestThePackageKnowsItsCommit(t *testing.T) {
	project, nixpkgs := setUp(t)
	for what, script := range map[string]string{
		"a commit":         `git init -q && git add -A && git -c user.name=test -c user.email=test@example.org commit -q -m test`,
		"no commit at all": `rm -rf .git`,
	} {
		commit := exec.Command("sh", "-euc", script+"; git rev-parse HEAD 2>/dev/null || :")
		commit.Dir = project
		rev, err := commit.Output()
		if err != nil {
			t.Fatal(err)
		}
		url := "path:" + project
		if len(rev) > 0 {
			url = "git+file://" + project
		}
		dir := flakeUsing(t, url, nixpkgs, `flags = toString colmena-go.packages.x86_64-linux.default.ldflags;`)
		out, err := nix(t, dir, "eval", "--raw", ".#flags")
		if want := "-X github.com/colmena-go/colmena-go/pkg/version.commit=" + strings.TrimSpace(string(rev)); err != nil || !strings.HasSuffix(out, want) {
			t.Errorf("%s: %v\n%s\ndoes not end with %s", what, err, out, want)
		}
	}
}

func TestSystemsHaveTheirKindsOfPackages(t *testing.T) {
	dir := userFlake(t, `
    static = { inherit (colmena-go.packages.x86_64-linux.static) version env; };
    image = let i = colmena-go.packages.aarch64-linux.image; in { inherit (i) tag; };
    darwin = colmena-go.packages.x86_64-darwin ? image;`)
	for attr, want := range map[string]string{
		"static": `{"env":{"CGO_ENABLED":"0"},"version":"` + version.Number + `"}`,
		"image":  `{"tag":"` + version.Number + `"}`,
		"darwin": "false",
	} {
		if out, err := nix(t, dir, "eval", "--json", ".#"+attr); err != nil || !strings.Contains(out, want) {
			t.Errorf("%v\n%s\nhas not %s", err, out, want)
		}
	}
}

// vendorHash is what buildGoModule of the real nixpkgs compares.
func TestTheVendorHashIsRight(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "vendor")
	if out, err := exec.Command("go", "mod", "vendor", "-o", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	hash, err := nix(t, ".", "hash", "path", dir)
	if err != nil {
		t.Fatal(hash)
	}
	text, err := os.ReadFile("../../nix/package.nix")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`vendorHash = "(.*)"`).FindSubmatch(text)
	if found == nil || string(found[1]) != strings.TrimSpace(hash) {
		t.Errorf("nix/package.nix: vendorHash must be %s", hash)
	}
}

func TestTheLockPinsNixpkgs(t *testing.T) {
	text, err := os.ReadFile("../../flake.lock")
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Nodes struct {
			Nixpkgs struct{ Locked, Original map[string]any }
		}
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		t.Fatal(err)
	}
	if l := lock.Nodes.Nixpkgs; l.Locked["rev"] == nil || l.Locked["narHash"] == nil || l.Original["ref"] != "release-26.05" {
		t.Errorf("%+v", l)
	}
}
