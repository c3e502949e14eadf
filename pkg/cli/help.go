package cli

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

// helpWidth is how wide the help is, whatever the terminal.
const helpWidth = 80

var printHelp = cli.HelpPrinterCustom

// wrapHelp has urfave/cli, which aligns flags but wraps none, print help that
// fits.
func wrapHelp() {
	cli.HelpPrinterCustom = func(out io.Writer, template string, data any, functions map[string]any) {
		var text bytes.Buffer
		printHelp(&text, template, data, functions)
		io.WriteString(out, wrapped(text.String(), helpWidth))
	}
	cli.HelpPrinter = func(out io.Writer, template string, data any) { cli.HelpPrinterCustom(out, template, data, nil) }
}

// wrapped breaks lines that are longer than width between words. What follows is
// indented as the text of the line is: behind a flag's name, if it has one.
func wrapped(text string, width int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		indent := textColumn(line)
		for utf8.RuneCountInString(line) > width {
			at := strings.LastIndexByte(line[:width+1], ' ')
			if at <= indent {
				break // one word, longer than that
			}
			b.WriteString(line[:at] + "\n")
			line = strings.Repeat(" ", indent) + strings.TrimLeft(line[at:], " ")
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// textColumn is where a line's text begins: behind the first gap, or at its
// first word.
func textColumn(line string) int {
	first := len(line) - len(strings.TrimLeft(line, " "))
	gap := strings.Index(line[first:], "  ")
	if gap < 0 {
		return first
	}
	rest := line[first+gap:]
	return len(line) - len(strings.TrimLeft(rest, " "))
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
