package printable

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// Width is how many columns a terminal gives a text. Colours (SGR) take none.
func Width(text string) (columns int) {
	for text != "" {
		if n := colour(text); n > 0 {
			text = text[n:]
			continue
		}
		r, size := utf8.DecodeRuneInString(text)
		columns += columnsOf(r)
		text = text[size:]
	}
	return columns
}

// columnsOf a character, as terminals agree on that: joined emoji and flags are shown
// one by one by many; pkg/view leaves none.
func columnsOf(r rune) int {
	switch {
	case r < ' ', r == utf8.RuneError:
		return 1
	case r < 0x300: // the first that combines
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf), 0x1160 <= r && r <= 0x11ff: // jamo that end a syllable
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// colour is how long a colour is that the text begins with, 0 for none.
func colour(text string) int {
	if !strings.HasPrefix(text, "\x1b[") {
		return 0
	}
	for i := 2; i < len(text); i++ {
		switch c := text[i]; {
		case c == 'm':
			return i + 1
		case c != ';' && (c < '0' || '9' < c):
			return 0
		}
	}
	return 0
}

// withoutColours is a text in the colour of what is around it.
func withoutColours(text string) string {
	var b strings.Builder
	for text != "" {
		if n := colour(text); n > 0 {
			text = text[n:]
			continue
		}
		b.WriteByte(text[0])
		text = text[1:]
	}
	return b.String()
}

// Fit cuts a text so that it takes no more than so many columns; it loses its colours then.
func Fit(text string, columns int) string {
	if Width(text) <= columns {
		return text
	}
	if columns <= 0 {
		return ""
	}
	text = withoutColours(text)
	left := columns - 1
	for i, r := range text {
		if left -= columnsOf(r); left < 0 {
			return text[:i] + "…"
		}
	}
	return text
}

// Padded is a text that takes exactly so many columns.
func Padded(text string, columns int) string {
	text = Fit(text, columns)
	return text + strings.Repeat(" ", max(0, columns-Width(text)))
}

// PaddedLeft is a text with blanks before it, so that it takes at least so many columns.
func PaddedLeft(text string, columns int) string {
	return strings.Repeat(" ", max(0, columns-Width(text))) + text
}
