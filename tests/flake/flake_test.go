// Package flake_test runs the flake as a user would, offline: with a stand-in
// for nixpkgs that builds the program for real.
package flake_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

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
sed "s|@modcache@|$(go env GOMODCACHE)|; s|/usr/local/go/bin|$(go env GOROOT)/bin|" tests/flake/nixpkgs/flake.nix >"$2/flake.nix"
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
	if out := run("", "--version"); !strings.Contains(out, "colmena-go") {
		t.Errorf("default: %s", out)
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
