package nixeval

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/tests/hostile"
	"github.com/colmena-go/colmena-go/tests/nixenv"
)

func TestMain(m *testing.M) {
	together = time.Minute // this machine may be slow
	goleak.VerifyTestMain(m)
}

// evaluate writes a hive and evaluates it as a command would.
func evaluate(t *testing.T, text, on string, request Request) (*wholeHive, error) {
	t.Helper()
	return evalSource(t, hiveFile(t, text), on, request)
}

// hiveFile is a hive.nix with a text, beside a nixpkgs.
func hiveFile(t *testing.T, text string) Source {
	t.Helper()
	nixpkgs := nixenv.Use(t)
	t.Setenv("NIX_PATH", "nixpkgs="+nixpkgs)
	file := filepath.Join(t.TempDir(), "hive.nix")
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return Source{File: file}
}

func evalSource(t *testing.T, source Source, on string, request Request) (*wholeHive, error) {
	t.Helper()
	if on != "" {
		var err error
		if request.Selector, err = hive.ParseSelector(on); err != nil {
			t.Fatal(err)
		}
	}
	return evaluated(t, Tool{}, source, request)
}

// wholeHive is a hive with its nodes, and what was told of them.
type wholeHive struct {
	*hive.Hive
	Nodes     []hive.Node
	texts     string // what was told
	announced string
	begun     []string
}

// evaluated evaluates all of a request in one process.
func evaluated(t *testing.T, tool Tool, source Source, request Request) (*wholeHive, error) {
	t.Helper()
	return all(t, New(tool, source), Part{Request: request, Most: 100, Texts: true})
}

// all evaluates a part in one process.
func all(t *testing.T, e *Evaluator, part Part) (*wholeHive, error) {
	t.Helper()
	all := &wholeHive{}
	var wrong []error
	err := e.Run(t.Context(), part, Hooks{
		Head: func(text []byte) {
			h, err := hive.DecodeHead(text)
			all.Hive, wrong = h, append(wrong, err)
		},
		Announced: func(text []byte) { all.announced += string(text) },
		Begun:     func(node string) { all.begun = append(all.begun, node) },
		Done: func(text []byte) {
			node, err := hive.DecodeNode(text)
			all.Nodes, wrong = append(all.Nodes, node), append(wrong, err)
			all.texts += string(text)
		},
	})
	e.Warn()
	return all, errors.Join(append(wrong, err)...)
}

// nodeNames of a hive, joined.
func nodeNames(h *wholeHive) string {
	var names []string
	for _, node := range h.Nodes {
		names = append(names, node.Name)
	}
	return strings.Join(names, " ")
}

// tag is what a test's node says through its tags, the one list that every
// evaluation returns.
func tag(h *wholeHive, node string) string {
	for _, n := range h.Nodes {
		if n.Name == node {
			return strings.Join(n.Tags, " ")
		}
	}
	return "no such node"
}

// evaluateAll evaluates all nodes, and looks at none of them.
func evaluateAll(t *testing.T, tool Tool, source Source) error {
	t.Helper()
	return New(tool, source).Run(t.Context(), Part{Most: 10}, Hooks{})
}

// hostileHive is a hive.nix of tests/hostile.
func hostileHive(t *testing.T, h hostile.Hive) Source {
	t.Helper()
	source := hiveFile(t, h.Text)
	if err := os.WriteFile(filepath.Join(filepath.Dir(source.File), "keys.nix"), []byte(h.Keys), 0o600); err != nil {
		t.Fatal(err)
	}
	return source
}

// hasNoSecret looks for those of such hives.
func hasNoSecret(t *testing.T, said string) {
	t.Helper()
	if strings.Contains(said, hostile.Secret) || strings.Contains(said, "7373737") {
		t.Errorf("%v\nshows the secret", said)
	}
}
