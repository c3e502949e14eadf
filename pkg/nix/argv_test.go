package nix

import (
	"testing"

	"github.com/colmena-go/colmena-go/tests/nixenv"
)

func TestNixCopiesAsTheUserAskedFor(t *testing.T) {
	cores := Tool{Options: [][2]string{{"cores", "2"}, {"substituters", "a b"}}}
	for _, c := range []struct {
		name       string
		tool       Tool
		opts       CopyOptions
		has, lacks string
	}{
		// The host's daemon would obey it as root.
		{"--nix-option is never for a copy", cores, CopyOptions{}, " copy ", "option"},
		{"derivations are copied themselves for hosts that build", Tool{}, CopyOptions{Recipe: true}, " --derivation /nix/store/x", ""},
		{"hosts fetch from their substituters", Tool{}, CopyOptions{Substitute: true},
			" --to unix:///tmp/a b/socket --substitute-on-destination /nix/store/x", ""},
		{"only when they may", Tool{}, CopyOptions{}, " --to unix:///tmp/a b/socket /nix/store/x", "substitute"},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls := nixenv.StandIn(t)
			if err := c.tool.Copy(t.Context(), "/nix/store/x", "unix:///tmp/a b/socket", c.opts); err != nil {
				t.Fatal(err)
			}
			nixenv.Calls{Begin: "nix ", Has: c.has, Lacks: c.lacks}.Check(t, calls())
		})
	}
}
