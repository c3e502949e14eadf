package nix_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Counts of Nix' own, which no load of the machine changes.
func TestKeysCostLittle(t *testing.T) {
	const keys = 300
	for name, expr := range map[string]string{
		"written plainly":        `each { keyCommand = [ "pass" "show" ]; user = "a"; permissions = "0640"; }`,
		"set in several modules": `each (lib.mkMerge [ { keyCommand = [ "pass" "show" ]; } (lib.mkIf true { user = "a"; permissions = "0640"; }) ])`,
		// As nixpkgs has it that declarations know their files.
		"of wrapped modules": `let again = type.substSubModules (map (m: { _file = "f"; imports = [ m ]; }) type.getSubModules); in
			map (i: again.merge [ "k" (toString i) ] [ { file = "f"; value.user = "a"; } ]) numbers`,
	} {
		cost := func(quick bool, keys int) (thunks, calls int) {
			stats := filepath.Join(t.TempDir(), "stats")
			const hive = `{ web = { lib, ... }: { options.see = lib.mkOption { }; config.see = lib; }; }`
			begin := fmt.Sprintf(`let
				lib = nodes.web.config.see;
				numbers = builtins.genList (i: i) %d;
				type = nodes.web.options.deployment.keys.type.nestedTypes.elemType;
				each = value: (nodes.web.extendModules { modules = [ { deployment.keys = builtins.listToAttrs (map (i: { name = toString i; inherit value; }) numbers); } ]; }).config.deployment.keys;
				in `, keys)
			if _, failure := asked(t, quick, hive, begin+expr, "NIX_SHOW_STATS=1", "NIX_SHOW_STATS_PATH="+stats); failure != nil {
				t.Fatalf("%+v", *failure)
			}
			var counted struct{ NrThunks, NrFunctionCalls int }
			text, err := os.ReadFile(stats)
			if err == nil {
				err = json.Unmarshal(text, &counted)
			}
			if err != nil {
				t.Fatal(err)
			}
			return counted.NrThunks, counted.NrFunctionCalls
		}
		perKey := func(quick bool) (int, int) {
			thunks, calls := cost(quick, 1) // what is needed for any
			allThunks, allCalls := cost(quick, 1+keys)
			return (allThunks - thunks) / keys, (allCalls - calls) / keys
		}
		quickThunks, quickCalls := perKey(true)
		realThunks, realCalls := perKey(false)
		t.Logf("%s: %d of %d thunks per key, %d of %d calls", name, quickThunks, realThunks, quickCalls, realCalls)
		if quickThunks < 1 || quickThunks*3 > realThunks || quickCalls*3 > realCalls {
			t.Errorf("%s: %d thunks and %d calls per key, with the real type %d and %d", name, quickThunks, quickCalls, realThunks, realCalls)
		}
	}
}
