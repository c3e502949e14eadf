package view

import (
	"strings"

	"github.com/colmena-go/colmena-go/pkg/printable"
)

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
		}, printable.Said(text, longest))
	}
	return text
}

// longest is how many bytes of a text are looked at: no line is longer.
const longest = 1000
