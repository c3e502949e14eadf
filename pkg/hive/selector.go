package hive

import (
	"errors"
	"fmt"
	"strings"
)

// Selector says which nodes a command is for. The zero value selects all.
type Selector struct{ Patterns []Pattern }

// Pattern is one part of an --on argument.
type Pattern struct {
	Kind  PatternKind `json:"kind"`
	Text  string      `json:"text"`  // as the user wrote it
	Regex string      `json:"regex"` // POSIX extended, to match as a whole (builtins.match)
}

// PatternKind says what a pattern is matched against.
type PatternKind string

// The kinds of patterns.
const (
	ByName PatternKind = "name" // a node's attribute name
	ByTag  PatternKind = "tag"  // any of deployment.tags
)

// ErrSelector is wrapped by every error of [ParseSelector].
var ErrSelector = errors.New("invalid node selector")

// All reports whether the selector selects every node.
func (s Selector) All() bool { return len(s.Patterns) == 0 }

// ParseSelector reads an --on argument: names and globs separated by commas,
// tags after an @, with white space around each ignored, as Colmena does.
func ParseSelector(text string) (Selector, error) {
	var s Selector
	for _, part := range strings.Split(text, ",") {
		part = strings.TrimSpace(part)
		pattern := Pattern{Kind: ByName, Text: part}
		glob := part
		if rest, ok := strings.CutPrefix(part, "@"); ok {
			pattern.Kind, glob = ByTag, rest
		}
		if glob == "" {
			return Selector{}, fmt.Errorf("%w %q: a part of it is empty; write names, globs or @tags separated by commas", ErrSelector, text)
		}
		regex, err := globRegex(glob)
		if err != nil {
			return Selector{}, fmt.Errorf("%w %q: %s: %w", ErrSelector, text, part, err)
		}
		pattern.Regex = regex
		s.Patterns = append(s.Patterns, pattern)
	}
	return s, nil
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
