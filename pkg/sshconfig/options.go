package sshconfig

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// options is the output of ssh -G: every option with its values in order. "none"
// stands for no value.
type options map[string][]string

// warnings is where options has what ssh -G warned of; no option has such a name.
const warnings = " warnings"

func decode(text string) options {
	found := options{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " "); ok {
			name = strings.ToLower(name) // one of them is printed in another case
			found[name] = append(found[name], value)
		}
	}
	return found
}

func (o options) one(name string) string {
	if values := o[name]; len(values) > 0 && values[0] != "none" {
		return values[0]
	}
	return ""
}

func (o options) yes(name string) bool { return o.one(name) == "yes" || o.one(name) == "true" }

// no is not the contrary of yes, as an option may be unset.
func (o options) no(name string) bool { return o.one(name) == "no" || o.one(name) == "false" }

func (o options) seconds(name string, unset time.Duration) time.Duration {
	return time.Duration(o.number(name, int(unset/time.Second))) * time.Second
}

// number is a positive number.
func (o options) number(name string, unset int) int {
	if n, err := strconv.Atoi(o.one(name)); err == nil && n > 0 {
		return n
	}
	return unset
}

func (o options) list(name string) []string {
	if text := o.one(name); text != "" {
		return strings.Split(text, ",")
	}
	return nil
}

// chosen is a list that ssh_config sets, nil when it is OpenSSH's own.
func chosen(found, defaults options, name string) []string {
	if slices.Equal(found[name], defaults[name]) {
		return nil
	}
	return found.list(name)
}
