package report

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/colmena-go/colmena-go/pkg/printable"
)

// label is a name as it stands at the beginning of a line or in a table. One that
// could be taken for another, or for more than a name, is quoted.
func label(name string) string {
	odd := strings.ContainsFunc(name, func(r rune) bool { return r == '"' || r == '|' || unicode.IsSpace(r) })
	if odd || name == "" || printable.Text(name) != name {
		return strconv.QuoteToASCII(name)
	}
	return name
}

// indented sets the lines of a text after the first apart from what begins a line.
func indented(text, by string) string {
	return strings.ReplaceAll(strings.TrimSpace(printable.Text(text)), "\n", "\n"+by)
}

// ours are the colours that this program uses itself.
var ours = regexp.MustCompile(`\x1b\[(?:[0-2]|3[0-7]|9[0-7])m`)

// screened is printable for a text that was put together here: colours stay.
func screened(text string) string {
	if strings.IndexByte(text, '\x1b') < 0 {
		return printable.Text(text)
	}
	var b strings.Builder
	for {
		at := ours.FindStringIndex(text)
		if at == nil {
			return b.String() + printable.Text(text)
		}
		b.WriteString(printable.Text(text[:at[0]]) + text[at[0]:at[1]])
		text = text[at[1]:]
	}
}

// escapedJSON is a JSON text without anything that a terminal obeys. Such runes
// can only be in its strings, so it means the same.
func escapedJSON(text string) string {
	text = strings.ReplaceAll(text, "##[", `#\u0023[`) // some runners of workflows obey that
	if printable.Text(text) == text {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if r == '\n' || printable.Seen(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}
