package sshconfig

import (
	"fmt"
	"strings"
)

// What deployment.sshOptions may hold: the options of ssh's command line (ssh(1)),
// in every form that getopt(3) takes.

// flags are the letters of ssh's options without a value, and valued of those
// with one.
const (
	flags  = "1246aACfgGkKMnNqsTtvVxXyY"
	valued = "BbcDEeFIiJLlmOoPpQRSWw"
)

// senseless are options that would have ssh do something else than to log in and
// run a command, or what is not done here, and why.
var senseless = map[byte]string{
	'f': "sends ssh into the background", 'G': "prints the configuration", 'N': "runs no command", 'n': "takes the input away from commands",
	's': "asks for a subsystem", 'V': "prints the version", 'E': "writes a log of its own", 'O': "commands another ssh", 'Q': "prints what ssh supports",
	'W': "forwards standard input and output", 'P': "means other things in other versions", '1': "is for a protocol that is gone",
	'L': "forwards a port", 'R': "forwards a port", 'D': "forwards a port", 'g': "is for forwarded ports",
}

// senselessNames are the same for -o.
var senselessNames = map[string]string{
	"sessiontype": "says what else than a command is run", "remotecommand": "says which command is run", "stdinnull": "takes the input away from commands",
	"forkafterauthentication": "sends ssh into the background", "localforward": "forwards a port", "remoteforward": "forwards a port", "dynamicforward": "forwards a port",
	"host": "begins a block of a file", "match": "begins a block of a file",
}

// idle are options that settle nothing here: what ssh says of itself, terminals,
// and sharing of a connection, of which there is one anyway.
const idle = "qvytTeMS"

// Arguments sees that words are options of ssh's command line that make sense for a
// deployment, and returns those that settle something. An error names the option
// and never its value.
func Arguments(words []string) (settling []string, err error) {
	for i := 0; i < len(words); i++ {
		word := words[i]
		if len(word) < 2 || word[0] != '-' || word == "--" {
			return nil, fmt.Errorf("word %d is not an option: those of ssh begin with a dash, and the host is that of deployment.targetHost", i+1)
		}
		for at := 1; at < len(word); at++ {
			option := word[at]
			takesValue := strings.IndexByte(valued, option) >= 0
			if err := known(word, option, takesValue); err != nil {
				return nil, err
			}
			argument := []string{"-" + string(option)}
			if takesValue {
				value := word[at+1:]
				at = len(word)
				if value == "" {
					if i++; i == len(words) {
						return nil, fmt.Errorf("-%c needs a value, which would be the next word", option)
					}
					value = words[i]
				}
				if err := sensible(option, value); err != nil {
					return nil, err
				}
				argument = append(argument, value)
			}
			if strings.IndexByte(idle, option) < 0 {
				settling = append(settling, argument...)
			}
		}
	}
	return settling, nil
}

// known looks at the letter of an option in a word.
func known(word string, option byte, takesValue bool) error {
	if why, refused := senseless[option]; refused {
		return fmt.Errorf("-%c makes no sense there, as it %s: leave it out", option, why)
	}
	if !takesValue && strings.IndexByte(flags, option) < 0 {
		return fmt.Errorf("%s is not an option of ssh (see ssh(1))", shown(word))
	}
	return nil
}

// shown is a word that may be shown: it has no value in it that ssh knows of.
func shown(word string) string {
	if name, _, both := strings.Cut(word, "="); both {
		word = name + "=…"
	}
	return fmt.Sprintf("%q", word)
}

// sensible looks at the value of an option.
func sensible(option byte, value string) error {
	if value == "" || strings.Contains(value, "\x00") {
		return fmt.Errorf("-%c has no value, or one that no argument can hold", option)
	}
	if option != 'o' {
		return nil
	}
	name := optionName(value)
	if why, refused := senselessNames[name]; refused {
		return fmt.Errorf("-o %s makes no sense there, as it %s: leave it out", name, why)
	}
	if name == "" || len(name) == len(strings.TrimSpace(value)) {
		return fmt.Errorf("-o needs a name and a value, as in -o ConnectTimeout=10, and has %s", shown(value))
	}
	return nil
}

// optionName is the lower-case name of what ssh_config(5) would have as a line.
func optionName(line string) string {
	line = strings.TrimLeft(line, " \t")
	end := strings.IndexAny(line, " \t=\"")
	if end < 0 {
		end = len(line)
	}
	return strings.ToLower(line[:end])
}
