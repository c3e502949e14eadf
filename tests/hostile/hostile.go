// Package hostile holds hives that cannot be evaluated, each with a secret in a
// place from which Nix would print it.
package hostile

// Secret is planted in every one.
const Secret = "s3cret"

// Hive is a hive.nix, and keys.nix beside it where that is not "".
type Hive struct {
	Name, Text, Keys string
	Says             []string // what its error says nevertheless; "|" parts what versions of Nix say
}

// inKey is a hive whose key has an expression for its text.
func inKey(name, text string, says ...string) Hive {
	return Hive{Name: name, Text: `{ web = { lib, ... }: { deployment.keys.k.text = ` + text + `; }; }`, Says: append(says, `node "web"`)}
}

// beside is a hive that has the expression in an option that is no key's, where
// what somebody throws may be shown, but not what Nix finds.
func beside(name, text string, says ...string) Hive {
	return Hive{Name: name + ", beside keys", Text: `{ web.deployment.tags = [ ` + text + ` ]; }`, Says: append(says, `node "web"`)}
}

// imported is a hive that takes its keys from a file.
func imported(name, keys string, says ...string) Hive {
	return Hive{Name: name, Text: `{ web.deployment.keys = import ./keys.nix; }`, Keys: keys, Says: says}
}

// Hives lists them.
var Hives = []Hive{
	// Whatever the file itself cannot be read for.
	{Name: "a syntax error beside a secret", Text: `{ web.deployment.keys.k.text = "s3cret" }`, Says: []string{"syntax error", "hive.nix:1:"}},
	{Name: "a forgotten semicolon", Text: "{ web.deployment.keys = {\n a.text = \"s3cret\"\n b.text = \"s3cret\"; }; }", Says: []string{"syntax error", "hive.nix:3:"}},
	{Name: "a forgotten quote", Text: `{ web.deployment.keys.k.text = s3cret; }`, Says: []string{"undefined variable [not shown]", "hive.nix:1:32", "text needs quotes"}},
	{Name: "a forgotten quote at the end", Text: `{ web.deployment.keys.k.text = "s3cret; }`, Says: []string{"syntax error"}},
	{Name: "a path for a secret", Text: `{ web.deployment.keys.k.text = <s3cret/x>; }`, Says: []string{`node "web"`}},
	imported("a syntax error in a file of keys", `{ k.text = "s3cret" }`, "syntax error", "keys.nix:1:"),
	imported("a forgotten quote in a file of keys", `{ k.text = s3cret; }`, "undefined variable [not shown]", "keys.nix:1:"),
	imported("one attribute twice", `{ "s3cret" = 1; "s3cret" = 2; }`, "attribute [not shown]", "keys.nix:1:"),
	imported("a number too long", `{ k.text = toString 73737373737373737373; }`, "invalid integer [not shown]", "keys.nix:1:"),

	// What the options are set to.
	inKey("a text of the wrong type", `[ "s3cret" ]`, "deployment.keys.k.text", "in the hive': [not shown]"),
	{Name: "a key that is its text", Text: `{ web.deployment.keys.k = "s3cret"; }`, Says: []string{`node "web"`, "deployment.keys.k"}},
	{Name: "a list of keys", Text: `{ web.deployment.keys = [ { text = "s3cret"; } ]; }`, Says: []string{`node "web"`, "deployment.keys"}},
	{Name: "a command that is a string", Text: `{ web.deployment.keys.k.keyCommand = "vault login s3cret"; }`, Says: []string{"keyCommand", "a list of words"}},
	{Name: "a command of sets", Text: `{ web.deployment.keys.k.keyCommand = [ "x" { token = "s3cret"; } ]; }`, Says: []string{"keyCommand"}},
	{Name: "two texts", Text: `{ web = { imports = [ { deployment.keys.k.text = "s3cret1"; } { deployment.keys.k.text = "s3cret2"; } ]; }; }`, Says: []string{"deployment.keys.k.text", "conflicting"}},
	{Name: "a phase that is none", Text: `{ web.deployment.keys.k = { text = "x"; uploadAt = "s3cret"; }; }`, Says: []string{"uploadAt"}},
	{Name: "a misspelt option of a key", Text: `{ web.deployment.keys.k.txt = "s3cret"; }`, Says: []string{"deployment.keys.k.txt", "did you mean text?"}},
	{Name: "a misspelt deployment", Text: `{ web.deployement.keys.k.text = "s3cret"; }`, Says: []string{"The option `deployement' does not exist", "In `"}},
	{Name: "keys beside deployment", Text: `{ web.keys.k.text = "s3cret"; }`, Says: []string{"The option `keys' does not exist", "hint: it is deployment.keys"}},
	{Name: "keys in the hive's meta", Text: `{ meta.keys.k.text = "s3cret"; web = { }; }`, Says: []string{"The option `keys' does not exist", "there is no meta.keys"}},
	{Name: "deployment that is a string", Text: `{ web = { lib, ... }: { deployment = lib.mapAttrs (n: v: { text = v; }) "s3cret"; }; }`, Says: []string{"a set", "a string"}},

	// What a key's expression comes to.
	inKey("a set in a string", `"pw=" + { password = "s3cret"; }`, "cannot coerce a set to a string"),
	inKey("a list in a string", `"pw=${[ "s3cret" ]}"`, "cannot coerce a list to a string"),
	inKey("a string that is called", `"s3cret" { }`, "not a function"),
	inKey("a number that is none", `toString (lib.toInt "s3cret")`, "deployment.keys.k.text"),
	inKey("a string that is added", `toString (1 + "s3cret")`, "cannot add a string to an integer"),
	inKey("a string for a condition", `if "s3cret" then "a" else "b"`, "Boolean"),
	inKey("an assertion", `assert "s3cret" == "other"; "v"`, "not shown"),
	inKey("an assertion about sets", `assert { p = "s3cret"; } == { p = "x"; }; "v"`, "not shown"),
	inKey("JSON", `builtins.fromJSON "{ \"a\": s3cret"`, "deployment.keys.k.text"),
	inKey("TOML", `builtins.fromTOML "a = s3cret"`, "TOML"),
	inKey("a bad pattern", `builtins.elemAt (builtins.match "s3cret(" "x") 0`, "invalid regular expression"),
	inKey("a file that is no path", `builtins.readFile "s3cret"`, "string [not shown]"),
	inKey("a file of a secret name", `builtins.readFile ("/" + "s3cret")`, "deployment.keys.k.text"),
	inKey("a folder of a secret name", `builtins.readFile ("/s3cret" + "/x")`, "deployment.keys.k.text"),
	inKey("an import", `import ("/" + "s3cret/x.nix")`, "deployment.keys.k.text"),
	inKey("an attribute of a string", `"s3cret".password`, "a set", "string"),
	inKey("a secret for a name", `{ }.${"s3cret"}`, "attribute [not shown]"),
	inKey("a secret for a name of getAttr", `builtins.getAttr "s3cret" { }`, "attribute [not shown]"),
	inKey("a secret for an argument", `({ a }: a) (builtins.listToAttrs [ { name = "a"; value = "x"; } { name = "s3cret"; value = 1; } ])`, "unexpected argument"),
	inKey("a throw", `throw "the token ${"s3" + "cret"} is old"`, "deployment.keys.k.text"),
	inKey("an abort", `abort "the token ${"s3" + "cret"} is old"`, "deployment.keys.k.text"),
	inKey("a throw of the library", `lib.throwIf true "the token ${"s3" + "cret"} is old" "x"`, "deployment.keys.k.text"),
	inKey("a value that looks like a message", `["one`+"\nerror: s3cret\nat s3cret\n… s3cret\n- In `x': s3cret\n"+`  s3cret"]`, "not of type"),
	inKey("endless recursion", `let s3cret = { text = s3cret.text; }; in s3cret.text`, "infinite recursion"),
	inKey("a hash", `builtins.hashString "s3cret" "x"`, "unknown hash algorithm [not shown]"),
	inKey("a name in the store", `builtins.readFile (builtins.toFile "s3 s3cret" "x")`, "deployment.keys.k.text"),
	{Name: "a file of keys that is not there", Text: `{ web.deployment.keys = import /etc/no-keys.nix; }`, Says: []string{`node "web"`, "/etc/no-keys.nix"}},
	{Name: "a key's text in another option", Text: `{ web = { config, ... }: { deployment.keys.k.text = "s3cret"; deployment.targetUser = toString (1 + config.deployment.keys.k.text); }; }`, Says: []string{"cannot add a string to an integer"}},
	{Name: "a key's text for a store path", Text: `{ web = { config, ... }: { deployment.keys.k.text = "/s3cret/x"; deployment.tags = [ (builtins.storePath config.deployment.keys.k.text) ]; }; }`, Says: []string{"[not shown]"}},
	{Name: "a key's text for a path in the store", Text: `{ web = { config, ... }: { deployment.keys.k.text = "/nix/store/s3cret"; deployment.tags = [ (builtins.storePath config.deployment.keys.k.text) ]; }; }`, Says: []string{"[not shown]"}},
	{Name: "a key's text for a node", Text: `{ web = { config, nodes, ... }: { deployment.keys.k.text = "s3cret"; deployment.tags = [ nodes.${config.deployment.keys.k.text}.config.networking.hostName ]; }; }`, Says: []string{"attribute [not shown] missing"}},
	{Name: "a key's text for an option", Text: `{ web = { config, ... }: { deployment.keys.k.text = "s3cret"; deployment.tags = [ config.${config.deployment.keys.k.text}.x ]; }; }`, Says: []string{"attribute [not shown] missing"}},
	inKey("a secret for a node", `let nodes = { }; n = "s3cret"; in nodes.${n}`, "attribute [not shown]"),
	{Name: "a key's text in a pattern", Text: `{ web = { config, ... }: { deployment.keys.k.text = "s3cret("; deployment.tags = builtins.match config.deployment.keys.k.text "x"; }; }`, Says: []string{"invalid regular expression [not shown]"}},

	// Newer versions of Nix quote more than 2.8 does.
	inKey("a comparison", `if "s3cret" < 1 then "a" else "b"`, "cannot compare a string with an integer"),
	inKey("a folder for a file", `builtins.readFile "/etc"`, ": Is a directory"),
	inKey("a file for a folder", `builtins.readDir "/etc/passwd"`, "directory '/etc/passwd'"),
	beside("a comparison", `(if "s3cret" < 1 then "a" else "b")`, "cannot compare a string with an integer"),
	beside("a comparison of sets", `(if { p = "s3cret"; } < { p = "x"; } then "a" else "b")`, "cannot compare a set with a set"),
	beside("a comparison in a list", `(if [ "s3cret" ] < [ 1 ] then "a" else "b")`, "cannot compare a string with an integer"),
	beside("a number too large", `(toString (9223372036854775807 + 7373737) + { })`, "integer overflow in adding [not shown]|cannot coerce"),
	beside("a string without context", `(builtins.addDrvOutputDependencies "s3cret")`, "context of string [not shown]|attribute [not shown] missing|attribute 'addDrvOutputDependencies' missing"),
	beside("a context that is none", `(builtins.appendContext "x" { "s3cret" = { }; })`, "ontext key [not shown]"),
	beside("a name of a derivation", `(derivation { name = "a s3cret"; system = "x"; builder = "y"; }).outPath`, "[not shown]"),
	beside("a kind of tree", `(builtins.fetchTree { type = "s3cret"; }).outPath`, "unsupported input [not shown]"),
	beside("an argument", `(({ a }: a) (builtins.listToAttrs [ { name = "a"; value = "x"; } { name = "s3cret"; value = 1; } ]))`, "called with unexpected argument [not shown]"),

	// Nobody has said yet what it belongs to.
	{Name: "JSON before any node", Text: `builtins.mapAttrs (n: v: { deployment.keys.k.text = v; }) (builtins.fromJSON "{ \"web\": s3cret }")`, Says: []string{"parse error"}},
	{Name: "a string for the hive", Text: `"s3cret"`, Says: []string{"the hive must be"}},
	{Name: "an assertion of the hive", Text: `assert "s3cret" == "other"; { }`, Says: []string{"not shown"}},
	{Name: "a download with a token", Text: `import (builtins.fetchTarball "http://user:s3cret@127.0.0.1:1/x.tar.gz")`, Says: []string{"127.0.0.1:1"}},
	{Name: "a download with a token in its query", Text: `import (builtins.fetchTarball "http://127.0.0.1:1/x.tar.gz?private_token=s3cret")`, Says: []string{"127.0.0.1:1"}},
	inKey("a download with a token in its query", `builtins.readFile (builtins.fetchurl "http://127.0.0.1:1/x?private_token=s3cret")`, "deployment.keys.k.text"),
	inKey("a builder that prints it", `builtins.readFile (derivation { name = "x"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo s3cret >&2; exit 1" ]; })`, "builder for '/nix/store/", "failed with exit code 1", "(the builder's last lines may be a secret: --show-trace shows them)"),
	inKey("a name with a dot", `lib.s3cret`, "attribute [not shown]", "hive.nix:1:"),
	{Name: "a name with a dot, in what is no option yet", Text: `let keys = { text = { }.s3cret; }; in { web.deployment.tags = [ keys.text ]; }`, Says: []string{"attribute [not shown]", "hive.nix:1:"}},
	{Name: "special arguments of the wrong type", Text: `{ meta.specialArgs = "s3cret"; web = { }; }`, Says: []string{"specialArgs", "in the hive': [not shown]"}},
	{Name: "a node's special arguments of the wrong type", Text: `{ meta.nodeSpecialArgs = "s3cret"; web = { }; }`, Says: []string{"nodeSpecialArgs", "in the hive': [not shown]"}},
	{Name: "special arguments for one node of the wrong type", Text: `{ meta.nodeSpecialArgs.web = "s3cret"; web = { }; }`, Says: []string{"a set"}},
	{Name: "a secret for an attribute of the hive", Text: `{ web = (builtins.fromJSON "{}").${"s3cret"}; }`, Says: []string{"attribute [not shown]"}},
}
