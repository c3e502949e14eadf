package nixeval

import (
	"slices"
	"testing"
)

// What the user says of Nix's collector counts.
func TestNixsCollectorBeginsAsThePartOrTheUserSays(t *testing.T) {
	const name = "GC_INITIAL_HEAP_SIZE="
	for _, c := range []struct {
		heap   int64
		user   string
		listed []string
	}{
		{2 << 30, "", []string{name, name + "2147483648"}},
		{2 << 30, "5000000", []string{name + "5000000"}},
		{0, "", []string{name}},
	} {
		t.Setenv("GC_INITIAL_HEAP_SIZE", c.user)
		var listed []string
		for _, v := range (&process{part: Part{Heap: c.heap}}).environment() {
			if len(v) >= len(name) && v[:len(name)] == name {
				listed = append(listed, v)
			}
		}
		if !slices.Equal(listed, c.listed) {
			t.Errorf("%d and %q: %q, want %q", c.heap, c.user, listed, c.listed)
		}
	}
}
