package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/roster"
)

// candidate is a word that may stand where the cursor is.
type candidate struct{ word, help string }

// completer finds candidates: it evaluates nothing, and asks nobody but this machine.
type completer struct {
	app   *cli.App
	nodes func(config string) []roster.Node // of the hive that --config names, "" for the nearest
}

// candidates are what the last of words may become; the others stand before it, without
// the program's name.
func (co *completer) candidates(words []string) []candidate {
	if len(words) == 0 {
		return nil
	}
	at := co.at(words[:len(words)-1])
	word := words[len(words)-1]
	switch name, value, joined := strings.Cut(word, "="); {
	case at.flag != nil:
		return matching(co.values(at.flag, at, word), word)
	case at.foreign || at.literal && at.command == nil:
		return nil
	case joined && strings.HasPrefix(name, "--") && !at.literal:
		flag := co.flag(strings.TrimLeft(name, "-"), at.command)
		if flag == nil || arity(flag) != 1 {
			return nil
		}
		list := matching(co.values(flag, at, value), value)
		for i := range list {
			list[i].word = name + "=" + list[i].word
		}
		return list
	case strings.HasPrefix(word, "-") && !at.literal:
		return matching(co.flags(at), word)
	case at.command == nil:
		return matching(co.commands(), word)
	}
	return matching(positionals(at, co.commands(), word), word)
}

// place is where the cursor is.
type place struct {
	command *cli.Command // nil before one is given
	args    int          // how many it has been given
	flag    cli.Flag     // whose value is to come; nil for none
	config  string       // the value of --config
	given   []string     // flags
	literal bool         // after a --
	foreign bool         // among the words of another program's command
}

func (co *completer) at(words []string) place {
	var at place
	owed := 0 // values of at.flag
	for _, word := range words {
		name, value, joined := strings.Cut(word, "=")
		switch {
		case at.foreign:
			return at
		case owed > 0:
			if at.flag.Names()[0] == "config" {
				at.config = word
			}
			if owed--; owed == 0 {
				at.flag = nil
			}
		case at.literal || word == "-" || !strings.HasPrefix(word, "-"):
			if at.command == nil {
				if at.command = co.app.Command(word); at.command == nil {
					at.foreign = true
				}
				break
			}
			at.args++
			at.foreign = at.foreign || at.command.SkipFlagParsing || slices.Contains(wordy, at.command.Name)
		case word == "--":
			at.literal = true
		default:
			flag := co.flag(strings.TrimLeft(name, "-"), at.command)
			if flag == nil && !strings.HasPrefix(word, "--") { // -vp
				flag, joined = co.flag(word[len(word)-1:], at.command), false
			}
			if flag == nil {
				break
			}
			at.given = append(at.given, flag.Names()[0])
			if owed = arity(flag); joined {
				owed--
				if flag.Names()[0] == "config" {
					at.config = value
				}
			}
			if owed > 0 {
				at.flag = flag
			}
		}
	}
	return at
}

// flag looks a flag up by one of its names: in the command, if one is known.
func (co *completer) flag(name string, command *cli.Command) cli.Flag {
	if command == nil {
		return (&arrangement{app: co.app}).find(name)
	}
	if flag := named(command.Flags, name); flag != nil {
		return flag
	}
	return named(co.app.Flags, name)
}

func (co *completer) commands() (list []candidate) {
	for _, command := range co.app.Commands {
		if !command.Hidden {
			list = append(list, candidate{command.Name, command.Usage})
		}
	}
	return list
}

func (co *completer) flags(at place) (list []candidate) {
	flags := slices.Clone(co.app.Flags)
	if at.command != nil {
		flags = append(slices.Clone(at.command.Flags), flags...)
	}
	for _, flag := range flags {
		name := flag.Names()[0]
		shown, ok := flag.(cli.VisibleFlag)
		documented, has := flag.(cli.DocGenerationFlag)
		if ok && !shown.IsVisible() || slices.Contains(at.given, name) && name != pairFlag {
			continue
		}
		help := ""
		if has {
			help = strings.ReplaceAll(documented.GetUsage(), "`", "")
		}
		if word := "--" + name; !slices.ContainsFunc(list, func(c candidate) bool { return c.word == word }) {
			list = append(list, candidate{word, help})
		}
	}
	return list
}

