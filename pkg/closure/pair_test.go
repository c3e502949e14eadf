package closure

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A system's parts have names that nobody mistakes for the others'.
const (
	oldPath = "/nix/store/old"
	newPath = "/nix/store/new"
)

var (
	needs = map[string]int64{newPath: 5, "/nix/store/lib": 70, "/nix/store/libc": 900}
	had   = map[string]int64{oldPath: 6, "/nix/store/lib": 70, "/nix/store/libc": 900}
)

func TestAHostIsAskedForNoMoreThanIsNotKnown(t *testing.T) {
	all := "/nix/store/lib /nix/store/libc " + newPath
	for name, c := range map[string]struct {
		pair             Pair
		closures, wanted string
	}{
		"both are known here":        {Pair{Old: System{oldPath, "", nil, had}, New: System{newPath, "", nil, needs}}, "", all},
		"what it runs is not":        {Pair{Old: System{Path: oldPath}, New: System{newPath, "", nil, needs}}, oldPath, all},
		"it has the new one":         {Pair{Old: System{oldPath, "", nil, had}, New: System{newPath, "", nil, needs}, There: true}, "", ""},
		"which is not known here":    {Pair{Old: System{oldPath, "", nil, had}, New: System{Path: newPath}, There: true}, newPath, ""},
		"it is to build the new one": {Pair{Old: System{Path: oldPath}, New: System{Path: newPath}, Builds: true}, newPath + " " + oldPath, newPath},
		"it runs none":               {Pair{New: System{newPath, "", nil, needs}}, "", all},
		"it runs what is no path":    {Pair{Old: System{Path: "/etc/old"}, New: System{newPath, "", nil, needs}}, "", all},
		"it runs the new one":        {Pair{Old: System{Path: newPath}, New: System{newPath, "", nil, needs}, There: true}, "", ""},
	} {
		q := c.pair.Question()
		if got := strings.Join(q.Closures, " "); got != c.closures {
			t.Errorf("%s: closures of %q, want %q", name, got, c.closures)
		}
		if got := strings.Join(q.Wanted, " "); got != c.wanted || q.Empty() != (c.closures+c.wanted == "") {
			t.Errorf("%s: lacks of %q, want %q", name, got, c.wanted)
		}
	}
}

func TestWhatIsToBeCopiedIsWhatTheHostLacksOfTheNewSystem(t *testing.T) {
	lacks := []string{"/nix/store/lib", newPath}
	told := func(closures map[string]map[string]int64, lacks ...string) Answer { return Answer{closures, lacks} }
	known, unknown := System{newPath, "", nil, needs}, System{Path: newPath}
	for name, c := range map[string]struct {
		pair Pair
		says Answer
		want string // the copy, whether packages are compared, and how much is not known
	}{
		"both are known":            {Pair{Old: System{oldPath, "", nil, had}, New: known}, told(nil, lacks...), "2 paths 75 bytes, compared"},
		"the host tells of its own": {Pair{Old: System{Path: oldPath}, New: known}, told(map[string]map[string]int64{oldPath: had}, lacks...), "2 paths 75 bytes, compared"},
		"or does not":               {Pair{Old: System{Path: oldPath}, New: known}, told(nil, lacks...), "2 paths 75 bytes, unknown packages: the host does not tell what /nix/store/old needs"},
		"it has no system":          {Pair{New: known}, told(nil, lacks...), "2 paths 75 bytes"},
		"it has the new one":        {Pair{Old: System{oldPath, "", nil, had}, New: known}, told(nil), "0 paths 0 bytes, compared"},
		"it runs the new one":       {Pair{Old: known, New: known, There: true}, told(nil), "0 paths 0 bytes"},
		"it is to build it":         {Pair{Old: System{oldPath, "", nil, had}, New: unknown, Builds: true}, told(nil, newPath), "unknown the host builds, unknown packages: the system is not built yet"},
		"which was built here":      {Pair{Old: System{oldPath, "", nil, had}, New: known, Builds: true}, told(nil, lacks...), "compared, unknown the host builds"},
		"or there":                  {Pair{Old: System{oldPath, "", nil, had}, New: unknown, Builds: true}, told(map[string]map[string]int64{newPath: needs}), "0 paths 0 bytes, compared"},
	} {
		f := c.pair.Compare(c.says)
		var got []string
		if f.Copy != nil {
			got = append(got, fmt.Sprintf("%d paths %d bytes", f.Copy.Paths, f.Copy.Bytes))
		}
		if f.Packages != nil {
			got = append(got, "compared")
		}
		for _, why := range f.Unknown {
			got = append(got, "unknown "+why)
		}
		same := slices.EqualFunc(got, strings.Split(c.want, ", "), strings.HasPrefix)
		if !same {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
