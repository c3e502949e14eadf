package hive

import (
	"errors"
	"path"
	"regexp"
	"strings"
	"testing"
)

func TestSelectorsAreReadAsColmenaReadsThem(t *testing.T) {
	for text, want := range map[string]string{
		"a":               "name a",
		"a,b":             "name a|name b",
		" a , \t@b ,c-* ": "name a|tag b|name c-.*",
		"@a-tag,@*":       "tag a-tag|tag .*",
		"web.1":           `name web\.1`,
		"web-?":           "name web-.",
		"web[0-9x]":       "name web[0-9x]",
		"web[!0-9]":       "name web[^0-9]",
		"a]{b}":           `name a]\{b}`, // Nix refuses \] and \}
		"a(b)$":           `name a\(b\)\$`,
		"*,!db-*":         "name .*|not name db-.*",
		"! @db , a!b":     "not tag db|name a!b",
		"![!a]":           "not name [^a]",
		`\@a\,b\*,\\,c\`:  `name @a,b\*|name \\|name c\\`,
	} {
		if got := spell(ParseSelector(text)); got != want {
			t.Errorf("%q: %v, want %s", text, got, want)
		}
	}
	for text, want := range map[string]string{"a, @b": "not name a|not tag b", "web-*": "not name web-.*"} {
		if got := spell(ParseExclusion(text)); got != want {
			t.Errorf("to exclude %q: %v, want %s", text, got, want)
		}
	}
}

func spell(s Selector, err error) string {
	if err != nil {
		return err.Error()
	}
	var parts []string
	for _, p := range s.Patterns {
		part := string(p.Kind) + " " + p.Regex
		if p.Exclude {
			part = "not " + part
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "|")
}

func TestOnlyWhatIncludesChoosesNodes(t *testing.T) {
	for text, all := range map[string]bool{"!a": true, "!a,!@b": true, "!a,b": false, "*": false} {
		if s, err := ParseSelector(text); err != nil || s.All() != all {
			t.Errorf("%q: all is %t (%v), want %t", text, s.All(), err, all)
		}
	}
}

func TestTheLiteralOfANameSelectsItAlone(t *testing.T) {
	for _, name := range []string{"web-1", "a.b", "a,b", "*", "a?[b]", `a\`, `\a`, "@a", "!a", "ünï", "a'b\"c"} {
		s, err := ParseSelector(Literal(name))
		if err != nil || len(s.Patterns) != 1 || s.Patterns[0].Kind != ByName {
			t.Errorf("%q: %v, %v", name, s, err)
			continue
		}
		match := regexp.MustCompile("^(?s:" + s.Patterns[0].Regex + ")$").MatchString
		if !match(name) || match(name+"x") || match("x"+name) || match("xx") {
			t.Errorf("%q becomes %s", name, s.Patterns[0].Regex)
		}
	}
	if got := Literal("a b\n\x1b"); got != "a?b??" {
		t.Errorf("what nobody can type is %q", got)
	}
}

func TestASelectorThatSaysNothingIsAnError(t *testing.T) {
	for _, text := range []string{"", "   ", ",", "a,,b", "a,", "@", "a,@", "[", "[]", "a[b", "!", "!@", "!!a", "@!a", "a,!"} {
		if _, err := ParseSelector(text); !errors.Is(err, ErrSelector) {
			t.Errorf("%q: %v, want ErrSelector", text, err)
		}
		if _, err := ParseExclusion(text); !errors.Is(err, ErrSelector) {
			t.Errorf("to exclude %q: %v, want ErrSelector", text, err)
		}
	}
}

// The regular expression must match what the glob does; path.Match is the
// reference, for texts without a slash, which it treats apart.
func FuzzGlobsMatchAsGlobs(f *testing.F) {
	for _, seed := range [][2]string{{"web-*", "web-1"}, {"[a-c]x", "bx"}, {"a.b", "axb"}, {"*", ""}, {"?", "é"}, {"a+", "aa"}, {"[!a]", "b"}, {`a\b`, "ab"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, glob, text string) {
		if strings.ContainsAny(glob+text, "/\\,") || strings.TrimSpace(glob) != glob || strings.HasPrefix(glob, "@") || strings.HasPrefix(glob, "!") {
			t.Skip("not one pattern, or one that path.Match reads in another way")
		}
		for i := range len(glob + text) {
			if (glob + text)[i] >= 0x80 {
				t.Skip("Nix matches bytes, Go runes")
			}
		}
		s, err := ParseSelector(glob)
		if err != nil {
			t.Skip()
		}
		want, err := path.Match(strings.ReplaceAll(glob, "[!", "[^"), text)
		if err != nil {
			t.Skip()
		}
		if got := regexp.MustCompile("^(?s:" + s.Patterns[0].Regex + ")$").MatchString(text); got != want {
			t.Errorf("%q (%s) on %q: %v, want %v", glob, s.Patterns[0].Regex, text, got, want)
		}
	})
}

// Whatever the evaluation prints, the answer is a hive or a node, or an error.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"meta":{},"names":["a"],"selected":["a"]}`))
	f.Add([]byte(`{"name":"a","deployment":{"targetHost":"x","keys":{"k":{"text":"s"}}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if h, err := DecodeHead(text); err == nil && h == nil {
			t.Error("neither a hive nor an error")
		}
		DecodeNode(text)
	})
}
