package cli

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nix"
)

// again is the command line, for a POSIX shell, that does the same once more for
// these nodes alone. What may be a login is left out.
func again(c *cli.Context, program string, nodes []string) string {
	patterns := make([]string, len(nodes))
	for i, node := range nodes {
		patterns[i] = hive.Literal(node)
	}
	if !strings.Contains(program, "/") || strings.HasPrefix(program, "/nix/store/") {
		program = c.App.Name // from PATH, or as `nix run` found it
	}
	words, args := []string{program, c.Command.Name}, c.Args().Slice()
	if !slices.Contains(wordy, c.Command.Name) { // whose arguments come last
		words, args = append(words, args...), nil
	}
	if named(c.Command.Flags, "on") != nil {
		words = append(words, "--on", strings.Join(patterns, ","))
	}
	for _, flag := range slices.Concat(c.App.Flags, c.Command.Flags) {
		if name := flag.Names()[0]; c.IsSet(name) && !slices.Contains(choosing, name) {
			words = append(words, written(c, flag)...)
		}
	}
	if len(args) > 0 {
		words = append(append(words, "--"), args...)
	}
	for i, word := range words {
		words[i] = quoted(nix.WithoutLogins(word))
	}
	return strings.Join(words, " ")
}

// choosing are the flags that choose nodes.
var choosing = []string{"on", "exclude"}

// written is a flag as it may stand on the command line.
func written(c *cli.Context, flag cli.Flag) (words []string) {
	name := "--" + flag.Names()[0]
	if arity(flag) == 0 {
		return []string{name}
	}
	switch value := c.Value(flag.Names()[0]).(type) {
	case *nixOptions:
		for _, option := range value.list {
			if secretive.MatchString(option[0]) {
				option[1] = "[value not shown]"
			}
			words = append(words, name, option[0], option[1])
		}
	default:
		words = []string{name, fmt.Sprint(value)}
		if strings.HasPrefix(words[1], "-") {
			words = []string{name + "=" + words[1]}
		}
	}
	return words
}

// secretive are Nix's options whose values may be secrets, such as access-tokens
// and impure-env, which fetchers and builders are given tokens with.
var secretive = regexp.MustCompile(`(?i)token|secret|password|impure-env`)

// plainWord needs no quoting in any shell.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9@%+:,./_-][A-Za-z0-9@%+=:,./_-]*$`)

func quoted(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
