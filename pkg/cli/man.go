package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/urfave/cli/v2"
)

func manCommand() *cli.Command {
	return &cli.Command{
		Name:         "man",
		Usage:        "write the manual pages, for packagers",
		ArgsUsage:    "DIR",
		Description:  "One page for the program and one for each command are written to DIR, which is made if it is not there. They say what --help says.",
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			dir := c.Args().First()
			if c.NArg() != 1 || dir == "" {
				return usage("say where: `%s man DIR`", c.App.Name)
			}
			return writeManual(c.App, dir)
		},
	}
}

func writeManual(app *cli.App, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, p := range pages(app) {
		name := strings.ReplaceAll(p.name, " ", "-")
		head := fmt.Sprintf("%% %s 1 \"\" \"%s %s\" \"\"\n\n", name, app.Name, app.Version)
		text := md2man.Render([]byte(head + p.markdown("# ") + p.related(app)))
		if err := os.WriteFile(filepath.Join(dir, name+".1"), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pages are that of the program and those of its commands.
func pages(app *cli.App) []page {
	list := []page{pageOfApp(app)}
	for _, s := range list[0].commands {
		for _, it := range s.items {
			list = append(list, pageOf(app, app.Command(it.name)))
		}
	}
	return list
}

// reference are all pages in one document, for docs.
func reference(app *cli.App) string {
	var b strings.Builder
	b.WriteString("# Commands and flags\n\nWhat `--help` says of each; also as manual pages (`" + app.Name + " man DIR`).\n")
	for _, p := range pages(app) {
		fmt.Fprintf(&b, "\n## %s\n\n%s: `%s`\n", p.name, strings.ToUpper(p.summary[:1])+escapedMarkdown(p.summary[1:]), p.synopsis)
		for _, paragraph := range p.paragraphs() {
			b.WriteString("\n" + escapedMarkdown(strings.Join(strings.Fields(paragraph), " ")) + "\n")
		}
		b.WriteString("\n```\n" + strings.Join(exampleLines(p.examples), "\n") + "\n```\n")
		for _, s := range append(p.commands, p.flags...) {
			b.WriteString("\n| " + s.title + " | |\n|---|---|\n")
			for _, it := range s.items {
				fmt.Fprintf(&b, "| `%s` | %s |\n", it.name, strings.ReplaceAll(escapedMarkdown(it.help), "|", `\|`))
			}
		}
	}
	return b.String()
}

// markdown is the page under headings of one level.
func (p page) markdown(heading string) string {
	var b strings.Builder
	part := func(title, text string) { fmt.Fprintf(&b, "%s%s\n\n%s\n\n", heading, title, text) }
	part("NAME", escapedMarkdown(strings.ReplaceAll(p.name, " ", "-")+" - "+p.summary))
	part("SYNOPSIS", "`"+p.synopsis+"`")
	if p.description != "" {
		part("DESCRIPTION", escapedMarkdown(strings.TrimSpace(p.description)))
	}
	for _, s := range append(p.commands, p.flags...) {
		part(strings.ToUpper(s.title), s.markdown())
	}
	if len(p.examples) > 0 {
		part("EXAMPLES", examplesMarkdown(p.examples))
	}
	return b.String()
}

func (s section) markdown() string {
	var parts []string
	for _, it := range s.items {
		parts = append(parts, "**"+escapedMarkdown(it.name)+"**\n: "+escapedMarkdown(it.help))
	}
	return strings.Join(parts, "\n\n")
}

func examplesMarkdown(list []example) string {
	var parts []string
	for _, e := range list {
		parts = append(parts, escapedMarkdown(strings.ToUpper(e.does[:1])+e.does[1:])+":\n\n    "+e.line)
	}
	return strings.Join(parts, "\n\n")
}

// related leads from each page to the others.
func (p page) related(app *cli.App) string {
	var names []string
	for _, other := range pages(app) {
		if other.name != p.name {
			names = append(names, "**"+escapedMarkdown(strings.ReplaceAll(other.name, " ", "-"))+"**(1)")
		}
	}
	return "# SEE ALSO\n\n" + strings.Join(names, ", ") + "\n"
}

// escapedMarkdown is text of which Markdown makes nothing else.
func escapedMarkdown(text string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "<", `\<`, ">", `\>`, "[", `\[`, "]", `\]`, "`", "\\`", "~", `\~`).Replace(text)
}
