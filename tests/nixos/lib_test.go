package nixos_test

import (
	"os"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/tests/nixenv"
)

func TestEveryNixFileParses(t *testing.T) {
	args := append([]string{"--parse"}, nixFiles(t)...)
	if _, stderr, err := run(t, "nix-instantiate", args...); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
}

// The values hold for nixpkgs' own lib too: run with COLMENA_GO_TEST_NIXPKGS.
func TestModulesMergeAsInNixpkgs(t *testing.T) {
	const listOption = `{ options.l = mkOption { type = types.listOf types.str; default = [ ]; }; }`
	const keys = `{ options.keys = mkOption { default = { }; type = types.attrsOf (types.submodule ({ name, config, ... }: {
      options.name = mkOption { type = types.str; default = name; };
      options.mode = mkOption { type = types.str; default = "0600"; };
      options.path = mkOption { type = types.path; readOnly = true; default = "/run/keys/${config.name}"; };
    })); }; }`
	for name, c := range map[string]struct{ expr, want string }{
		"later lists come first, ordered by mkBefore and mkAfter": {
			`eval [ ` + listOption + ` { l = [ "a" ]; } { l = lib.mkBefore [ "first" ]; } { l = lib.mkAfter [ "last" ]; } { l = [ "b" ]; } ]`,
			`{"l":["first","b","a","last"]}`},
		"mkIf and mkMerge disappear": {
			`eval [ ` + listOption + ` (mkIf true { l = mkMerge [ [ "x" ] (mkIf false [ "y" ]) ]; }) (mkIf false { l = [ "z" ]; }) ]`,
			`{"l":["x"]}`},
		"the strongest priority wins": {
			`eval [ ` + listOption + ` { l = lib.mkDefault [ "d" ]; } { l = [ "n" ]; } { l = lib.mkForce [ "f" ]; } ]`,
			`{"l":["f"]}`},
		"imports are followed once": {
			`let m = { key = "k"; l = [ "once" ]; }; in eval [ ` + listOption + ` { imports = [ m ]; } { imports = [ m ({ ... }: { l = [ "f" ]; }) ]; } ]`,
			`{"l":["f","once"]}`},
		"a disabled module does nothing": {
			`eval [ ` + listOption + ` { key = "k"; l = [ "no" ]; } { disabledModules = [ { key = "k"; } ]; l = [ "yes" ]; } ]`,
			`{"l":["yes"]}`},
		"modules get what other modules put into _module.args": {
			`eval [ ` + listOption + ` ({ extra, ... }: { l = [ extra ]; }) { _module.args.extra = "e"; } ]`,
			`{"l":["e"]}`},
		"specialArgs may be used in imports": {
			`(evalModules { specialArgs.more = { l = [ "m" ]; }; modules = [ ` + listOption + ` ({ more, ... }: { imports = [ more ]; }) ]; }).config`,
			`{"l":["m"]}`},
		"submodules know their name and have read-only options": {
			`eval [ ` + keys + ` { keys.a = { }; } ({ ... }: { keys.b = { name = "c"; mode = "640"; }; }) ]`,
			`{"keys":{"a":{"mode":"0600","name":"a","path":"/run/keys/a"},"b":{"mode":"640","name":"c","path":"/run/keys/c"}}}`},
		"two declarations of one submodule option are one": {
			`eval [ ` + keys + ` { options.keys = mkOption { type = types.attrsOf (types.submodule { options.more = mkOption { default = 1; }; }); }; } { keys.a = { }; } ]`,
			`{"keys":{"a":{"mode":"0600","more":1,"name":"a","path":"/run/keys/a"}}}`},
		"a freeform type takes what nobody declared": {
			`eval [ { freeformType = types.attrsOf types.int; options.a = mkOption { type = types.int; default = 1; }; } { b = 2; } ]`,
			`{"a":1,"b":2}`},
		"lines are joined, packages and functions are not forced": {
			`(eval [ { options.t = mkOption { type = types.lines; }; } { t = "a"; } { t = lib.mkBefore "b"; } ]).t`,
			`"b\na"`},
		"enums, eithers and coercions": {
			`eval [ { options = { e = mkOption { type = types.enum [ "p" "q" ]; }; o = mkOption { type = types.either types.int (types.listOf types.str); };
			   c = mkOption { type = types.coercedTo types.int toString types.str; }; n = mkOption { type = types.nullOr types.str; default = null; }; }; }
			 { e = "q"; o = [ "l" ]; c = 7; } ]`,
			`{"c":"7","e":"q","n":null,"o":["l"]}`},
		"extendModules adds to an evaluated configuration": {
			`((evalModules { modules = [ ` + listOption + ` ]; }).extendModules { modules = [ { l = [ "x" ]; } ]; }).config`,
			`{"l":["x"]}`},
		"a renamed option passes its definitions on": {
			`(eval [ ` + listOption + ` (lib.mkAliasOptionModule [ "old" ] [ "l" ]) { old = [ "o" ]; } ]).l`,
			`["o"]`},
		"apply and options are there": {
			`(evalModules { modules = [ ({ options, ... }: { options.u = mkOption { type = types.str; apply = lib.toUpper; default = "x"; }; options.d = mkOption { default = options.u.isDefined; }; }) ]; }).config`,
			`{"d":true,"u":"X"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, stderr, err := withLib(t, c.expr)
			if err != nil {
				t.Fatalf("%v\n%s", err, stderr)
			}
			wants(t, "the value", strings.TrimSpace(got), c.want)
		})
	}
}

func TestModuleErrorsReadAsInNixpkgs(t *testing.T) {
	const option = `{ options.a.b = mkOption { type = types.str; }; }`
	for name, c := range map[string]struct {
		expr string
		want []string
	}{
		"an unknown option": {
			`eval [ ` + option + ` { _file = "/hive.nix"; a.c = 1; } ]`,
			[]string{"The option `a.c' does not exist. Definition values:", "- In `/hive.nix': 1"}},
		"an unknown option that is a derivation": {
			`eval [ ` + option + ` { _file = "/hive.nix"; a.c = derivation { name = "d"; system = "s"; builder = "/b"; }; } ]`,
			[]string{"- In `/hive.nix': <derivation d>"}},
		"an unknown option without an end": {
			`let s = { self = s; n = 1; }; in eval [ ` + option + ` { _file = "/hive.nix"; a.c = s; } ]`,
			[]string{"- In `/hive.nix':", "n = 1;", "self = {", "..."}},
		"a value of the wrong type": {
			`eval [ ` + option + ` { _file = "/hive.nix"; a.b = 1; } ]`,
			[]string{"A definition for option `a.b' is not of type `string'. Definition values:", "- In `/hive.nix': 1"}},
		"no value": {
			`eval [ ` + option + ` ]`,
			[]string{"The option `a.b' was accessed but has no value defined. Try setting the option."}},
		"two values": {
			`eval [ ` + option + ` { a.b = "x"; } { a.b = "y"; } ]`,
			[]string{"The option `a.b' has conflicting definition values:", `"x"`, `"y"`}},
		"a read-only option": {
			`eval [ { options.r = mkOption { readOnly = true; default = "d"; type = types.str; }; } { r = "x"; } ]`,
			[]string{"The option `r' is read-only, but it's set multiple times."}},
		"a stray attribute beside config": {
			`eval [ { config = { }; b = 1; } ]`,
			[]string{"has an unsupported attribute `b'. This is caused by introducing a top-level `config' or `options' attribute."}},
		"a value where options are": {
			`eval [ ` + option + ` { _file = "/hive.nix"; a = "x"; } ]`,
			[]string{"rather than an attribute set for the option", "`a'!", "/hive.nix"}},
		"an option in a submodule": {
			`eval [ { options.s = mkOption { type = types.attrsOf (types.submodule { options.o = mkOption { type = types.int; }; }); }; } { s."n.m".o = "x"; } ]`,
			[]string{"A definition for option `s.\"n.m\".o' is not of type `signed integer'."}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, stderr, err := withLib(t, c.expr)
			if err == nil {
				t.Fatalf("no error, but %s", out)
			}
			for _, want := range c.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("the error lacks %q:\n%s", want, stderr)
				}
			}
		})
	}
}

