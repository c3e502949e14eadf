package hostscript

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// cut stands for what is left out of a host's text.
const cut = " […] "

// Said makes what a host says fit for one line of a message: without characters
// that are not seen but act, as controls and marks of direction do, and of a text longer than size bytes only the beginning and the end.
func Said(text string, size int) string {
	if len(text) > 2*size+len(cut) {
		text = text[:size] + cut + text[len(text)-size:] // no work on what is not shown
	}
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case strconv.IsPrint(r):
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
