package nixeval

import (
	"os"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/nix"
	"github.com/colmena-go/colmena-go/tests/nixenv"
)

// aNode is what a stand-in of `nix eval` answers in the end, and aHead what one of
// nix-instantiate answers at first.
const (
	aNode = `["{\"name\":\"web\"}"]`
	aHead = `"{\"names\":[\"web\"]}"`
)

var (
	inFile  = Source{File: "/hives/hive.nix"}
	inFlake = Source{Flake: "github:acme/hive"}
)

func TestNixEvaluatesAsTheUserAskedFor(t *testing.T) {
	cores := Tool{Tool: nix.Tool{Options: [][2]string{{"cores", "2"}, {"substituters", "a b"}}}}
	for _, c := range []struct {
		name          string
		tool          Tool
		source        Source
		answer, hears string
		want          nixenv.Calls
	}{
		{"--nix-option is for the evaluation of a file", cores, inFile, aHead, `{"names":["web"]}`,
			nixenv.Calls{Begin: "nix-instantiate ", Has: " --option cores 2 --option substituters a b "}},
		{"and of a flake", cores, inFlake, aNode, `{"name":"web"}`,
			nixenv.Calls{Begin: "nix ", Has: " --option cores 2 --option substituters a b ", Lacks: "--impure"}},
		{"a file is evaluated impurely, as <nixpkgs> needs it, and derivations are written", Tool{}, inFile, aHead, `{"names":["web"]}`,
			nixenv.Calls{Begin: "nix-instantiate ", Has: " --eval --strict --read-write-mode --expr EXPR -A head -A n0", Lacks: "pure"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls, got := nixenv.StandIn(t, c.answer), ""
			hear := func(text []byte) { got += string(text) }
			if err := New(c.tool, c.source).Run(t.Context(), Part{Most: 1, Texts: true}, Hooks{Head: hear, Done: hear}); err != nil {
				t.Fatal(err)
			}
			if got != c.hears {
				t.Errorf("the result is %q", got)
			}
			c.want.Check(t, calls())
		})
	}
}

// The answers lead through every output that a flake may have its hive in.
func TestAFlakeIsEvaluatedPurelyUnlessItMayBeImpure(t *testing.T) {
	const meta = `{"path":"/nix/store/x-source","locked":{"narHash":"sha256-a+b/c="}}`
	for _, impure := range []bool{false, true} {
		calls := nixenv.StandIn(t, refused, refused, meta, refused, refused, aNode)
		if err := evaluateAll(t, Tool{Impure: impure}, inFlake); err != nil {
			t.Fatal(err)
		}
		var evals []string
		for _, call := range calls() {
			if strings.Contains(call, " eval ") {
				evals = append(evals, call)
			}
		}
		if len(evals) != 5 {
			t.Fatalf("%d evaluations, want 5:\n%s", len(evals), strings.Join(evals, "\n"))
		}
		for _, call := range evals {
			if strings.Contains(call, "--impure") != impure {
				t.Errorf("impure is %t: %s", impure, call)
			}
		}
	}
}

// What is older than the log format says so in plain words.
func TestANixThatIsTooOldIsTold(t *testing.T) {
	nixenv.StandIn(t)
	dir, _, _ := strings.Cut(os.Getenv("PATH"), ":")
	script := "#!/bin/sh\necho \"error: unrecognised flag '--extra-experimental-features'\" >&2\nexit 1\n"
	for _, name := range []string{"nix", "nix-instantiate"} {
		if err := os.WriteFile(dir+"/"+name, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, source := range []Source{inFile, inFlake} {
		if err := evaluateAll(t, Tool{}, source); err == nil || !strings.Contains(err.Error(), "Nix 2.8 or newer is needed") {
			t.Errorf("%s: %v", source, err)
		}
	}
}
