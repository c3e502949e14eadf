package nix

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/tests/nixenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// withNix gives the test a Nix of its own and returns the nixpkgs to use.
func withNix(t *testing.T) string {
	t.Helper()
	for _, v := range nixenv.Env(t) {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	return nixenv.Nixpkgs(t)
}

// evaluate writes a hive and evaluates it as a command would.
func evaluate(t *testing.T, text, on string, request Request) (*hive.Hive, error) {
	t.Helper()
	return evalSource(t, hiveFile(t, text), on, request)
}

// hiveFile is a hive.nix with a text, beside a nixpkgs.
func hiveFile(t *testing.T, text string) Source {
	t.Helper()
	nixpkgs := withNix(t)
	t.Setenv("NIX_PATH", "nixpkgs="+nixpkgs)
	file := filepath.Join(t.TempDir(), "hive.nix")
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return Source{File: file}
}

func evalSource(t *testing.T, source Source, on string, request Request) (*hive.Hive, error) {
	t.Helper()
	if on != "" {
		var err error
		if request.Selector, err = hive.ParseSelector(on); err != nil {
			t.Fatal(err)
		}
	}
	out, err := Tool{}.Eval(t.Context(), source, request)
	if err != nil {
		return nil, err
	}
	return hive.Decode(out)
}

// nodeNames of a hive, joined.
func nodeNames(h *hive.Hive) string {
	var names []string
	for _, node := range h.Nodes {
		names = append(names, node.Name)
	}
	return strings.Join(names, " ")
}

// tag is what a test's node says through its tags, the one list that every
// evaluation returns.
func tag(h *hive.Hive, node string) string {
	for _, n := range h.Nodes {
		if n.Name == node {
			return strings.Join(n.Tags, " ")
		}
	}
	return "no such node"
}
