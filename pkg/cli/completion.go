package cli

import (
	"embed"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/printable"
)

// completionName is the command that prints a shell's half of completion.
const completionName = "completion"

// completing is what those call: the shell's name and the words before the cursor, of which the last may be empty.
const completing = "__complete"

//go:embed completion
var shellScripts embed.FS

func shells() []string { return []string{"bash", "fish", "zsh"} }

func completionCommand() *cli.Command {
	return &cli.Command{
		Name:      completionName,
		Aliases:   []string{"gen-completions"}, // Colmena's
		Usage:     "print what a shell needs to complete commands, flags, nodes and tags",
		ArgsUsage: "SHELL",
		Description: `SHELL is bash, zsh or fish. Nodes and tags are those of the hive at hand when it
was evaluated last, by any command: nothing is evaluated to complete a word.`,
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			shell := c.Args().First()
			if c.NArg() != 1 || !slices.Contains(shells(), shell) {
				return usage("say for which shell: `%s %s bash`, zsh or fish", c.App.Name, completionName)
			}
			text, err := shellScripts.ReadFile("completion/" + shell)
			if err != nil {
				return err
			}
			_, err = c.App.Writer.Write(text)
			return err
		},
	}
}

// completeCommand answers a shell. It says nothing but candidates, and never fails: the
// user is in the middle of a line.
func completeCommand() *cli.Command {
	return &cli.Command{
		Name: completing, Hidden: true, SkipFlagParsing: true, HideHelp: true,
		Action: func(c *cli.Context) error {
			args := c.Args().Slice()
			if len(args) == 0 {
				return nil
			}
			co := completer{app: c.App, nodes: nodesOf}
			if args[0] == "bash" {
				if len(args) == 3 {
					bashLine{args[1], args[2]}.answer(c.App.Writer, co)
				}
				return nil
			}
			words := args[1:]
			if last := len(words) - 1; args[0] == "fish" && last >= 0 {
				words[last] = unquoted(words[last]) // fish does so with all but that
			}
			for _, found := range co.candidates(words) {
				if printableLine(found.word) {
					fmt.Fprintf(c.App.Writer, "%s\t%s\n", found.word, printable.Line(found.help, beside))
				}
			}
			return nil
		},
	}
}

// beside is how many columns can be seen beside a word.
const beside = 60

// printableLine: a terminal shows the text, and does nothing else with it.
func printableLine(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// bashLine is a command line up to the cursor, as bash has it: with its quotes, and with
// words that end at more than blanks (COMP_WORDBREAKS) when it puts a candidate in.
type bashLine struct{ breaks, line string }

func (l bashLine) answer(out io.Writer, co completer) {
	words, raw := bashWords(l.line)
	if len(words) < 2 {
		return
	}
	// What stands before the part that bash replaces.
	before := ""
	if at := lastBreak(raw, l.breaks); at > 0 {
		before = unquoted(raw[:at])
	}
	for _, found := range co.candidates(words[1:]) {
		if rest, ok := strings.CutPrefix(found.word, before); ok && printableLine(found.word) {
			fmt.Fprintln(out, bashQuoted(rest))
		}
	}
}

// bashWords takes a line apart as bash does, and returns its last word as written, too. A
// line that ends with a blank has an empty last word.
func bashWords(line string) (words []string, raw string) {
	begin := 0
	inWord := false
	for i := 0; i <= len(line); {
		if i == len(line) || line[i] == ' ' || line[i] == '\t' || line[i] == '\n' {
			if inWord || i == len(line) {
				raw = line[begin:i]
				words = append(words, unquoted(raw))
			}
			inWord = false
			i++
			begin = i
			continue
		}
		if !inWord {
			begin, inWord = i, true
		}
		_, n := unquotedPart(line[i:])
		i += n
	}
	return words, raw
}

// unquoted is a word as the program gets it.
func unquoted(raw string) string {
	var b strings.Builder
	for i := 0; i < len(raw); {
		part, n := unquotedPart(raw[i:])
		b.WriteString(part)
		i += n
	}
	return b.String()
}

// unquotedPart is what the text begins with: a character, or what is between quotes, with the
// bytes that it takes.
func unquotedPart(text string) (part string, size int) {
	switch text[0] {
	case '\\':
		if len(text) == 1 {
			return "", 1
		}
		return text[1:2], 2
	case '\'':
		end := strings.IndexByte(text[1:], '\'')
		if end < 0 {
			return text[1:], len(text)
		}
		return text[1 : end+1], end + 2
	case '"':
		var b strings.Builder
		for i := 1; i < len(text); i++ {
			switch {
			case text[i] == '"':
				return b.String(), i + 1
			case text[i] == '\\' && i+1 < len(text) && strings.IndexByte("$`\"\\", text[i+1]) >= 0:
				i++
			}
			b.WriteByte(text[i])
		}
		return b.String(), len(text)
	}
	return text[:1], 1
}

// lastBreak is where the part of a word begins that bash replaces.
func lastBreak(raw, breaks string) (at int) {
	for i := 0; i < len(raw); {
		_, n := unquotedPart(raw[i:])
		switch {
		case n == 1 && raw[i] != '\\' && raw[i] != '\'' && raw[i] != '"' && strings.IndexByte(breaks, raw[i]) >= 0:
			if at = i + 1; raw[i] == '@' || raw[i] == '$' {
				at = i // readline's special prefixes, in bash
			}
		case i+n >= len(raw) && (raw[i] == '\'' || raw[i] == '"') && (n == 1 || raw[len(raw)-1] != raw[i]):
			at = i + 1 // within quotes, which bash leaves as they are
		}
		i += n
	}
	return at
}

// bashQuoted is a word that bash reads as it is.
func bashQuoted(word string) string {
	var b strings.Builder
	for i, r := range word {
		if r == '~' && i == 0 && strings.HasPrefix(word, "~/") {
			b.WriteRune(r)
			continue
		}
		if r < 0x80 && !strings.ContainsRune("+-./:=@_%,", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
