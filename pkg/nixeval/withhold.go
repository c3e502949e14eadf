package nixeval

import (
	"regexp"
	"slices"
	"strings"

	nixfiles "github.com/colmena-go/colmena-go/nix"
	"github.com/colmena-go/colmena-go/pkg/nix"
)

// What an error may show. Without --show-trace it quotes no source code, no text
// of an assertion, and no value that may be the content of a key: one of a
// definition below deployment.keys or of an option that does not exist (which may
// be a misspelt one), one that Nix itself quotes, as it does not say where that
// comes from, and what a key's expression throws.

// surroundings answers what an error cannot tell by itself.
type surroundings struct {
	read   func(file string) string // the text of a file of Nix, "" if it cannot be had
	exists func(path string) bool
	hive   string // the file that the evaluation began with
}

var (
	// definitions is where the module system begins to list what an option was
	// set to: nothing that follows can be told from a value.
	definitions = regexp.MustCompile(`(?:Definition values|conflicting definition values):`)
	definition  = regexp.MustCompile("^- In [`‘'][^`‘’'\"]*['’]")
	// secretly are headlines about options whose values may be secrets.
	secretly = regexp.MustCompile("[`‘'](?:deployment(?:\\.keys(?:\\.[^`’]*)?)?|(?:nodeS|s)pecialArgs(?:\\.[^`’]*)?)['’]|^The option [`‘'].*['’] does not exist")
	ofOption = regexp.MustCompile("^while evaluating the option [`‘'](.*)['’]")

	assertion = regexp.MustCompile(`(?s)^assertion '.*' failed$`)
	unequal   = regexp.MustCompile(`(?s) is not equal to | differs? from |^lists? of `)
	condition = regexp.MustCompile(`(?s)^(while evaluating the condition of the assertion).*$`)
	undefined = regexp.MustCompile(`^undefined variable '(.*)'$`)
	// commonNames are those that modules and hives get from elsewhere, or forget to.
	commonNames = regexp.MustCompile(`^(?:lib|pkgs|config|options|inputs|self|nixpkgs|name|nodes|modulesPath|system|specialArgs|types|utils|mk[A-Z][A-Za-z]+)$`)
	// named messages are about a name of the source, unless it was computed.
	named = regexp.MustCompile(`^(?:dynamic )?attribute '([^']*)' (?:missing$|already defined at )|^(?:.*? )?called with unexpected argument '([^']*)'$`)
	// harmless messages hold tokens of the language and names of arguments.
	harmless = regexp.MustCompile(`^syntax error, |called without required argument '[^']*'$|^duplicate formal function argument '[^']*'$` +
		`|^'builtins\.\w+' called (?:with index -?\d+ on a list of size \d+|on an empty list)$`)
	// machinery is what Nix says of files, flakes, downloads and builds.
	machinery = regexp.MustCompile(`^(?:flake |the flake |input |lock file |unable to |getting status of |opening (?:file|directory) |reading |creating |path '/|access to |cannot (?:find flake|open|fetch|connect|look up)|Failed to (?:open|fetch|retrieve) |resolving |cannot build |\d+ dependenc(?:y|ies) of derivation |could not |file '[^']*' was not found in the Nix search path|experimental |program '|builder for |build of |Cannot build |a '|NAR hash|hash mismatch|unrecognised |'?[a-z-]+'? is not a recognised )`)
	// storePaths are messages that builtins.storePath may have, of what it was given.
	storePaths = regexp.MustCompile(`(?s)^(?:getting status of|path) '.*' ?(?:: |is not (?:in the Nix store|valid|a store path)|does not exist)|^(?:path )?'.*' is (?:too short to be|not) a valid store path|^store path '`)
	// declared messages are about declarations of options, and hold no value.
	declared = regexp.MustCompile("^The option [`‘][^'’\n]*['’] in (?:module )?[`‘][^'’\n]*['’] (?:would be a parent of the following options|is already declared in )")
	inQuotes = regexp.MustCompile(`(?s)'.*'`)
	// unsupported are messages that quote all of an input.
	unsupported = regexp.MustCompile(`^cannot \w+ unsupported input `)
	// unexpected: how newer versions speak of a function and its argument.
	unexpected = regexp.MustCompile(`(?s)^function '.*' called with unexpected argument '.*'$`)
	builtin    = regexp.MustCompile(`^while calling the '\w+' builtin$`)
	// value is where Nix' own messages may go over to one.
	value = regexp.MustCompile("[\"{\\[«']|: |-?\\d+ [-+*/] ")
	// afterValue is what tells such a message's sense.
	afterValue = regexp.MustCompile(`(?:['"]( missing| does not exist| is not tracked by Git| doesn't represent an absolute path)|(: (?:No such file or directory|Permission denied|Is a directory|Not a directory|Too many levels of symbolic links|File name too long)))$`)
	// callee is a function that was called with an argument that it does not take.
	callee = regexp.MustCompile(`^(?:function )?'([^']*)' (?:at |called )`)
	// fileInQuotes may be shown where it leads into a folder that is there.
	fileInQuotes = regexp.MustCompile(`'((/[^/']+)/[^']*)'(?:: (?:No such file or directory|Permission denied|Is a directory))?`)
	// nixWords are what Nix and the module system say of a key's expression, up to
	// a value. All else there is a throw, which Nix 2.8 does not mark as one.
	nixWords = regexp.MustCompile(`^(?:value is an? [\w ]+ while an? [\w ]+ was expected|expected an? [\w ]+ but found an? [\w ]+` +
		`|cannot (?:coerce|convert|compare|add) an? [\w ]+ (?:to|with|and) (?:an? )?[\w ]+(?:; values (?:are|of that type are incomparable \(values are))?|cannot decode|cannot \w+ unsupported input|attempt to call something which is not a function but an? [\w ]+` +
		`|(?:dynamic )?attribute|string|invalid (?:integer|float|regular expression|base-64 hash)|unknown hash (?:algorithm|format)|invalid (?:flakeref|value)|integer overflow in \w+|memory limit exceeded by regular expression` +
		`|unsupported argument|[cC]ontext key|context of string|invalid derivation name|unsigned json number|unexpected|path string|the contents of the file|JSON serialization error|hash|file|path|store path|access to(?: absolute)? path` +
		`|getting status of|opening (?:file|directory)|reading(?: from file)?|read of \d+ bytes|infinite recursion encountered|stack overflow[\w ();]*|(?:anonymous )?function(?: at \S+)?(?: called with unexpected argument)?|division by zero|list index -?\d+ is out of bounds` +
		`|(?:error )?while parsing(?: a)? TOML(?: string)?|parse error at line \d+, column \d+|evaluation aborted with the following error message|builder for|build of|Cannot build|\d+ dependenc(?:y|ies) of derivation|unable to \w+|(?:eqValues|assertEqValues)` +
		"|(?:The (?:unique )?|A definition for )option [`‘]deployment.*)$")
	jsonError = regexp.MustCompile(`^\[json\.exception\.[^\]]*\] `)
	ours      = regexp.MustCompile(`^colmena-go: `)
)

