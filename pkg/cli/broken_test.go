package cli

import (
	"errors"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nix"
)

func TestBrokenNodesCanBeLeftOut(t *testing.T) {
	for _, c := range []struct {
		err         error
		on, exclude string
		want        string // "" for no hint
	}{
		{&nix.EvalError{Node: "a"}, "", "", "--exclude 'a'"},
		{&nix.EvalError{Node: "a"}, "*", "", "--exclude 'a'"},
		{&nix.EvalError{Node: "a"}, "@web", "db-*", "--exclude 'db-*,a'"},
		{&nix.EvalError{Node: "a"}, "!b", "", "--exclude 'a'"},
		{&nix.EvalError{Node: "a"}, "a", "", ""},
		{&nix.EvalError{Node: "a"}, "b,a", "", ""},
		{&nix.EvalError{Node: "it's"}, "", "", ""},
		{&nix.EvalError{Node: "a*"}, "", "", ""},
		{&nix.EvalError{}, "", "", ""},
		{&hive.Problem{Node: "a"}, "", "", "--exclude 'a'"},
		{errors.New("no nix"), "", "", ""},
	} {
		var on hive.Selector
		if c.on != "" {
			var err error
			if on, err = hive.ParseSelector(c.on); err != nil {
				t.Fatal(err)
			}
		}
		err := withoutBroken(c.err, on, c.exclude)
		if _, hint, _ := strings.Cut(err.Error(), "if there are any: "); hint != c.want || !errors.Is(err, c.err) {
			t.Errorf("%v, --on %q --exclude %q: hint %q, want %q", c.err, c.on, c.exclude, hint, c.want)
		}
	}
}
