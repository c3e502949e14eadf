package sshconfig

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// HasKnownHostsCommand reports whether KnownHostsCommand is set.
func (s Settings) HasKnownHostsCommand() bool { return s.knownHostsCommand != "" }

// KnownHostsCommand is the program to run and its arguments. more are the tokens of
// the key in question.
func (s Settings) KnownHostsCommand(more map[string]string) ([]string, error) {
	words, err := split(s.knownHostsCommand)
	if err == nil && (len(words) == 0 || !filepath.IsAbs(words[0])) {
		err = errors.New("is not a command with an absolute path")
	}
	if err != nil {
		return nil, fmt.Errorf("ssh_config or deployment.sshOptions: knownhostscommand %w", err)
	}
	all := paths{tokens: maps.Clone(s.tokens)}
	maps.Copy(all.tokens, more)
	for i := range words {
		if words[i], err = all.expandTokens("knownhostscommand", words[i], slices.Collect(maps.Keys(all.tokens))...); err != nil {
			return nil, err
		}
	}
	return words, nil
}

// split cuts a command into words as OpenSSH does: quotes of both kinds hold words
// together, and a backslash may stand before a quote, a backslash, or outside of
// quotes a space.
func split(command string) (words []string, err error) {
	var word strings.Builder
	var quote rune
	begun, escaped := false, false
	for _, r := range command {
		switch {
		case escaped:
			if !strings.ContainsRune(`"'\`, r) && (r != ' ' || quote != 0) {
				word.WriteRune('\\')
			}
			word.WriteRune(r)
			escaped = false
		case r == '\\':
			escaped, begun = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, begun = r, true
		case quote == 0 && (r == ' ' || r == '\t'):
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			begun = true
			word.WriteRune(r)
		}
	}
	if quote != 0 {
		return nil, errors.New("has a quote that does not end")
	}
	if escaped {
		word.WriteRune('\\')
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}
