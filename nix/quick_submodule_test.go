package nix_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// base is what every system needs.
const base = `{ documentation.enable = false; boot.isContainer = true; boot.loader.grub.enable = false; fileSystems."/".device = "/dev/vda1"; system.stateVersion = "26.05"; }`

// declared are second declarations of the option, as modules of users have them.
var declared = map[string]string{
	"":          ``,
	"empty":     `{ options.deployment.keys = lib.mkOption { type = lib.types.attrsOf (lib.types.submodule { }); }; }`,
	"an option": `{ options.deployment.keys = lib.mkOption { type = lib.types.attrsOf (lib.types.submodule ({ name, ... }: { options.note = lib.mkOption { type = lib.types.str; default = "of ${name}"; }; })); }; }`,
	"a default": `{ options.deployment.keys = lib.mkOption { type = lib.types.attrsOf (lib.types.submodule ({ config, ... }: { config.user = lib.mkDefault config.group; })); }; }`,
	"freeform":  `{ options.deployment.keys = lib.mkOption { type = lib.types.attrsOf (lib.types.submodule { freeformType = lib.types.attrsOf lib.types.anything; }); }; }`,
	"lazy":      `{ options.deployment.keys = lib.mkOption { type = lib.types.attrsOf (lib.types.submoduleWith { shorthandOnlyDefinesConfig = true; modules = [ { options.note = lib.mkOption { default = 1; }; } ]; }); }; }`,
}

