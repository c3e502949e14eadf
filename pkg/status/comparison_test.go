package status

import (
	"testing"

	"github.com/colmena-go/colmena-go/pkg/closure"
)

func TestWhatIsToBeCopiedIsWhatTheHostLacksOfTheWantedSystem(t *testing.T) {
	needs := map[string]int64{"/nix/store/new": 5, "/nix/store/lib": 70, "/nix/store/libc": 900}
	had := map[string]int64{"/nix/store/old": 6, "/nix/store/lib": 70, "/nix/store/libc": 900}
	for name, c := range map[string]struct {
		current, wanted map[string]int64
		want            *Copy
		compared        bool
	}{
		"both are known":            {had, needs, &Copy{Paths: 2, Bytes: 75}, true},
		"what it runs is not known": {nil, needs, &Copy{Paths: 2, Bytes: 75}, false},
		"the wanted one is not":     {had, nil, nil, false},
	} {
		got := Comparison{Host: State{Current: closure.System{Path: "/nix/store/old"}}, Wanted: closure.System{Path: "/nix/store/new"}}
		got.Needs(c.current, c.wanted, []string{"/nix/store/lib", "/nix/store/new"})
		if (got.Copy == nil) != (c.want == nil) || got.Copy != nil && *got.Copy != *c.want || (got.Packages != nil) != c.compared {
			t.Errorf("%s: %+v, compared %v", name, got.Copy, got.Packages != nil)
		}
		if got.Host.Current.Sizes != nil || got.Wanted.Sizes != nil || got.Same() {
			t.Errorf("%s: what both need is kept, or they are the same", name)
		}
	}
}
