package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

// helpWidth is how wide the help is, whatever the terminal.
const helpWidth = 80

// printOwnHelp has urfave/cli print help that is grouped by what people do, and fits.
func printOwnHelp(app *cli.App) {
	cli.HelpPrinterCustom = func(out io.Writer, _ string, data any, _ map[string]any) {
		p := pageOfApp(app)
		if command, ok := data.(*cli.Command); ok {
			p = pageOf(app, command)
		}
		io.WriteString(out, p.text())
	}
	cli.HelpPrinter = func(out io.Writer, template string, data any) { cli.HelpPrinterCustom(out, template, data, nil) }
}

// text is the page for a terminal.
func (p page) text() string {
	var b strings.Builder
	write := func(lines ...string) {
		for _, line := range lines {
			b.WriteString(line + "\n")
		}
	}
	write(filled(p.name+": "+p.summary, helpWidth)...)
	write("Usage: " + p.synopsis)
	for _, paragraph := range p.paragraphs() {
		write("")
		write(filled(paragraph, helpWidth)...)
	}
	if len(p.examples) > 0 {
		write("", "Examples:")
		write(exampleLines(p.examples)...)
	}
	for _, s := range append(p.commands, p.flags...) {
		write("", s.title+":")
		write(s.lines()...)
	}
	if len(p.commands) > 0 {
		write("", "More of a command: "+p.name+" help COMMAND")
	}
	return b.String()
}

func (p page) paragraphs() []string {
	if p.description == "" {
		return nil
	}
	return strings.Split(strings.TrimSpace(p.description), "\n\n")
}

// exampleLines put what examples do beside them, or above where that is too long.
func exampleLines(list []example) (lines []string) {
	width, beside := 0, true
	for _, e := range list {
		width = max(width, utf8.RuneCountInString(e.line))
	}
	for _, e := range list {
		beside = beside && 2+width+4+utf8.RuneCountInString(e.does) <= helpWidth
	}
	for _, e := range list {
		if beside {
			lines = append(lines, fmt.Sprintf("  %-*s  # %s", width, e.line, e.does))
		} else {
			lines = append(lines, "  # "+e.does, "  "+e.line)
		}
	}
	return lines
}

// lines are a table of two columns; a name that is too long for the first has a line of its own.
func (s section) lines() (lines []string) {
	const widest = 24
	width := 0
	for _, it := range s.items {
		if n := utf8.RuneCountInString(it.name); n <= widest {
			width = max(width, n)
		}
	}
	for _, it := range s.items {
		name := it.name
		if utf8.RuneCountInString(name) > width {
			lines, name = append(lines, "  "+name), ""
		}
		for _, text := range filled(it.help, helpWidth-width-4) {
			lines = append(lines, fmt.Sprintf("  %-*s  %s", width, name, text))
			name = ""
		}
	}
	return lines
}

// filled breaks a text into lines between words; a word that is longer has a line of its own.
func filled(text string, width int) (lines []string) {
	line, length := "", 0
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		if length > 0 && length+1+n > width {
			lines, line, length = append(lines, line), "", 0
		}
		if length > 0 {
			line, length = line+" ", length+1
		}
		line, length = line+word, length+n
	}
	return append(lines, line)
}

// hide leaves flags that a command accepts, but can do nothing with, out of its
// help.
func hide(flags []cli.Flag, names ...string) []cli.Flag {
	for _, name := range names {
		switch flag := named(flags, name).(type) {
		case *cli.BoolFlag:
			flag.Hidden = true
		case *cli.StringFlag:
			flag.Hidden = true
		}
	}
	return flags
}
