package nix

import "testing"

func TestAVersionIsReadOffWhatNixSaysOfItself(t *testing.T) {
	for text, want := range map[string]Version{
		"nix (Nix) 2.8.0\n":                        {"nix (Nix) 2.8.0", 2, 8},
		"nix (Nix) 2.26.3":                         {"nix (Nix) 2.26.3", 2, 26},
		"nix (Nix) 2.34pre20260101_abcdef0":        {"nix (Nix) 2.34pre20260101_abcdef0", 2, 34},
		"nix (Lix, like Nix) 2.93.0\nmore":         {"nix (Lix, like Nix) 2.93.0", 2, 93},
		"nix (Determinate Nix 3.11.2) 2.31.1":      {"nix (Determinate Nix 3.11.2) 2.31.1", 2, 31},
		"something else":                           {"something else", 0, 0},
		"nix (Nix) 999999999999999999999999.1.0\n": {"nix (Nix) 999999999999999999999999.1.0", 1<<63 - 1, 1},
	} {
		if got := parseVersion(text); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
	for _, c := range []struct {
		v    Version
		want bool
	}{{Version{Major: 2, Minor: 8}, false}, {Version{Major: 2, Minor: 10}, true}, {Version{Major: 3}, true}, {Version{}, false}} {
		if got := c.v.AtLeast(2, 10); got != c.want {
			t.Errorf("%+v: at least 2.10: %t", c.v, got)
		}
	}
}
