package hive

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// unmatched names the patterns that match nothing, and what was probably meant.
func unmatched(doc head) error {
	if len(doc.Unmatched) == 0 {
		return nil
	}
	var quoted, near []string
	hint := ""
	for _, text := range doc.Unmatched {
		quoted = append(quoted, strconv.Quote(text))
		pattern := strings.TrimSpace(strings.TrimPrefix(text, "!"))
		name, guess := hintFor(pattern, doc)
		if name != "" && !slices.Contains(near, name) {
			near = append(near, name)
		}
		hint = guess
	}
	if len(near) > 0 {
		hint = "did you mean " + strings.Join(near, ", ") + "?"
	}
	return fmt.Errorf("%w %s; %s", ErrNoMatch, strings.Join(quoted, ", "), hint)
}

// hintFor is the name that is nearest to a pattern, or else what may help.
func hintFor(pattern string, doc head) (near, hint string) {
	what, known, more := "nodes", doc.Names, "; a tag is written @"+pattern
	if strings.HasPrefix(pattern, "@") {
		what, known, more = "tags", make([]string, len(doc.Tags)), ""
		for i, tag := range doc.Tags {
			known[i] = "@" + tag
		}
	}
	switch near = Nearest(pattern, known); {
	case strings.ContainsFunc(pattern, unicode.IsSpace):
		return "", "patterns are separated by commas"
	case near != "":
		return near, ""
	case len(known) == 0:
		return "", "the hive has no " + what
	case len(known) <= 20:
		return "", "the " + what + " are " + strings.Join(known, ", ") + more
	}
	return "", "`list` shows the nodes and their tags" + more
}
