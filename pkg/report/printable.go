package report

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/colmena-go/colmena-go/pkg/hostscript"
)

// printable takes the power over the terminal from a text that comes from a
// host or a hive: control characters, and those that are not seen or turn the
// direction of what is around them.
func printable(text string) string {
	if plainASCII(text) {
		return text
	}
	text = strings.ToValidUTF8(text, "�")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r == '\n', hostscript.Seen(r):
			return r
		}
		return -1
	}, hostscript.WithoutEscapes(text))
}

func plainASCII(text string) bool {
	for i := range len(text) {
		if c := text[i]; c != '\n' && (c < ' ' || c > '~') {
			return false
		}
	}
	return true
}

// label is a name as it stands at the beginning of a line or in a table. One that
// could be taken for another, or for more than a name, is quoted.
func label(name string) string {
	odd := strings.ContainsFunc(name, func(r rune) bool { return r == '"' || r == '|' || unicode.IsSpace(r) })
	if odd || name == "" || printable(name) != name {
		return strconv.QuoteToASCII(name)
	}
	return name
}

// indented sets the lines of a text after the first apart from what begins a line.
func indented(text, by string) string {
	return strings.ReplaceAll(strings.TrimSpace(printable(text)), "\n", "\n"+by)
}

// ours are the colours that this program uses itself.
var ours = regexp.MustCompile(`\x1b\[(?:[0-2]|3[0-7]|9[0-7])m`)

// screened is printable for a text that was put together here: colours stay.
func screened(text string) string {
	if plainASCII(text) {
		return text
	}
	var b strings.Builder
	for {
		at := ours.FindStringIndex(text)
		if at == nil {
			return b.String() + printable(text)
		}
		b.WriteString(printable(text[:at[0]]) + text[at[0]:at[1]])
		text = text[at[1]:]
	}
}

// escapedJSON is a JSON text without anything that a terminal obeys. Such runes
// can only be in its strings, so it means the same.
func escapedJSON(text string) string {
	text = strings.ReplaceAll(text, "##[", `#\u0023[`) // some runners of workflows obey that
	if plainASCII(text) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if r == '\n' || hostscript.Seen(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}
