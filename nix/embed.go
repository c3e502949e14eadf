// Package nix holds the Nix half of the program: it evaluates hives and is part
// of every node's configuration.
package nix

import _ "embed"

var (
	//go:embed eval.nix
	eval string
	//go:embed options.nix
	options string
	//go:embed keys.nix
	keys string
)

// Expression is all of it as one Nix expression, which imports nothing and so
// needs neither a file in a store nor an input of a flake: a set with makeHive,
// fromFlake and select. Its length leaves room in one argument of a program,
// which ends at 128 KiB (execve(2)).
func Expression() string {
	return "(\n" + eval + ") {\noptions =\n" + options + ";\nkeys =\n" + keys + ";\n}\n"
}