// words of flags that take one of a few.
var choices = map[string][]string{
	"color": {auto, "always", "never"}, "log-format": {"text", "json"}, "via": {"none"},
	"eval-workers": {auto}, "eval-node-limit": {auto}, "build-jobs": {auto}, "evaluator": {"chunked", "streaming"},
}

// values are what may follow a flag, where text is there already.
func (co *completer) values(flag cli.Flag, at place, text string) []candidate {
	switch name := flag.Names()[0]; name {
	case "on", "exclude":
		return inList(co.nodes(at.config), text)
	case "node":
		return justNames(co.nodes(at.config))
	default:
		if words, known := choices[name]; known {
			return plain(words)
		}
		if takesFile(flag) {
			return files(text)
		}
	}
	return nil
}

// takesFile reports whether a flag's help calls its value a file.
func takesFile(flag cli.Flag) bool {
	documented, ok := flag.(cli.DocGenerationFlag)
	return ok && strings.Contains(documented.GetUsage(), "`FILE`")
}

// positionals are what a command takes besides flags.
func positionals(at place, commands []candidate, word string) []candidate {
	switch {
	case at.args > 0:
		return nil
	case strings.Contains(at.command.ArgsUsage, "GOAL"):
		return plain(hive.GoalNames())
	case at.command.ArgsUsage == "[FILE]" || at.command.ArgsUsage == "DIR":
		return files(word)
	case at.command.Name == "help":
		return commands
	case at.command.Name == completionName:
		return plain(shells())
	case at.command.Name == "keys":
		return plain(keysQuestions())
	}
	return nil
}

// inList completes the last of the patterns of --on: those before it stay.
func inList(nodes []roster.Node, text string) (list []candidate) {
	done := text[:lastPattern(text)]
	if strings.HasPrefix(text[len(done):], "!") {
		done += "!"
	}
	given := strings.Split(strings.ReplaceAll(done, "!", ""), ",")
	add := func(word, help string) {
		if !slices.Contains(given, word) {
			list = append(list, candidate{done + word, help})
		}
	}
	tags := map[string][]string{}
	for _, node := range nodes {
		add(pattern(node.Name), strings.Join(node.Tags, ", "))
		for _, tag := range node.Tags {
			tags[tag] = append(tags[tag], node.Name)
		}
	}
	for tag, names := range tags {
		add("@"+pattern(tag), strings.Join(names, ", "))
	}
	slices.SortStableFunc(list, func(a, b candidate) int { return strings.Compare(a.word, b.word) })
	return list
}

// lastPattern is where the last pattern of a list begins.
func lastPattern(text string) (at int) {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case ',':
			at = i + 1
		}
	}
	return at
}

// pattern is one for just this name: blanks around it would not be part of it.
func pattern(name string) string {
	var b strings.Builder
	for i, r := range name {
		outer := i == 0 || i == len(name)-1
		if strings.ContainsRune(`,*?[]{}!@\`, r) || r == ' ' && outer {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func justNames(nodes []roster.Node) (list []candidate) {
	for _, node := range nodes {
		list = append(list, candidate{node.Name, strings.Join(node.Tags, ", ")})
	}
	return list
}

// files are those that a path may become, folders with a slash behind them.
func files(path string) (list []candidate) {
	dir, begin := filepath.Split(path)
	folder := dir
	if rest, found := strings.CutPrefix(dir, "~/"); found {
		home, _ := os.UserHomeDir()
		folder = filepath.Join(home, rest)
	}
	if folder == "" {
		folder = "."
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") && !strings.HasPrefix(begin, ".") {
			continue
		}
		if info, err := os.Stat(filepath.Join(folder, name)); err == nil && info.IsDir() {
			name += "/"
		}
		list = append(list, candidate{word: dir + name})
	}
	return list
}

func plain(words []string) (list []candidate) {
	for _, word := range words {
		list = append(list, candidate{word: word})
	}
	return list
}

func matching(list []candidate, begin string) []candidate {
	return slices.DeleteFunc(list, func(c candidate) bool { return !strings.HasPrefix(c.word, begin) })
}
