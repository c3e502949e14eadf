package nixeval

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/colmena-go/colmena-go/pkg/nix"
)

// What the user says of Nix's collector counts.
func TestNixsCollectorBeginsAndEndsAsThePartOrTheUserSays(t *testing.T) {
	for _, name := range []string{"GC_INITIAL_HEAP_SIZE=", "GC_MAXIMUM_HEAP_SIZE="} {
		testCollector(t, name)
	}
}

func testCollector(t *testing.T, name string) {
	t.Helper()
	for _, c := range []struct {
		heap   int64
		user   string
		listed []string
	}{
		{2 << 30, "", []string{name, name + "2147483648"}},
		{2 << 30, "5000000", []string{name + "5000000"}},
		{0, "", []string{name}},
	} {
		t.Setenv(strings.TrimSuffix(name, "="), c.user)
		var listed []string
		for _, v := range (Room{Heap: c.heap, Memory: c.heap}).environment() {
			if len(v) >= len(name) && v[:len(name)] == name {
				listed = append(listed, v)
			}
		}
		if !slices.Equal(listed, c.listed) {
			t.Errorf("%d and %q: %q, want %q", c.heap, c.user, listed, c.listed)
		}
	}
}

func TestWhatNeedsMoreMemoryThanThePartMayTakeIsTold(t *testing.T) {
	for name, source := range map[string]func(t *testing.T) Source{
		"hive.nix": func(t *testing.T) Source { return hiveFile(t, "{ "+hog+" }") },
		"flake":    func(t *testing.T) Source { return flake(t, "colmena = { meta.nixpkgs = pkgs; "+hog+" };") },
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			at := ""
			tool := Tool{Tool: nix.Tool{Log: zerolog.New(&log).Level(zerolog.InfoLevel)}}
			err := New(tool, source(t)).Run(t.Context(), Part{Most: 1, Room: Room{Memory: 100 << 20}}, Hooks{Begun: func(node string) { at = node }})
			if !errors.Is(err, ErrMemory) || at != "web" || strings.Contains(log.String(), "GC Warning") {
				t.Errorf("at %q: %v; it says %s", at, err, log.String())
			}
		})
	}
}

// hog is a node that keeps some gigabytes while it is evaluated.
const hog = `web = { deployment.tags = let l = builtins.genList (x: toString x) 20000000; in builtins.deepSeq l [ (toString (builtins.length l)) ]; };`

func TestAStackThatOverflowsIsAnErrorOfTheNode(t *testing.T) {
	var log bytes.Buffer
	tool := Tool{Tool: nix.Tool{Log: zerolog.New(&log).Level(zerolog.InfoLevel)}}
	source := hiveFile(t, `{ a = { }; b.deployment.tags = let f = x: 1 + f (x + 1); in [ (toString (f 1)) ]; }`)
	err := New(tool, source).Run(t.Context(), Part{Most: 9}, Hooks{})
	var eval *EvalError
	if !errors.As(err, &eval) || eval.Node != "b" || !strings.Contains(eval.Message, "stack overflow") || log.Len() > 0 {
		t.Errorf("%v; it says %s", err, log.String())
	}
}
