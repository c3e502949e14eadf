package hive

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Unmatched is the [ErrNoMatch] of patterns that match nothing.
type Unmatched struct {
	Patterns    []string // as the user wrote them
	Nodes, Tags []string // that there are; tags without @, and only where a tag is asked for
}

func (u *Unmatched) Unwrap() error { return ErrNoMatch }

// Error names the patterns, and what was probably meant.
func (u *Unmatched) Error() string {
	var quoted, near []string
	hint := ""
	for _, text := range u.Patterns {
		quoted = append(quoted, strconv.Quote(text))
		pattern := strings.TrimSpace(strings.TrimPrefix(text, "!"))
		name, guess := u.hintFor(pattern)
		if name != "" && !slices.Contains(near, name) {
			near = append(near, name)
		}
		hint = guess
	}
	if len(near) > 0 {
		hint = didYouMean(near...)
	}
	return fmt.Sprintf("%v %s; %s", ErrNoMatch, strings.Join(quoted, ", "), hint)
}

// Node is the same error where a node's name was asked for, and no pattern.
func (u *Unmatched) Node(name string) error {
	near, hint := guess(name, "nodes", u.Nodes)
	if near != "" {
		hint = didYouMean(near)
	}
	return fmt.Errorf("%w %q; %s", ErrNoMatch, name, hint)
}

func didYouMean(names ...string) string { return "did you mean " + strings.Join(names, ", ") + "?" }

// hintFor is the name that is nearest to a pattern, or else what may help.
func (u *Unmatched) hintFor(pattern string) (near, hint string) {
	if strings.ContainsFunc(pattern, unicode.IsSpace) {
		return "", "patterns are separated by commas"
	}
	if strings.HasPrefix(pattern, "@") {
		known := make([]string, len(u.Tags))
		for i, tag := range u.Tags {
			known[i] = "@" + tag
		}
		return guess(pattern, "tags", known)
	}
	if near, hint = guess(pattern, "nodes", u.Nodes); len(u.Nodes) > 0 {
		hint += "; a tag is written @" + pattern
	}
	return near, hint
}

// guess is the name that is nearest to one, or else what there is.
func guess(name, what string, known []string) (near, hint string) {
	switch near = Nearest(name, known); {
	case near != "":
		return near, ""
	case len(known) == 0:
		return "", "the hive has no " + what
	case len(known) <= 20:
		return "", "the " + what + " are " + strings.Join(known, ", ")
	}
	return "", "`list` shows the nodes and their tags"
}