func TestLibFunctionsAnswerAsInNixpkgs(t *testing.T) {
	for expr, want := range map[string]string{
		`lib.escapeShellArgs [ "a b" "it's" "plain-1.2" "" ]`:                           `"'a b' 'it'\\''s' plain-1.2 ''"`,
		`lib.splitString "." "a.b.c"`:                                                   `["a","b","c"]`,
		`lib.concatMapStringsSep "," toString [ 1 2 ]`:                                  `"1,2"`,
		`[ (lib.hasPrefix "a" "ab") (lib.hasSuffix "b" "ab") (lib.hasInfix "." "ab") ]`: `[true,true,false]`,
		`lib.recursiveUpdate { a.b = 1; a.c = 2; } { a.b = 3; }`:                        `{"a":{"b":3,"c":2}}`,
		`lib.filterAttrs (n: v: v > 1) { a = 1; b = 2; }`:                               `{"b":2}`,
		`lib.mapAttrs' (n: v: lib.nameValuePair "x${n}" v) { a = 1; }`:                  `{"xa":1}`,
		`lib.attrByPath [ "a" "b" ] 0 { a.b = 5; }`:                                     `5`,
		`lib.unique [ 1 2 1 ]`:                                                          `[1,2]`,
		`lib.optionalAttrs false { a = 1; }`:                                            `{}`,
		`lib.foldr (a: b: a + b) "" [ "x" "y" ]`:                                        `"xy"`,
		`(lib.toposort (a: b: a < b) [ 3 1 2 ]).result`:                                 `[1,2,3]`,
		`lib.naturalSort [ "n10" "n9" ]`:                                                `["n9","n10"]`,
		`lib.versionAtLeast lib.version "22.11pre"`:                                     `true`,
		`lib.genAttrs [ "a" ] (n: n + n)`:                                               `{"a":"aa"}`,
		`lib.makeBinPath [ "/a" "/b" ]`:                                                 `"/a/bin:/b/bin"`,
		`lib.toHexString 250`:                                                           `"FA"`,
		`lib.fixedWidthNumber 3 7`:                                                      `"007"`,
		`lib.strings.toShellVar "a" "b c"`:                                              `"a='b c'"`,
		`lib.generators.toINI { } { s = { k = true; }; }`:                               `"[s]\nk=true\n"`,
		`lib.zipListsWith (a: b: a + b) [ 1 2 ] [ 3 4 ]`:                                `[4,6]`,
		`lib.toInt "42"`:                                                                `42`,
		`lib.subtractLists [ 1 ] [ 1 2 ]`:                                               `[2]`,
		`lib.strings.escapeNixIdentifier "a.b"`:                                         `"\"a.b\""`,
		`lib.textClosureMap lib.id { a = lib.stringAfter [ "b" ] "A"; b = lib.noDepEntry "B"; } [ "a" "b" ]`: `"B\nA"`,
	} {
		t.Run(expr, func(t *testing.T) {
			t.Parallel()
			got, stderr, err := withLib(t, expr)
			if err != nil {
				t.Fatalf("%v\n%s", err, stderr)
			}
			wants(t, "the value", strings.TrimSpace(got), want)
		})
	}
}

// realLib is nixpkgs' own lib, when one is given.
func realLib(t *testing.T) string {
	t.Helper()
	dir := os.Getenv(nixenv.NixpkgsEnv)
	if dir == "" {
		t.Skip(nixenv.NixpkgsEnv + " names no nixpkgs to compare with")
	}
	return dir + "/lib"
}

func TestTheLibHasNoNameThatNixpkgsLacks(t *testing.T) {
	ours, stderr, err := run(t, "nix-instantiate", "--eval", "--strict", "-E",
		`let ours = import ./lib; theirs = import `+realLib(t)+`; in builtins.filter (n: !theirs ? ${n}) (builtins.attrNames ours) ++
		 builtins.concatMap (p: map (n: "${p}.${n}") (builtins.filter (n: !theirs.${p} ? ${n}) (builtins.attrNames ours.${p})))
		   [ "types" "strings" "lists" "attrsets" "generators" "modules" "options" "versions" ]`)
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	wants(t, "the list of names of our own", strings.TrimSpace(ours), "[ ]")
}
