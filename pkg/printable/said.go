// Package printable makes a text of others fit to be shown: without what a terminal obeys,
// without what nobody sees, and in so many columns. It does no I/O.
package printable

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// cut stands for what is left out of a host's text.
const cut = " […] "

// maxMarks is how many combining marks in a row any script needs. More of them draw over
// other lines.
const maxMarks = 4

// Seen reports whether a reader can see that the rune is there: neither does it act
// unseen, as controls and marks of direction do, nor is it a blank that is no space.
func Seen(r rune) bool {
	return strconv.IsPrint(r) && r != blankBraille && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// blankBraille counts as a symbol.
const blankBraille = '\u2800'

// escapes are the sequences of ECMA-48: CSI; OSC, DCS and other strings, which
// end with BEL or ST; and the short ones.
var escapes = regexp.MustCompile(`\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]+[0-~]|[0-OQ-WYZ\\\x60-~])`)

// WithoutEscapes is a text without the sequences that a terminal obeys.
func WithoutEscapes(text string) string {
	if strings.IndexByte(text, '\x1b') < 0 {
		return text
	}
	return escapes.ReplaceAllString(text, "")
}

// Said makes what a host says fit for one line of a message: of characters that are
// [Seen], and of a text longer than size bytes only the beginning and the end.
func Said(text string, size int) string {
	if len(text) > 2*size+len(cut) {
		text = text[:size] + cut + text[len(text)-size:] // no work on what is not shown
	}
	marks := 0
	text = strings.Map(func(r rune) rune {
		if !unicode.Is(unicode.M, r) {
			marks = 0
		} else if marks++; marks > maxMarks {
			return -1
		}
		switch {
		case unicode.IsSpace(r):
			return ' '
		case Seen(r):
			return r
		}
		return -1
	}, strings.ToValidUTF8(text, "?"))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= size {
		return text
	}
	return whole(text[:size/2]) + cut + whole(text[len(text)-size/2:])
}

// Text takes the power over the terminal from a text of several lines that comes from a
// host or a hive: control characters, and those that are not [Seen].
func Text(text string) string {
	if plainASCII(text) {
		return text
	}
	text = strings.ToValidUTF8(text, "�")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r == '\n', Seen(r):
			return r
		}
		return -1
	}, WithoutEscapes(text))
}

func plainASCII(text string) bool {
	for i := range len(text) {
		if c := text[i]; c != '\n' && (c < ' ' || c > '~') {
			return false
		}
	}
	return true
}

// Line is [Text] in one line of at most so many columns.
func Line(text string, columns int) string {
	return Fit(strings.ReplaceAll(Text(text), "\n", " "), columns)
}

// whole takes off the pieces of characters that a cut left at both ends.
func whole(text string) string {
	for text != "" {
		if r, size := utf8.DecodeRuneInString(text); r == utf8.RuneError && size <= 1 {
			text = text[1:]
			continue
		}
		if r, size := utf8.DecodeLastRuneInString(text); r == utf8.RuneError && size <= 1 {
			text = text[:len(text)-1]
			continue
		}
		return text
	}
	return text
}
