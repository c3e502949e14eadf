package nixeval

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// endless is a set that takes forever to print, as a package set does.
const endless = `(let s = { a = s; b = s; c = s; d = s; e = s; f = s; g = s; }; in s)`

func TestAnOptionThatDoesNotExistIsToldAtOnce(t *testing.T) {
	for text, says := range map[string]string{
		`{ meta.nixpgks = X; web = { }; }`:                            "there is no meta.nixpgks: did you mean nixpkgs?",
		`{ network.pkgs = X; web = { }; }`:                            "there is no meta.pkgs: it is nixpkgs",
		`{ meta.specialArg = { inputs = X; }; web = { }; }`:           "there is no meta.specialArg: did you mean specialArgs?",
		`{ meta = { ... }: { nixpgks = X; }; web = { }; }`:            "did you mean nixpkgs?",
		`{ meta.imports = [ { nixpgks = X; } ]; web = { }; }`:         "did you mean nixpkgs?",
		`{ web.specialArgs = { inputs = X; }; }`:                      "meta.specialArgs for all nodes",
		`{ web.pkgs = X; }`:                                           "the system comes with meta.nixpkgs",
		`{ defaults.inputs = X; web = { }; }`:                         "inherit inputs;",
		`{ web = [ { imports = [ { nodeNixpkgs.web = X; } ]; } ]; }`:  "beside the nodes",
		`{ defaults.imports = [ { modules = [ X ]; } ]; web = { }; }`: "modules go into imports",
	} {
		t.Run(text, func(t *testing.T) {
			source := hiveFile(t, strings.ReplaceAll(text, "X", endless))
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			err := New(Tool{}, source).Run(ctx, Part{Most: 9}, Hooks{})
			if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "in the hive") {
				t.Errorf("%v\ndoes not say %q", err, says)
			}
		})
	}
}

// It is told although <nixpkgs>, whose lib would tell, is not to be found.
func TestAMisspeltNixpkgsIsNotLookedForElsewhere(t *testing.T) {
	source := hiveFile(t, `{ meta.nixpgks = "/x"; web = { }; }`)
	t.Setenv("NIX_PATH", "")
	_, err := evaluated(t, Tool{}, source, Request{})
	if err == nil || !strings.Contains(err.Error(), "did you mean nixpkgs?") {
		t.Errorf("%v", err)
	}
}

func TestMetaForNodesThatAreNoneIsWarnedOf(t *testing.T) {
	h, err := evaluate(t, `{ meta.nodeNixpkgs.wbe = <nixpkgs>; meta.nodeSpecialArgs = { web.x = 1; bd.x = 1; }; web = { }; }`, "", Request{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"meta.nodeNixpkgs.wbe is for no node, as the hive has none of that name", "meta.nodeSpecialArgs.bd is for no node, as the hive has none of that name"}
	if !slices.Equal(h.Notes, want) {
		t.Errorf("%q, want %q", h.Notes, want)
	}
}

// Folders of users have the names of nixpkgs' own, too.
func TestTheHiveIsNoLibraryWhereverItIs(t *testing.T) {
	source := hiveFile(t, `{ web = throw "my words"; }`)
	dir := filepath.Join(filepath.Dir(source.File), "lib/pkgs")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	moved := Source{File: filepath.Join(dir, "hive.nix")}
	if err := os.Rename(source.File, moved.File); err != nil {
		t.Fatal(err)
	}
	if err := evaluateAll(t, Tool{}, moved); err == nil || !strings.Contains(err.Error(), moved.File+":1:") {
		t.Errorf("%v\ndoes not tell where", err)
	}
}
