package report

import (
	"regexp"
	"strconv"
	"strings"
)

// escapes are the sequences of ECMA-48: CSI; OSC, DCS and other strings, which
// end with BEL or ST; and the short ones.
var escapes = regexp.MustCompile(`\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]+[0-~]|[0-OQ-WYZ\\\x60-~])`)

// printable takes the power over the terminal from a text that comes from a
// host or a hive.
func printable(text string) string {
	text = strings.ToValidUTF8(text, "�")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r == '\n', strconv.IsPrint(r):
			return r
		}
		return -1
	}, escapes.ReplaceAllString(text, ""))
}
