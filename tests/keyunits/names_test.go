package keyunits_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

// Nix and Go name units alike, for every character at a name's begin and within.
func TestNixNamesUnitsAsGoDoes(t *testing.T) {
	var keys, want strings.Builder
	for c := ' '; c < 0x7f; c++ {
		for _, attr := range []string{string(c), string(c) + "0a", "b1" + string(c)} {
			quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`).Replace(attr)
			fmt.Fprintf(&keys, `"%s" = { text = "v"; name = "%d-%d"; }; `, quoted, c, strings.Index(attr, string(c))+len(attr))
			want.WriteString(hive.Key{Attr: attr}.Unit() + "\n")
		}
	}
	got, stderr, err := evaluated(t, "nix-instantiate", `{ deployment.keys = { `+keys.String()+` };
  environment.etc.units.text = toString (map (p: p.list or "") config.systemd.packages); }`, "environment.etc.units.text", "--eval", "--json")
	if err != nil {
		t.Fatal(stderr)
	}
	for _, unit := range strings.Fields(want.String()) {
		quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(strings.TrimSuffix(unit, ".service"))
		if !strings.Contains(got, `\n`+quoted+`\t`) && !strings.HasPrefix(got, `"`+quoted+`\t`) && !strings.Contains(got, ` `+quoted+`\t`) {
			t.Errorf("no unit %s", unit)
		}
	}
}
