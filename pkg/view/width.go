package view

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"

	"github.com/colmena-go/colmena-go/pkg/hostscript"
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
// one by one by many, and [clean] leaves none.
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

// clean is a text of others for one line. What terminals do not agree on the width of
// is left out or written as its letters: skin tones, and the letters that make flags.
func clean(text string) string {
	ascii := true
	for i := range len(text) {
		ascii = ascii && ' ' <= text[i] && text[i] <= '~'
	}
	if !ascii {
		text = strings.Map(func(r rune) rune {
			switch {
			case 0x1f3fb <= r && r <= 0x1f3ff: // skin tones
				return -1
			case 0x1f1e6 <= r && r <= 0x1f1ff: // of flags
				return 'A' + r - 0x1f1e6
			}
			return r
		}, hostscript.Said(text, longest))
	}
	return text
}

// longest is how many bytes of a text are looked at: no line is longer.
const longest = 1000

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

// fit cuts a text so that it takes no more than so many columns; it loses its colours then.
func fit(text string, columns int) string {
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

// padded is a text that takes exactly so many columns.
func padded(text string, columns int) string {
	text = fit(text, columns)
	return text + strings.Repeat(" ", max(0, columns-Width(text)))
}
