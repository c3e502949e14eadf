package cli

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// page is what there is to say of a command, or of the program: help, man pages and the
// reference in docs are made of it.
type page struct {
	name        string // with the program's
	summary     string
	synopsis    string
	description string // paragraphs
	examples    []example
	commands    []section
	flags       []section
}

// section is a part of a page with a title.
type section struct {
	title string
	items []item
}

// item is one thing and what it is for.
type item struct{ name, help string }

// example is a command line and what it does.
type example struct{ line, does string }

// commandGroups say in which order, and under which titles, commands are listed.
var commandGroups = []struct {
	title string
	names []string
}{
	{"Deploying", []string{"apply", "apply-local", "build", "upload-keys"}},
	{"Looking first", []string{"plan", "diff", "status", "keys", "list"}},
	{"On hosts", []string{"exec", "reboot"}},
	{"In the hive", []string{"eval", "repl"}},
	{"This program", []string{"nix-info", "completion", "man", "version", "help"}},
}

// flagGroups do the same for flags, by what people do with them.
var flagGroups = []struct {
	title string
	names []string
}{
	{"The hive", []string{"config", "impure", "nix-option", "show-trace"}},
	{"Which nodes", []string{"on", "exclude", "node"}},
	{"What is done", []string{"dry-run", "ask", "fail-fast", "expr", "instantiate", "argv", "stdin", "tty", "timeout", "no-escalation", "hosts-only", "watch", "every", "if-needed"}},
	{"Keys", []string{"no-keys", "keys", "resolve", "resolve-all", "prune-keys", "key-timeout", "key-parallel", "root", "show-key-errors"}},
	{"Builds and copies", []string{"build-jobs", "build-on-target", "no-build-on-target", "keep-result", "no-substitute", "via", "via-from"}},
	{"On the hosts", []string{"parallel", "push-parallel", "force-replace-unknown-profiles", "reboot", "reboot-if-needed", "reboot-timeout"}},
	{"SSH and root", []string{"ssh-config", "sudo", "ask-sudo-password", "sudo-password-fd"}},
	{"What is shown", []string{"quiet", "verbose", "group", "json", "json-events", "report", "metrics", "trace", "color", "log-format"}},
	{"Evaluation", []string{"no-eval-cache", "eval-workers", "eval-node-limit", "eval-memory"}},
	{"Help", []string{"help", "version"}},
}

// pageOf is the page of a command.
func pageOf(app *cli.App, command *cli.Command) page {
	synopsis := command.UsageText
	if synopsis == "" {
		synopsis = app.Name + " " + command.Name
		if slices.ContainsFunc(visible(command.Flags), func(flag cli.Flag) bool { return flag.Names()[0] != "help" }) {
			synopsis += " [flags]"
		}
		synopsis = strings.TrimSpace(synopsis + " " + command.ArgsUsage)
	}
	description := command.Description
	if len(command.Aliases) > 0 {
		description = strings.TrimSpace(description + "\n\nAlso called " + strings.Join(command.Aliases, ", ") + ".")
	}
	return page{
		name: app.Name + " " + command.Name, summary: command.Usage, synopsis: synopsis,
		description: description, examples: examples[command.Name], flags: flagSections(command.Flags),
	}
}

// pageOfApp is that of the program.
func pageOfApp(app *cli.App) page {
	p := page{name: app.Name, summary: app.Usage, synopsis: app.UsageText, description: app.Description, examples: examples[""], flags: flagSections(app.Flags)}
	for _, group := range commandGroups {
		s := section{title: group.title}
		for _, name := range group.names {
			if command := app.Command(name); command != nil && !command.Hidden {
				s.items = append(s.items, item{command.Name, command.Usage})
			}
		}
		if len(s.items) > 0 {
			p.commands = append(p.commands, s)
		}
	}
	return p
}

func visible(flags []cli.Flag) []cli.Flag {
	return slices.DeleteFunc(slices.Clone(flags), func(flag cli.Flag) bool {
		v, ok := flag.(cli.VisibleFlag)
		return ok && !v.IsVisible()
	})
}

func flagSections(flags []cli.Flag) (list []section) {
	shown := visible(flags)
	if named(shown, "help") == nil { // urfave/cli adds it to some when they run
		shown = append(shown, cli.HelpFlag)
	}
	for _, group := range flagGroups {
		s := section{title: group.title}
		for _, name := range group.names {
			if flag := named(shown, name); flag != nil {
				s.items = append(s.items, flagItem(flag))
			}
		}
		if len(s.items) > 0 {
			list = append(list, s)
		}
	}
	return list
}

// flagItem takes what a flag's value is called from its help, where it stands between backquotes.
func flagItem(flag cli.Flag) item {
	value, help, standard := "", "", ""
	if documented, ok := flag.(cli.DocGenerationFlag); ok {
		help = documented.GetUsage()
		if documented.TakesValue() {
			_, rest, _ := strings.Cut(help, "`")
			value, _, _ = strings.Cut(rest, "`")
			value = " " + value
			standard = strings.Trim(documented.GetDefaultText(), `"`)
		}
	}
	var names []string
	for _, name := range flag.Names() {
		dashes := "--"
		if len(name) == 1 {
			dashes = "-"
		}
		names = append(names, dashes+name)
	}
	slices.SortStableFunc(names, func(a, b string) int { return min(len(a), 3) - min(len(b), 3) }) // -f, --config
	help = strings.ReplaceAll(help, "`", "")
	if standard != "" {
		help += " (default: " + standard + ")"
	}
	return item{strings.Join(names, ", ") + value, help}
}
