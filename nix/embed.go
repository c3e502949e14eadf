// Package nix holds the Nix half of the program: it evaluates hives and is part
// of every node's configuration.
package nix

import (
	_ "embed"
	"strings"
)

var (
	//go:embed eval.nix
	eval string
	//go:embed select.nix
	selection string
	//go:embed introspect.nix
	introspect string
	//go:embed repl.nix
	repl string
	//go:embed configuration.nix
	configuration string
	//go:embed options.nix
	options string
	//go:embed quick-submodule.nix
	quickSubmodule string
	//go:embed keys.nix
	keys string
	//go:embed own-keys.sh
	ownKeys string
	//go:embed await-key.sh
	awaitKey string
	//go:embed watch-keys.sh
	watchKeys string
)

// Expression is all of it as one Nix expression, which imports nothing and so
// needs neither a file in a store nor an input of a flake: a set with makeHive,
// fromFlake, fromOutputs, select and introspect. Its length leaves room in one
// argument of a program, which ends at 128 KiB (execve(2)).
func Expression() string {
	scripts := "own-keys = " + Quote(ownKeys) + ";\nawait-key = " + Quote(awaitKey) + ";\nwatch-keys = " + Quote(watchKeys) + ";\n"
	return "(\n" + eval + ") {\noptions = (\n" + options + ") { quickSubmodule =\n" + quickSubmodule + "; };\nselect =\n" + selection + ";\nintrospect =\n" + introspect + ";\nconfiguration =\n" + configuration + ";\nkeys = (\n" + keys + ") { scriptText = name: {\n" + scripts + "}.${name}; };\n}\n"
}

// Repl is a file for `nix repl`: a function of the string file or flake, which says
// where the hive is.
func Repl() string { return "let c = " + Expression() + "; in\n" + repl }

// Quote writes a string of Nix; its lines stay lines.
func Quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "${", `\${`, "\r", `\r`).Replace(text) + `"`
}
