package hive

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Selector says which nodes a command is for: those that match any pattern that
// includes, or all if none does, without those that match one that excludes.
// The zero value selects all.
type Selector struct{ Patterns []Pattern }

// Pattern is one part of a list of patterns.
type Pattern struct {
	Kind    PatternKind `json:"kind"`
	Exclude bool        `json:"exclude"`
	Text    string      `json:"text"`  // as the user wrote it
	Regex   string      `json:"regex"` // POSIX extended, to match as a whole (builtins.match)
}

// PatternKind says what a pattern is matched against.
type PatternKind string

// The kinds of patterns.
const (
	ByName PatternKind = "name" // a node's attribute name
	ByTag  PatternKind = "tag"  // any of deployment.tags
)

// ErrSelector is wrapped by every error of [ParseSelector] and [ParseExclusion].
var ErrSelector = errors.New("invalid node selector")

// All reports whether no pattern says which nodes are meant: every node is, but
// for exclusions.
func (s Selector) All() bool {
	return !slices.ContainsFunc(s.Patterns, func(p Pattern) bool { return !p.Exclude })
}

// ParseSelector reads an --on argument: names and globs separated by commas,
// tags after an @, with white space around each ignored, as Colmena does; a ! in
// front excludes. A backslash takes the next character as it is.
func ParseSelector(text string) (Selector, error) {
	return parseList(text, func(part string) (Pattern, error) {
		rest, exclude := strings.CutPrefix(part, "!")
		pattern, err := parsePattern(strings.TrimSpace(rest))
		pattern.Exclude, pattern.Text = exclude, part
		return pattern, err
	})
}

// ParseExclusion reads an --exclude argument: what [ParseSelector] reads, every
// part of which excludes.
func ParseExclusion(text string) (Selector, error) {
	return parseList(text, func(part string) (Pattern, error) {
		if name := strings.TrimLeft(part, "! "); name != part && name != "" {
			return Pattern{}, errors.New("--exclude leaves out already: write " + name + " without the !")
		}
		pattern, err := parsePattern(part)
		pattern.Exclude = true
		return pattern, err
	})
}

func parseList(text string, parse func(string) (Pattern, error)) (Selector, error) {
	var s Selector
	for _, part := range splitPatterns(text) {
		part = strings.TrimSpace(part)
		pattern, err := parse(part)
		if err != nil {
			return Selector{}, fmt.Errorf("%w %q: %w", ErrSelector, text, err)
		}
		s.Patterns = append(s.Patterns, pattern)
	}
	return s, nil
}

func parsePattern(text string) (Pattern, error) {
	pattern := Pattern{Kind: ByName, Text: text}
	glob, tag := strings.CutPrefix(text, "@")
	if tag {
		pattern.Kind = ByTag
	}
	switch {
	case glob == "":
		return pattern, errors.New("a part of it is empty; write names, globs or @tags separated by commas")
	case strings.HasPrefix(glob, "!"):
		return pattern, fmt.Errorf("%s: one ! excludes, as the first character of a part of --on", text)
	}
	var err error
	if pattern.Regex, err = globRegex(glob); err != nil {
		return pattern, fmt.Errorf("%s: %w", text, err)
	}
	return pattern, nil
}

// splitPatterns splits at commas that no backslash stands before.
func splitPatterns(text string) []string {
	parts := []string{""}
	for i := 0; i < len(text); i++ {
		last := &parts[len(parts)-1]
		switch {
		case text[i] == ',':
			parts = append(parts, "")
		case text[i] == '\\' && i+1 < len(text):
			*last += text[i : i+2]
			i++
		default:
			*last += text[i : i+1]
		}
	}
	return parts
}

// Literal is the pattern that selects the node of this name. What nobody can see
// or type in it is a ? there.
func Literal(name string) string {
	var b strings.Builder
	for i, r := range name {
		switch {
		case unicode.IsSpace(r) || !strconv.IsPrint(r):
			b.WriteString(strings.Repeat("?", utf8.RuneLen(r))) // Nix matches bytes
			continue
		case strings.ContainsRune(`*?[,\`, r), i == 0 && (r == '@' || r == '!'):
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// globRegex translates *, ?, [abc], [a-z] and [!a]. Everything else is literal.
func globRegex(glob string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; c {
		case '*':
			b.WriteString(".*")
		case '?':
			b.WriteString(".")
		case '\\':
			i = min(i+1, len(glob)-1)
			writeLiteral(&b, glob[i])
		case '[':
			end := strings.IndexByte(glob[min(i+2, len(glob)):], ']')
			if end < 0 {
				return "", errors.New("a [ without its ]")
			}
			end += i + 2
			class, err := classRegex(glob[i+1 : end])
			if err != nil {
				return "", err
			}
			b.WriteString(class)
			i = end
		default:
			writeLiteral(&b, c)
		}
	}
	return b.String(), nil
}

// classRegex writes a glob's [class] so that Go and POSIX read it alike: as an
// alternative of single characters for a list, as a range for a range.
func classRegex(class string) (string, error) {
	negate := strings.HasPrefix(class, "!") || strings.HasPrefix(class, "^")
	if negate {
		class = class[1:]
	}
	if class == "" {
		return "", errors.New("an empty [ ]")
	}
	var inside strings.Builder
	for i := 0; i < len(class); i++ {
		c := class[i]
		if !plainInClass(c) {
			return "", fmt.Errorf("only letters, digits, - and _ are supported between [ and ], not %q", string(c))
		}
		if i+2 < len(class) && class[i+1] == '-' {
			if to := class[i+2]; to < c || !plainInClass(to) {
				return "", fmt.Errorf("the range %s is empty", class[i:i+3])
			}
			inside.WriteString(class[i : i+3])
			i += 2
			continue
		}
		if c != '-' {
			inside.WriteByte(c)
		}
	}
	if strings.HasPrefix(class, "-") || strings.HasSuffix(class, "-") {
		inside.WriteByte('-') // last, where it is itself
	}
	if negate {
		return "[^" + inside.String() + "]", nil
	}
	return "[" + inside.String() + "]", nil
}

func plainInClass(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

func writeLiteral(b *strings.Builder, c byte) {
	if strings.IndexByte(`\.+*?()|[{^$`, c) >= 0 {
		b.WriteByte('\\')
	}
	b.WriteByte(c)
}