// withoutSecrets is the message as far as it may be shown.
func (e *entry) withoutSecrets(s surroundings) string {
	message := nix.WithoutLogins(*e.Raw)
	if at := definitions.FindStringIndex(message); at != nil {
		if e.ofKey() || secretly.MatchString(message[:at[0]]) {
			return message[:at[1]] + filesOf(message[at[1]:])
		}
		return message
	}
	if assertion.MatchString(message) || e.inCondition() && unequal.MatchString(message) {
		return "assertion " + nix.NotShown + " failed"
	}
	if found := undefined.FindStringSubmatch(message); found != nil && !commonNames.MatchString(found[1]) && e.path() != commandLine {
		return "undefined variable " + nix.NotShown
	}
	if storePaths.MatchString(message) && s.mention(e, "storePath") {
		return inQuotes.ReplaceAllString(message, nix.NotShown)
	}
	if ofKey := e.ofKey(); !ofKey && ours.MatchString(message) {
		return ours.ReplaceAllString(message, "")
	} else if !ofKey && machinery.MatchString(message) && !unsupported.MatchString(message) {
		return message
	}
	if undefined.MatchString(message) || harmless.MatchString(message) || declared.MatchString(message) || s.ownWords(e, message) {
		return message
	}
	if s.belowRoot(e, message) {
		return message + e.suggestion()
	}
	if s.nameInSource(e, message) {
		return s.withoutCallee(e, message)
	}
	if unexpected.MatchString(message) {
		return "function called with unexpected argument " + nix.NotShown
	}
	head := s.cut(jsonError.ReplaceAllString(message, ""))
	words, _, _ := strings.Cut(strings.TrimSuffix(head, nix.NotShown), " '")
	switch {
	case nixWords.MatchString(strings.TrimSpace(words)), strings.HasPrefix(message, "'"):
		if tail := afterValue.FindStringSubmatch(message); tail != nil && strings.HasSuffix(head, nix.NotShown) {
			head += tail[1] + tail[2]
		}
		return head
	case e.ofKey():
		return nix.NotShown
	case e.byNix():
		return head
	}
	return message // what somebody threw, and not about a key
}

// byNix reports whether the message is known to be none that somebody threw:
// newer versions, whose words change, tell of every builtin that the error came through.
func (e *entry) byNix() bool {
	if len(e.Trace) > 0 && e.Trace[0].Raw == "while calling the 'throw' builtin" {
		return false
	}
	return slices.ContainsFunc(e.Trace, func(f frame) bool { return builtin.MatchString(f.Raw) })
}