// Whatever people write, the keys are the same with the quick type and with the
// real one, and so is the system. A key is what the case names, and wants what
// its value has in JSON, nothing where there is no such key.
func TestKeysAreWhatTheModuleSystemMakesOfThem(t *testing.T) {
	const none = "null"
	cases := []struct{ name, declared, module, want string }{
		{"empty", "", `{ KEY = { }; }`, `"path":"/run/keys/empty"`},
		{"text", "", `{ KEY.text = "s"; }`, `"text":"s"`},
		{"command", "", `{ KEY.keyCommand = [ "pass" "show" ]; }`, `"keyCommand":["pass","show"]`},
		{"file", "", `{ KEY.keyFile = "/x"; }`, `"keyFile":"/x"`},
		{"a file as a path", "", `{ KEY.keyFile = /etc/hostname; }`, `"keyFile":"/etc/hostname"`},
		{"a file as a set", "", `{ KEY.keyFile = { outPath = "/x"; }; }`, `"keyFile":"/x"`},
		{"a condition that looks like a file", "", `{ KEY.keyFile = lib.mkIf true "/x" // { outPath = "/y"; }; }`, `"keyFile":"/x"`},
		{"all", "", `{ KEY = { name = "n"; text = "s"; keyFile = null; keyCommand = null; allowEmpty = true; environment = { A = "a b"; }; shared = true; keyTimeout = 30; fingerprint = "f"; restartUnits = [ "r" ]; reloadUnits = [ ]; destDir = "/d"; user = "u"; group = "g"; permissions = "0640"; uploadAt = "post-activation"; }; }`,
			`{"allowEmpty":true,"destDir":"/d","environment":{"A":"a b"},"fingerprint":"f","group":"g","keyCommand":null,"keyFile":null,"keyTimeout":30,"name":"n","path":"/d/n","permissions":"0640","reloadUnits":[],"restartUnits":["r"],"shared":true,"text":"s","uploadAt":"post-activation","user":"u"}`},
		{"a name of its own", "", `{ KEY = { name = "other"; destDir = "/d"; }; }`, `"path":"/d/other"`},
		{`odd "name" \ of.a ключ`, "", `{ KEY.text = "s"; }`, `of.a ключ"`},

		{"the key is forced", "", `{ imports = [ { KEY = lib.mkForce { user = "a"; }; } { KEY = { user = "b"; group = "b"; }; } ]; }`, `"group":"root"`},
		{"the key is a default", "", `{ imports = [ { KEY = lib.mkDefault { user = "a"; group = "a"; }; } { KEY.user = "b"; } ]; }`, `"group":"root"`},
		{"the key is a default alone", "", `{ KEY = lib.mkDefault { user = "a"; }; }`, `"user":"a"`},
		{"the key is there", "", `{ KEY = lib.mkIf true { user = "a"; }; }`, `"user":"a"`},
		{"the key is not there", "", `{ KEY = lib.mkIf false { user = "a"; }; }`, none},
		{"the key is merged", "", `{ KEY = lib.mkMerge [ { user = "a"; } { group = "b"; } (lib.mkIf false { text = "s"; }) ]; }`, `"user":"a"`},
		{"an if in a force", "", `{ KEY = lib.mkForce (lib.mkIf true { user = "a"; }); }`, `"user":"a"`},
		{"all keys are forced", "all", `{ KEYS = lib.mkForce { "all keys are forced".user = "a"; }; }`, `"user":"a"`},

		{"an option is forced", "", `{ KEY.user = lib.mkForce "a"; }`, `"user":"a"`},
		{"an option is forced over another", "", `{ imports = [ { KEY.user = lib.mkForce "a"; } { KEY.user = "b"; } ]; }`, `"user":"a"`},
		{"an option is a default", "", `{ KEY.user = lib.mkDefault "a"; }`, `"user":"a"`},
		{"an option is as weak as its default", "", `{ KEY.group = lib.mkOptionDefault "root"; }`, `"group":"root"`},
		{"an option is there", "", `{ KEY.user = lib.mkIf true "a"; }`, `"user":"a"`},
		{"an option is not there", "", `{ KEY.user = lib.mkIf false "a"; }`, `"user":"root"`},
		{"an option is merged", "", `{ KEY.user = lib.mkMerge [ (lib.mkIf false "a") "b" ]; }`, `"user":"b"`},
		{"the name is forced", "", `{ KEY.name = lib.mkForce "n"; }`, `"path":"/run/keys/n"`},
		{"the directory is a default", "", `{ KEY.destDir = lib.mkDefault "/d"; }`, `"path":"/d/the directory is a default"`},
		{"words of a command are there or not", "", `{ KEY.keyCommand = [ (lib.mkIf true "a") (lib.mkIf false "b") "c" ]; }`, `["a","c"]`},
		{"a command in two parts", "", `{ imports = [ { KEY.keyCommand = [ "b" ]; } { KEY.keyCommand = lib.mkBefore [ "a" ]; } ]; }`, `["a","b"]`},
		{"a command is joined", "", `{ imports = [ { KEY.keyCommand = [ "b" ]; } { KEY.keyCommand = [ "a" ]; } ]; }`, `["b","a"]`},

		{"a variable is there or not", "", `{ KEY.environment = { A = lib.mkIf true "a"; B = lib.mkIf false "b"; C = "c"; }; }`, `"environment":{"A":"a","C":"c"}`},
		{"variables are there", "", `{ KEY.environment = lib.mkIf true { A = "a"; }; }`, `"environment":{"A":"a"}`},
		{"variables of two", "", `{ imports = [ { KEY.environment.A = "a"; } { KEY.environment.B = "b"; } ]; }`, `"environment":{"A":"a","B":"b"}`},
		{"a variable is forced", "", `{ imports = [ { KEY.environment.A = lib.mkForce "a"; } { KEY.environment.A = "b"; } ]; }`, `"environment":{"A":"a"}`},
		{"variables that look like a package", "", `{ KEY.environment = { type = "derivation"; outPath = "/x"; }; }`, `"environment":"/x"`},

		{"several definitions", "", `{ imports = [ { KEY.user = "a"; } { KEY.group = "b"; } ({ ... }: { KEY = { text = "s"; }; }) ]; }`, `"group":"b"`},
		{"several definitions of one value", "", `{ imports = [ { KEY.user = "a"; } { KEY.user = "a"; } ]; }`, `"user":"a"`},
		{"several definitions, one a function", "", `{ imports = [ { KEY.user = "a"; } { KEY = { name, ... }: { group = name; }; } ]; }`, `"group":"several definitions, one a function"`},

		{"a function", "", `{ KEY = { name, config, options, lib, ... }: { user = name; group = config.user; text = lib.concatStringsSep " " (builtins.attrNames options); }; }`, `"group":"a function"`},
		{"a function with config", "", `{ KEY = { ... }: { config.user = "a"; }; }`, `"user":"a"`},
		{"a function that imports", "", `{ KEY = { ... }: { imports = [ { user = "a"; } ./key.nix ]; user = lib.mkForce "b"; }; }`, `"user":"b"`},
		{"a function with an option", "", `{ KEY = { ... }: { options.note = lib.mkOption { default = 1; }; }; }`, `"note":1`},
		{"a function with an argument", "", `{ KEY = { who, ... }: { user = who; _module.args.who = "a"; }; }`, `"user":"a"`},
		{"a file that is a module", "", `{ KEY = ./key.nix; }`, `"user":"file-of-a file that is a module"`},
		{"unchecked", "", `{ KEY = { _module.check = false; user = "a"; unheardOf = 1; }; }`, `"user":"a"`},
		{"freeform by itself", "", `{ KEY = { _module.freeformType = lib.types.attrsOf lib.types.anything; user = "a"; note = 1; }; }`, `"note":1`},
		{"an argument", "", `{ KEY = { _module.args.name = lib.mkForce "x"; }; }`, `"name":"x"`},

		{"reads another's path", "", `{ KEY.user = config.deployment.keys.all.path; }`, `"user":"/d/n"`},
		{"reads its own options", "", `{ KEY = { user = "a"; text = config.deployment.keys."reads its own options".user; group = config.deployment.keys."reads its own options".path; }; }`, `"text":"a"`},
		{"reads one that is forced", "", `{ KEY.user = config.deployment.keys."the name is forced".path; }`, `"user":"/run/keys/n"`},
		{"reads another node's", "", `{ KEY.user = nodes.web.config.deployment.keys.text.path; }`, `"user":"/run/keys/text"`},

		{"another declaration", "empty", `{ KEY.user = "a"; }`, `"user":"a"`},
		{"another's option is left", "an option", `{ KEY.user = "a"; }`, `"note":"of another's option is left"`},
		{"another's option is set", "an option", `{ KEY.note = lib.mkDefault "a"; }`, `"note":"a"`},
		{"another's default", "a default", `{ KEY.group = "g"; }`, `"user":"g"`},
		{"another's default is overridden", "a default", `{ KEY.user = "u"; }`, `"user":"u"`},
		{"another's freeform type", "freeform", `{ KEY = { note = { deep = [ 1 ]; }; user = "a"; }; }`, `"note":{"deep":[1]}`},
		{"another's submoduleWith", "lazy", `{ KEY.user = "a"; }`, `"note":1`},
	}
	nodes := map[string]string{}
	for _, c := range cases {
		key := "deployment.keys." + quoted(c.name)
		nodes[c.declared] += "\n({ lib, config, nodes, ... }: " + strings.NewReplacer("KEYS", "deployment.keys", "KEY", key).Replace(c.module) + ")"
	}
	name := func(declared string) string { return strings.TrimSuffix("web "+declared, " ") }
	// Most of these keys have no source.
	hive := "{ defaults = { lib, ... }: { imports = [ " + base + " ]; assertions = lib.mkForce [ ]; };\n"
	for declaration, modules := range nodes {
		more := declared[declaration]
		if more != "" {
			more = "({ lib, ... }: " + more + ")"
		}
		hive += quoted(name(declaration)) + " = { imports = [ " + more + modules + " ]; };\n"
	}
	const expr = `builtins.mapAttrs (_: node: { inherit (node.config.deployment) keys; system = node.config.system.build.toplevel.drvPath; }) nodes`
	type node struct {
		Keys   map[string]json.RawMessage
		System string
	}
	var quick, slow map[string]node
	for into, isQuick := range map[*map[string]node]bool{&quick: true, &slow: false} {
		out, failure := asked(t, isQuick, hive+"}", expr)
		if failure != nil {
			t.Fatalf("quick: %t: %+v", isQuick, *failure)
		}
		if err := json.Unmarshal([]byte(out), into); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range cases {
		got, want := string(quick[name(c.declared)].Keys[c.name]), string(slow[name(c.declared)].Keys[c.name])
		switch {
		case got != want:
			t.Errorf("%s: %s, want %s", c.name, got, want)
		case c.want == none && got != "", !strings.Contains(got, strings.TrimPrefix(c.want, none)):
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	for name := range slow {
		if quick[name].System != slow[name].System || !strings.HasSuffix(slow[name].System, ".drv") {
			t.Errorf("%s: the system is %s, want %s", name, quick[name].System, slow[name].System)
		}
	}
}

func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// What is wrong with a key is said in the module system's words, which name the
// option and where it is set.
func TestWrongKeysAreRefusedInTheModuleSystemsWords(t *testing.T) {
	for name, c := range map[string]struct{ key, want string }{
		"an unknown option":                  {`{ text = "s"; mode = "0600"; }`, "`deployment.keys.k.mode' does not exist"},
		"a number for a string":              {`{ user = 1; }`, "`deployment.keys.k.user' is not of type `string'"},
		"null for a string":                  {`{ user = null; }`, "`deployment.keys.k.user' is not of type `string'"},
		"a function for a string":            {`{ user = x: x; }`, "is not of type `string'"},
		"a list for a text":                  {`{ text = [ ]; }`, "`deployment.keys.k.text' is not of type `null or string'"},
		"a set for a text":                   {`{ text = { outPath = "/x"; }; }`, "is not of type `null or string'"},
		"a set of an unknown sort":           {`{ text = { _type = "x"; }; }`, "is not of type `null or string'"},
		"an empty command":                   {`{ keyCommand = [ ]; }`, "keyCommand' is not of type"},
		"a string for a command":             {`{ keyCommand = "pass"; }`, "keyCommand' is not of type"},
		"a number in a command":              {`{ keyCommand = [ "pass" 1 ]; }`, "is not of type `string'"},
		"a relative file":                    {`{ keyFile = "x"; }`, "keyFile' is not of type"},
		"a relative directory":               {`{ destDir = "x"; }`, "destDir' is not of type"},
		"a number for permissions":           {`{ permissions = 600; }`, "permissions' is not of type"},
		"another time":                       {`{ uploadAt = "never"; }`, "uploadAt' is not of type"},
		"a word for a boolean":               {`{ allowEmpty = "yes"; }`, "allowEmpty' is not of type `boolean'"},
		"a number for a variable":            {`{ environment.A = 1; }`, "`deployment.keys.k.environment.A' is not of type `string'"},
		"a list for the environment":         {`{ environment = [ ]; }`, "`deployment.keys.k.environment' is not of type"},
		"two values of a variable":           {`lib.mkMerge [ { environment.A = "a"; } { environment.A = "b"; } ]`, "environment.A' has conflicting definition values"},
		"a throw for a variable":             {`{ environment.A = throw "my words"; }`, "my words"},
		"no time at all":                     {`{ keyTimeout = 0; }`, "keyTimeout' is not of type"},
		"a text for a time":                  {`{ keyTimeout = "2m"; }`, "keyTimeout' is not of type"},
		"the path":                           {`{ path = "/x"; }`, "`deployment.keys.k.path' is read-only"},
		"the path by force":                  {`{ path = lib.mkForce "/x"; }`, "`deployment.keys.k.path' is read-only"},
		"two values":                         {`lib.mkMerge [ { user = "a"; } { user = "b"; } ]`, "user' has conflicting definition values"},
		"null and not null":                  {`lib.mkMerge [ { text = null; } { text = "s"; } ]`, "text"},
		"a string for a key":                 {`"s"`, "deployment.keys.k"},
		"a number for a key":                 {`1`, "`deployment.keys.k' is not of type `submodule'"},
		"a list for a key":                   {`[ ]`, "`deployment.keys.k' is not of type `submodule'"},
		"null for a key":                     {`null`, "`deployment.keys.k' is not of type `submodule'"},
		"a number beside a set":              {`lib.mkMerge [ { user = "a"; } 1 ]`, "`deployment.keys.k' is not of type `submodule'"},
		"imports":                            {`{ imports = [ { user = "a"; } ]; }`, "`deployment.keys.k.imports' does not exist"},
		"config":                             {`{ config.user = "a"; }`, "`deployment.keys.k.config' does not exist"},
		"options":                            {`{ options = { }; }`, "`deployment.keys.k.options' does not exist"},
		"a functor":                          {`{ __functor = _: { ... }: { }; }`, "`deployment.keys.k.__functor' does not exist"},
		"a function with an unknown option":  {`{ ... }: { mode = "0600"; }`, "`deployment.keys.k.mode' does not exist"},
		"a function that wants what is not":  {`{ unheardOf, ... }: { user = unheardOf; }`, "unheardOf"},
		"a condition that is none, on a key": {`lib.mkIf 1 { }`, "mkIf"},
		"a condition that is none":           {`{ user = lib.mkIf 1 "a"; }`, "mkIf"},
		"a throw for a key":                  {`throw "my words"`, "my words"},
		"a throw for a text":                 {`{ text = throw "my words"; }`, "my words"},
		"a throw for a directory":            {`{ destDir = throw "my words"; }`, "my words"},
		"a throw for a name":                 {`{ name = throw "my words"; }`, "my words"},
		"a throw in a command":               {`{ keyCommand = [ "pass" (throw "my words") ]; }`, "my words"},
		"a throw in a set":                   {`{ text = { _type = throw "my words"; }; }`, "my words"},
		"a throw where two define":           {`lib.mkMerge [ { text = throw "my words"; } { user = "a"; } ]`, "my words"},
		"a throw by force":                   {`{ text = lib.mkForce (throw "my words"); }`, "my words"},
		"a missing attribute":                {`{ text = { }.unheardOf; }`, "unheardOf"},
		"itself":                             {`{ user = config.deployment.keys.k.user; }`, "infinite recursion"},
		"its own path":                       {`{ name = config.deployment.keys.k.path; }`, "infinite recursion"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hive := "{ web = { lib, config, ... }: { deployment.keys = { k = " + c.key + "; other.text = \"s\"; }; }; }"
			// The path of the key is asked for first, as select.nix does.
			const expr = `builtins.mapAttrs (_: key: builtins.seq key.path key) nodes.web.config.deployment.keys`
			out, quick := asked(t, true, hive, expr)
			if quick == nil {
				t.Fatalf("no error, but %s", out)
			}
			out, slow := asked(t, false, hive, expr)
			if slow == nil {
				t.Fatalf("the module system has no error, but %s", out)
			}
			if !reflect.DeepEqual(quick, slow) {
				t.Errorf("%q\nwant\n%q", *quick, *slow)
			}
			if !strings.Contains(slow.Message, c.want) {
				t.Errorf("%s\nlacks %q", slow.Message, c.want)
			}
		})
	}
}

// What nobody asks for is not evaluated, and what the option tells of itself is
// the same.
func TestAKeysTypeIsAsLazyAndAsOpenAsTheRealOne(t *testing.T) {
	const hive = `{ web = { lib, config, options, ... }: {
		_module.args = { inherit lib; };
		deployment.keys = {
			bad = throw "a key was evaluated";
			good = { text = throw "a text was evaluated"; user = "a"; };
			forced = { text = throw "a text was evaluated"; user = lib.mkForce "a"; };
			plain.text = "s";
		};
	}; }`
	const with = `let inherit (nodes.web) config options; lib = (import <nixpkgs> { }).lib; keys = config.deployment.keys; option = options.deployment.keys; in `
	for name, c := range map[string]struct{ expr, want string }{
		"the names of keys":           {`map (k: builtins.seq k k) (builtins.attrNames (removeAttrs keys [ ]))`, "a key was evaluated"},
		"a path":                      {`with option.type.nestedTypes.elemType; (merge [ "a" "k" ] [ { file = "f"; value = { text = throw "evaluated"; }; } ]).path`, `"/run/keys/k"`},
		"a directory as a path":       {`with option.type.nestedTypes.elemType; (merge [ "a" "k" ] [ { file = "f"; value = { destDir = <nixpkgs> + "/lib"; }; } ]).path`, `-lib/k"`},
		"options that it has":         {`with option.type.nestedTypes.elemType; builtins.attrNames (merge [ "a" "k" ] [ { file = "f"; value = { text = throw "evaluated"; user = throw "evaluated"; }; } ])`, `"uploadAt"`},
		"its description":             {`[ option.type.name option.type.description option.type.nestedTypes.elemType.name option.type.nestedTypes.elemType.description ]`, `"submodule","submodule"]`},
		"its documentation":           {`if lib ? optionAttrSetToDocList then map (o: { inherit (o) name description type; default = o.default or null; internal = o.internal or false; }) (lib.optionAttrSetToDocList { deployment.keys = option; }) else "permissions in octal"`, `permissions in octal`},
		"its options":                 {`builtins.mapAttrs (_: o: [ (o.description or null) (o.type.description or null) (o.internal or false) ]) (option.type.getSubOptions [ "p" ])`, `null or string`},
		"its modules":                 {`builtins.length option.type.getSubModules`, `1`},
		"another of its type":         {`with option.type.nestedTypes.elemType; ((substSubModules [ { options.x = lib.mkOption { default = 1; }; } ]).merge [ "k" ] [ { file = "f"; value = { }; } ])`, `{"x":1}`},
		"its modules and more":        {`with option.type.nestedTypes.elemType; (substSubModules [ { imports = getSubModules; options.x = lib.mkOption { default = 1; }; } ]).merge [ "k" ] [ { file = "f"; value = { }; } ]`, `"x":1`},
		"its type with another":       {`let more = lib.types.attrsOf (lib.types.submodule { options.x = lib.mkOption { default = 1; }; }); in ((option.type.typeMerge more.functor).merge [ "k" ] [ { file = "f"; value = { a = { }; }; } ]).a.x`, `1`},
		"another with its type":       {`let more = lib.types.attrsOf (lib.types.submodule { options.x = lib.mkOption { default = 1; }; }); in ((more.typeMerge option.type.functor).merge [ "k" ] [ { file = "f"; value = { a = { }; }; } ]).a.path`, `"/run/keys/a"`},
		"its type with another's":     {`option.type.typeMerge (lib.types.attrsOf lib.types.str).functor == null`, `true`},
		"what it checks":              {`map option.type.nestedTypes.elemType.check [ { } (x: x) "/x" "x" 1 null [ ] ]`, `[true,true,true,false,false,false,false]`},
		"no definition":               {`option.type.nestedTypes.elemType.merge [ "k" ] [ ]`, `"path":"/run/keys/k"`},
		"definitions and their files": {`builtins.length option.definitionsWithLocations`, `1`},
		"how a key was evaluated":     {`if option ? valueMeta then (option.type.merge.v2 { loc = [ "k" ]; defs = [ { file = "f"; value = { a.user = "u"; }; } ]; }).valueMeta.attrs.a.configuration.options.user.value else "u"`, `"u"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			quick, failure := asked(t, true, hive, with+c.expr)
			slow, real := asked(t, false, hive, with+c.expr)
			if !reflect.DeepEqual(failure, real) || quick != slow {
				t.Errorf("%s %+v\nwant\n%s %+v", quick, failure, slow, real)
			}
			if real != nil {
				slow = real.Message
			}
			if !strings.Contains(slow, c.want) {
				t.Errorf("%s\nlacks %q", slow, c.want)
			}
		})
	}
}
