package nixeval

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/colmena-go/colmena-go/tests/nixenv"
)

func TestAFlakeWhoseEvaluationSeesMoreHasNoIdentity(t *testing.T) {
	nixenv.Use(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "flake.nix"), []byte("{ outputs = _: { }; }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	included := filepath.Join(t.TempDir(), "included.conf")
	t.Setenv("NIX_CONFIG", "include "+included)
	seen := map[string]string{}
	for _, c := range []struct {
		setting string
		known   bool
	}{
		{"", true},
		{"fsync-metadata = false", true},
		{"allow-unsafe-native-code-during-evaluation = true", false},
		{"allow-unsafe-native-code-during-evaluation = false", true},
	} {
		if err := os.WriteFile(included, []byte(c.setting+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		identity := New(Tool{}, Source{Flake: "path:" + dir}).Identity(t.Context())
		if (identity != "") != c.known {
			t.Errorf("%q: %q", c.setting, identity)
		}
		seen[c.setting] = identity
	}
	if seen[""] == seen["fsync-metadata = false"] {
		t.Error("a setting in a file that nix.conf includes makes no difference")
	}
}

// As versions of Nix write them: 2.26 has no hash of an input inside of another.
func TestAFlakeIsKnownByTheHashesOfAllInputs(t *testing.T) {
	for node, want := range map[string]bool{
		`{"locked":{"narHash":"sha256-x","path":"/elsewhere","type":"path"}}`: true,
		`{"locked":{"path":"./inside","type":"path"},"parent":[]}`:            true,
		`{"locked":{"path":"./inside","type":"path"}}`:                        false,
		`{"locked":{"path":"/elsewhere","type":"path"},"parent":[]}`:          false,
		`{"locked":{"type":"git","url":"x"},"parent":[]}`:                     false,
		`{"original":{"path":"/elsewhere","type":"path"}}`:                    false,
	} {
		for _, hash := range []string{"sha256-y", ""} {
			text := `{"locked":{"narHash":"` + hash + `"},"locks":{"root":"root","nodes":{"root":{},"x":` + node + `}}}`
			if got := locked([]byte(text)); got != (want && hash != "") {
				t.Errorf("%s: %t", text, got)
			}
		}
	}
}