// cut ends a message where a value may begin.
func (s surroundings) cut(message string) string {
	// Files are put aside while values are looked for.
	var files []string
	masked := fileInQuotes.ReplaceAllStringFunc(message, func(quoted string) string {
		if !s.exists(fileInQuotes.FindStringSubmatch(quoted)[2]) {
			return quoted
		}
		files = append(files, quoted)
		return "\x00"
	})
	if at := value.FindStringIndex(masked); at != nil {
		masked = strings.TrimSpace(strings.TrimSpace(masked[:at[0]]) + " " + nix.NotShown)
	}
	for _, file := range files {
		masked = strings.Replace(masked, "\x00", file, 1)
	}
	return masked
}

// inCondition reports whether the error is one of an assertion's condition,
// which Nix from 2.24 on explains by the values that it compared.
func (e *entry) inCondition() bool {
	for _, f := range e.Trace {
		if condition.MatchString(f.Raw) {
			return true
		}
	}
	return false
}

// ofKey reports whether the trace leads through the options of keys.
func (e *entry) ofKey() bool {
	for _, f := range e.Trace {
		if keyInTrace.MatchString(f.Raw) {
			return true
		}
		if found := ofOption.FindStringSubmatch(f.Raw); found != nil &&
			(found[1] == "deployment" || found[1] == "deployment.keys" || strings.HasPrefix(found[1], "deployment.keys.")) {
			return true
		}
	}
	return false
}

// filesOf keeps the files of a list of definitions.
func filesOf(list string) string {
	var b strings.Builder
	for _, line := range strings.Split(list, "\n") {
		if file := definition.FindString(line); file != "" {
			b.WriteString("\n" + file + ": " + nix.NotShown)
		} else if strings.HasPrefix(line, "Did you mean ") {
			b.WriteString("\n" + line)
		}
	}
	return b.String()
}

// sources are the texts of the user's files that the error came through.
func (s surroundings) sources(e *entry) []string {
	files := []string{s.hive, e.path()}
	for _, f := range e.Trace {
		files = append(files, f.path())
	}
	seen := map[string]bool{"": true}
	var texts []string
	for _, file := range files {
		if !seen[file] && !s.library(file) {
			texts = append(texts, s.read(file))
		}
		seen[file] = true
	}
	return texts
}

// mention reports whether a text of the user's holds a word.
func (s surroundings) mention(e *entry, word string) bool {
	return slices.ContainsFunc(s.sources(e), func(text string) bool { return strings.Contains(text, word) })
}

// aborted is how Nix passes on the words of an abort.
var aborted = regexp.MustCompile(`(?s)^evaluation aborted with the following error message: ['"](.*)['"]$`)

// ownWords reports whether the message is one that the hive throws as it is
// written there, with nothing put into it.
func (s surroundings) ownWords(e *entry, message string) bool {
	if found := aborted.FindStringSubmatch(message); found != nil {
		message = found[1]
	}
	throw := regexp.MustCompile(`(?:throw|abort)\s*\(?\s*(?:"|'')\s*` + regexp.QuoteMeta(message) + `\s*(?:"|'')`)
	for _, text := range s.sources(e) {
		if throw.MatchString(text) {
			return true
		}
	}
	return false
}

// quoted are strings and comments.
var quoted = regexp.MustCompile(`(?s)''.*?''|"(?:[^"\\]|\\.)*"|#[^\n]*`)

// nameInSource reports whether the message is about a name that is written in
// the source as one, and not as a string. What a key is set to may be a secret
// that was not quoted.
func (s surroundings) nameInSource(e *entry, message string) bool {
	found := named.FindStringSubmatch(message)
	return found != nil && !e.ofKey() && !s.inKey(e.place) && s.inSource(e, found[1]+found[2])
}

// withoutCallee leaves out the name of the function that a message is about,
// unless that is written as a name as well.
func (s surroundings) withoutCallee(e *entry, message string) string {
	found := callee.FindStringSubmatch(message)
	if found == nil || found[1] == "anonymous lambda" || s.inSource(e, found[1]) {
		return message
	}
	return strings.Replace(message, "'"+found[1]+"'", nix.NotShown, 1)
}

func (s surroundings) inSource(e *entry, text string) bool {
	name := regexp.MustCompile(`(?:^|[^\w'-])` + regexp.QuoteMeta(text) + `(?:$|[^\w'-])`)
	// Our own names are known to everybody.
	for _, text := range append(s.sources(e), nixfiles.Expression()) {
		if name.MatchString(quoted.ReplaceAllString(text, " ")) {
			return true
		}
	}
	return false
}

// keyDefinition ends where a key is being set to something.
var keyDefinition = regexp.MustCompile(`(?:\bkeys\b[\w.\s'-]*|\btext\s*)=[^;]*$`)

// inKey reports whether a place is inside the definition of a key, by the looks.
func (s surroundings) inKey(p place) bool {
	file := p.path()
	if file == "" || p.Line < 1 {
		return false
	}
	lines := strings.SplitAfter(s.read(file), "\n")
	if p.Line > len(lines) {
		return false
	}
	last := lines[p.Line-1]
	before := strings.Join(lines[:p.Line-1], "") + last[:min(len(last), max(0, p.Column-1))]
	return keyDefinition.MatchString(quoted.ReplaceAllString(before, " "))
}
