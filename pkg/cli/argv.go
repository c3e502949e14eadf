package cli

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// urfave/cli stops reading flags at the first positional argument and knows no
// flag with two values. arrange puts argv into the order it wants:
//
//	PROGRAM GLOBAL-FLAGS COMMAND COMMAND-FLAGS -- POSITIONALS
//
// A flag with two values becomes one with NAME=VALUE, -vp5 becomes -v -p=5.
// What it cannot arrange is a usage error, so that no flag is lost. The app
// must have been set up.
func arrange(app *cli.App, argv []string) ([]string, error) {
	a := arrangement{app: app, argv: argv, given: map[string]bool{}}
	rest := argv[1:]
	for len(rest) > 0 {
		word := rest[0]
		rest = rest[1:]
		var err error
		switch {
		case word == "--":
			a.positionals = append(a.positionals, rest...)
			rest = nil
		case strings.HasPrefix(word, "--"):
			rest, err = a.long(word[2:], rest)
		case strings.HasPrefix(word, "-") && word != "-":
			rest, err = a.cluster(word[1:], rest)
		default:
			a.positionals = append(a.positionals, word)
			if len(a.positionals) > 1 && slices.Contains(wordy, a.positionals[0]) {
				err = a.selectsNothing(rest)
				a.positionals, rest = append(a.positionals, rest...), nil
			} else if c := app.Command(a.positionals[0]); c != nil && c.SkipFlagParsing {
				a.positionals, rest = append(a.positionals, rest...), nil
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return a.words(argv[0])
}

// wordy are the commands whose first argument ends our flags: what follows is that of
// another program.
var wordy = []string{"exec"}

type arrangement struct {
	app         *cli.App
	argv        []string
	flags       []given
	given       map[string]bool
	positionals []string
}

// given is a flag as found on the command line.
type given struct {
	name string   // the flag's first name
	word string   // as written
	set  []string // "" or the words that give it to urfave/cli
}

func (a *arrangement) long(word string, rest []string) ([]string, error) {
	name, value, joined := strings.Cut(word, "=")
	flag := a.find(name)
	if flag == nil || len(name) == 1 {
		return nil, usage("there is no flag --%s%s", name, a.didYouMean(name))
	}
	if arity(flag) == 0 {
		if joined {
			return nil, usage("--%s takes no value", name)
		}
		return rest, a.add(flag, "--"+name, "")
	}
	if !joined {
		if len(rest) == 0 {
			return nil, usage("--%s needs %s", name, wanted(flag))
		}
		value, rest = rest[0], rest[1:]
	}
	if arity(flag) == 2 {
		if len(rest) == 0 || value == "" || strings.HasPrefix(value, "-") || strings.ContainsAny(value, "= ") {
			return nil, usage("--%s needs %s", name, wanted(flag)) // which may be secret, as access-tokens are
		}
		value, rest = value+"="+rest[0], rest[1:]
	}
	return rest, a.add(flag, "--"+name, value)
}

// cluster reads -v, -p 5, -p5, -p=5 and -vp5.
func (a *arrangement) cluster(letters string, rest []string) ([]string, error) {
	for i, letter := range letters {
		name := string(letter)
		flag := a.find(name)
		if flag == nil {
			return nil, usage("there is no flag -%s%s", name, a.didYouMean(letters))
		}
		if arity(flag) == 0 {
			if err := a.add(flag, "-"+name, ""); err != nil {
				return nil, err
			}
			continue
		}
		value := strings.TrimPrefix(letters[i+len(name):], "=")
		if value == "" {
			if len(rest) == 0 {
				return nil, usage("-%s needs %s", name, wanted(flag))
			}
			value, rest = rest[0], rest[1:]
		}
		return rest, a.add(flag, "-"+name, value)
	}
	return rest, nil
}

func (a *arrangement) add(flag cli.Flag, word, value string) error {
	name := flag.Names()[0]
	if arity(flag) == 0 {
		a.given[name] = true
		a.flags = append(a.flags, given{name, word, []string{"--" + name}})
		return nil
	}
	if a.given[name] && name != pairFlag {
		return usage("%s is given twice%s", word, onceEnough(flag))
	}
	a.given[name] = true
	a.flags = append(a.flags, given{name, word, []string{"--" + name + "=" + value}})
	return nil
}

// selectsNothing refuses a flag that selects nodes among the words of a command which no
// -- begins, unless it stands before the command as well: read as the command's own it
// would let that run on hosts that were not meant.
func (a *arrangement) selectsNothing(words []string) error {
	for _, word := range words {
		flag, _, _ := strings.Cut(word, "=")
		if name := strings.TrimPrefix(flag, "--"); name != flag && slices.Contains(choosing, name) && !a.given[name] {
			return usage("%[2]s after exec's command selects no nodes: write `%[1]s exec %[2]s NODES -- COMMAND`, or `%[1]s exec -- COMMAND` where it is the command's own", a.app.Name, flag)
		}
	}
	return nil
}

// words puts everything in order, and refuses flags of other commands.
func (a *arrangement) words(program string) ([]string, error) {
	var command *cli.Command
	if len(a.positionals) > 0 {
		if command = a.app.Command(a.positionals[0]); command == nil {
			return nil, usage("there is no command %q%s", a.positionals[0], a.nearCommand(a.positionals[0]))
		}
		if command.SkipFlagParsing { // whose flags are not ours to judge
			return append([]string{program, command.Name}, a.positionals[1:]...), nil
		}
		if command.Name == "help" && len(a.positionals) > 1 && a.app.Command(a.positionals[1]) == nil {
			return nil, usage("there is no help for %q%s", a.positionals[1], a.nearCommand(a.positionals[1]))
		}
	}
	global, local := []string{program}, []string{}
	for _, flag := range a.flags {
		switch {
		case command != nil && (flag.name == "help" || named(command.Flags, flag.name) != nil):
			local = append(local, flag.set...)
		case named(a.app.Flags, flag.name) != nil || flag.name == "help":
			global = append(global, flag.set...)
		case command == nil:
			return nil, usage("%s needs a command; `%s --help` lists them", flag.word, a.app.Name)
		default:
			return nil, usage("`%s` has no flag %s%s", command.Name, flag.word, instead(command, flag.word))
		}
	}
	if command == nil {
		return global, a.nothingToDo()
	}
	words := append(append(global, command.Name), local...)
	return append(append(words, "--"), a.positionals[1:]...), nil
}

// nothingToDo is the error of flags without a command, but for those that print
// something by themselves.
func (a *arrangement) nothingToDo() error {
	if len(a.flags) == 0 || a.given["help"] || a.given["version"] {
		return nil
	}
	for _, flag := range a.flags {
		for _, word := range flag.set {
			_, value, _ := strings.Cut(word, "=")
			if flag.name == pairFlag {
				_, value, _ = strings.Cut(value, "=")
			}
			if a.app.Command(value) != nil {
				return usage("there is no command: %q was read as the value of %s", value, flag.word)
			}
		}
	}
	return usage("%s needs a command; `%s --help` lists them", a.flags[0].word, a.app.Name)
}

// find looks a flag up among the global ones and those of all commands: where
// flags may come first, the command is not known yet.
func (a *arrangement) find(name string) cli.Flag {
	if flag := named(a.app.Flags, name); flag != nil {
		return flag
	}
	for _, command := range a.app.Commands {
		if flag := named(command.Flags, name); flag != nil {
			return flag
		}
	}
	if slices.Contains(cli.HelpFlag.Names(), name) {
		return cli.HelpFlag
	}
	return nil
}

func named(flags []cli.Flag, name string) cli.Flag {
	for _, flag := range flags {
		if slices.Contains(flag.Names(), name) {
			return flag
		}
	}
	return nil
}

// pairFlag takes two values; urfave/cli sees NAME=VALUE.
const pairFlag = "nix-option"

// arity is how many values follow a flag.
func arity(flag cli.Flag) int {
	if _, isBool := flag.(*cli.BoolFlag); isBool {
		return 0
	}
	if flag.Names()[0] == pairFlag {
		return 2
	}
	return 1
}

func wanted(flag cli.Flag) string {
	if arity(flag) == 2 {
		return "two values, each a word of its own: --" + flag.Names()[0] + " NAME VALUE"
	}
	return "a value"
}
