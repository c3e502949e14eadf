package printable

import (
	"strings"
	"testing"
)

func TestWhatAHostSaysIsBoundedAndPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "",
		" a\tb\r\n  c\x00\x1b[31m ": "a b c[31m",
		"\xff":                      "?",
		strings.Repeat("a", 10) + strings.Repeat("b", 10):    strings.Repeat("a", 10) + strings.Repeat("b", 10),
		strings.Repeat("a", 15) + strings.Repeat("b", 15):    strings.Repeat("a", 10) + cut + strings.Repeat("b", 10),
		strings.Repeat("é", 20):                              strings.Repeat("é", 5) + cut + strings.Repeat("é", 5),
		"a" + strings.Repeat("é", 20):                        "a" + strings.Repeat("é", 4) + cut + strings.Repeat("é", 5),
		strings.Repeat("é", 20) + "a":                        strings.Repeat("é", 5) + cut + strings.Repeat("é", 4) + "a",
		strings.Repeat("€", 20):                              strings.Repeat("€", 3) + cut + strings.Repeat("€", 3),
		strings.Repeat("a", 1<<24) + strings.Repeat("b", 20): strings.Repeat("a", 10) + cut + strings.Repeat("b", 10),
	} {
		if got := Said(text, 20); got != want {
			t.Errorf("%.40q: %q, want %q", text, got, want)
		}
	}
}

// A terminal obeys controls, and whoever reads takes a text that is shown from
// right to left for another one (Unicode TR 36).
func TestNothingThatAHostSaysActsOnATerminal(t *testing.T) {
	for text, want := range map[string]string{
		"\x1b]52;c;ZXZpbA==\x07owned":    "]52;c;ZXZpbA==owned", // the clipboard
		"\x9b2J \u009b2J\u009d0;t\u009c": "?2J 2J0;t",           // C1 as bytes and as characters
		"a\x7fb\x08c\x00d":               "abcd",
		"safe\rfake":                     "safe fake",
		"a\vb\fc\u0085d\u2028e\u2029f":   "a b c d e f",
		"a\u00a0b\u3000c":                "a b c",
		"\u202egnp.exe\u202c":            "gnp.exe",
		"\u202a\u202b\u202d\u2066\u2067\u2068\u2069\u200e\u200f\u061cx": "x",
		"in\u200bvis\u200cib\u200dle\u2060\ufeff\u00ad":                 "invisible",
		"\U000e0041\U000e0042tags":                                      "tags",
		"\ue000private\U0010ffff":                                       "private",
		"a\u2800\u3164\u115f\u1160\uffa0\u17b4\u034f\ufe0fb":            "ab", // blanks that are no spaces
		"z" + strings.Repeat("\u0301", 50) + "y":                        "z" + strings.Repeat("\u0301", maxMarks) + "y",
		"ключ 鍵 é 🔑":                                                    "ключ 鍵 é 🔑",
	} {
		if got := Said(text, 100); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestATextOfSeveralLinesKeepsThem(t *testing.T) {
	for text, want := range map[string]string{
		"a\nb\tc":                "a\nb c",
		"\x1b[31mred\x1b[0m\x07": "red",
		"a\xff":                  "a�",
		"\u202egnp.exe":          "gnp.exe",
	} {
		if got := Text(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := Line("鍵鍵\n鍵", 5); got != "鍵鍵…" {
		t.Errorf("%q", got)
	}
}

func TestColumnsAreThoseOfATerminal(t *testing.T) {
	for text, want := range map[string]int{"": 0, "web": 3, "größe": 5, "鍵": 2, "e\u0301": 1, "🔑": 2, "\x1b[31mred\x1b[0m": 3} {
		if got := Width(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	for _, got := range []string{Padded("鍵", 4), PaddedLeft("鍵", 4), Padded("鍵鍵鍵", 4)} {
		if Width(got) != 4 {
			t.Errorf("%q takes %d columns", got, Width(got))
		}
	}
}
