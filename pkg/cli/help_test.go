package cli

import (
	"bytes"
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/report"
)

func helpOf(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	screen := report.NewTerminal(&bytes.Buffer{})
	defer screen.Close(t.Context())
	app := newApp(&out, screen)
	words, err := arrange(app, append(append([]string{"colmena-go"}, args...), "--help"))
	if err == nil {
		err = app.RunContext(t.Context(), words)
	}
	if err != nil || out.Len() == 0 {
		t.Fatalf("%v: %q, %v", args, &out, err)
	}
	return out.String()
}

// shownCommands are all that people are told of, and "" for the program itself.
func shownCommands() (names []string) {
	names = append(names, "")
	for _, command := range newApp(&bytes.Buffer{}, &bytes.Buffer{}).Commands {
		if !command.Hidden {
			names = append(names, command.Name)
		}
	}
	return names
}

func TestHelpFitsATerminalOf80Columns(t *testing.T) {
	for _, command := range shownCommands() {
		text := helpOf(t, strings.Fields(command)...)
		for line := range strings.Lines(text) {
			if utf8.RuneCountInString(strings.TrimRight(line, "\n")) > 80 {
				t.Errorf("%s: %q is too long", command, line)
			}
		}
		for _, bad := range []string{"(default: false)", `"auto"`, "`", "\t"} {
			if strings.Contains(strings.ReplaceAll(text, "`nix repl`", ""), bad) {
				t.Errorf("%s: %q is in the help:\n%s", command, bad, text)
			}
		}
	}
}

func TestEveryFlagAndCommandHasAPlaceInTheHelp(t *testing.T) {
	app := newApp(&bytes.Buffer{}, &bytes.Buffer{})
	program := helpOf(t)
	for _, command := range app.Commands {
		if command.Hidden {
			continue
		}
		if !strings.Contains(program, "\n  "+command.Name+"  ") {
			t.Errorf("%s is in no group of commands (commandGroups)", command.Name)
		}
		text := helpOf(t, command.Name)
		for _, flag := range visible(command.Flags) {
			if name := flag.Names()[0]; !regexp.MustCompile(`(?m)^  (-\w, )?--` + name + `\b`).MatchString(text) {
				t.Errorf("%s: --%s is in no group of flags (flagGroups)", command.Name, name)
			}
			if _, isBool := flag.(*cli.BoolFlag); isBool && strings.Contains(flag.(cli.DocGenerationFlag).GetUsage(), "`") {
				t.Errorf("%s: --%s has no value to name", command.Name, flag.Names()[0])
			}
		}
	}
	for _, flag := range visible(app.Flags) {
		if !strings.Contains(program, "--"+flag.Names()[0]) {
			t.Errorf("--%s is in no group of flags (flagGroups)", flag.Names()[0])
		}
	}
}

// What an example shows is what the program reads: its flags, its goals.
func TestEveryCommandHasExamplesThatItUnderstands(t *testing.T) {
	for _, name := range shownCommands() {
		list := examples[name]
		if len(list) == 0 {
			t.Errorf("%q has no example", name)
		}
		for _, e := range list {
			_, line, found := strings.Cut(e.line, "colmena-go ")
			if !found {
				t.Errorf("%q does not run the program", e.line)
				continue
			}
			line, _, _ = strings.Cut(line, " >")
			line, _, _ = strings.Cut(line, " <")
			line, _, _ = strings.Cut(line, " ||")
			words, _ := bashWords("colmena-go " + strings.TrimSuffix(line, ")"))
			if name != "" && !slices.Contains(words, name) {
				t.Errorf("%q is no example of %s", e.line, name)
			}
			app := newApp(&bytes.Buffer{}, &bytes.Buffer{})
			for _, command := range app.Commands { // only read, and not run
				if command.Name == "help" { // urfave/cli has one for all apps
					continue
				}
				if takesGoal := command.Name == "apply" || command.Name == "plan" || command.Name == "apply-local"; takesGoal {
					command.Action = func(c *cli.Context) error { _, err := goalOf(c); return err }
					continue
				}
				command.Action = func(*cli.Context) error { return nil }
			}
			words, err := arrange(app, words)
			if err == nil {
				err = app.RunContext(context.Background(), words)
			}
			if err != nil {
				t.Errorf("%q: %v", e.line, err)
			}
		}
	}
	for name := range examples {
		if !slices.Contains(shownCommands(), name) {
			t.Errorf("there are examples of %q, which is no command", name)
		}
	}
}

func TestHelpShowsNoFlagThatDoesNothing(t *testing.T) {
	for command, idle := range map[string][]string{
		"apply":       nil,
		"build":       {"--no-keys", "--force-replace-unknown-profiles", "--via", "--via-from"},
		"upload-keys": {"--no-keys", "--force-replace-unknown-profiles", "--no-substitute", "--keep-result", "--build-on-target", "--no-build-on-target", "--push-parallel", "--build-jobs", "--via", "--via-from"},
	} {
		text := helpOf(t, command)
		for _, flag := range []string{"--no-keys", "--force-replace-unknown-profiles", "--no-substitute", "--keep-result", "--build-on-target", "--no-build-on-target", "--push-parallel", "--build-jobs", "--via", "--via-from"} {
			if shown := strings.Contains(text, "  "+flag) || strings.Contains(text, ", "+flag); shown == slices.Contains(idle, flag) {
				t.Errorf("%s: %s is shown: %t", command, flag, shown)
			}
		}
		if _, err := arrange(newApp(&bytes.Buffer{}, &bytes.Buffer{}), withValues(append([]string{"colmena-go", command}, idle...))); err != nil {
			t.Errorf("%s %v: %v", command, idle, err)
		}
	}
}

// withValues gives those flags a value that need one.
func withValues(args []string) (all []string) {
	for _, arg := range args {
		if all = append(all, arg); slices.Contains([]string{"--push-parallel", "--build-jobs", "--via", "--via-from"}, arg) {
			all = append(all, "1")
		}
	}
	return all
}

func TestATableBreaksLinesWhereItsTextBegins(t *testing.T) {
	s := section{"Title", []item{{"--flag", strings.Repeat("word ", 20)}, {"--a-flag-that-is-far-too-long", "some words"}}}
	const want = "  --flag  word word word word word word word word word word word word word word\n" +
		"          word word word word word word\n" +
		"  --a-flag-that-is-far-too-long\n" +
		"          some words"
	if got := strings.Join(s.lines(), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
