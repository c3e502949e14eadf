package nix

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

// EvalError is what Nix says of a hive it cannot evaluate. It quotes no source
// code, and no value that may be that of a key.
type EvalError struct {
	Node    string // "" when it is not about one node
	Message string
}

func (e *EvalError) Error() string {
	if e.Node != "" {
		return fmt.Sprintf("node %q cannot be evaluated: %s", e.Node, e.Message)
	}
	return fmt.Sprintf("%v: %s", ErrEval, e.Message)
}

// Is makes errors.Is(err, ErrEval) true.
func (e *EvalError) Is(target error) bool { return target == ErrEval }

var (
	nodeInTrace = regexp.MustCompile(`^colmena-go: while evaluating node (".*")$`)
	keyInTrace  = regexp.MustCompile(`^colmena-go: while passing on the text of key (".*")$`)
	// How versions of Nix whose JSON library checks strings refuse one (2.19 on).
	badUTF8 = regexp.MustCompile(`json\.exception.*UTF-8`)
)

// failure explains why an evaluation failed: an [*EvalError], or a
// [*hive.Problem] for a text that JSON cannot carry. With trace it says all
// the way that the evaluation went.
func (j *journal) failure(trace bool) error {
	if j.last == nil {
		return &EvalError{Message: strings.Join(j.plain, "\n")}
	}
	node, message := j.last.named(nodeInTrace), *j.last.Raw
	if key := j.last.named(keyInTrace); key != "" && badUTF8.MatchString(message) {
		return &hive.Problem{Node: node, Key: key, Option: "text", Text: hive.BadText}
	}
	e := &EvalError{Node: node, Message: j.last.withoutValues()}
	switch {
	case trace:
		e.Message += j.last.place.String() + j.last.wholeTrace()
	case j.last.File != "" && !j.last.inLibrary():
		e.Message += j.last.place.String()
	default:
		e.Message += j.last.context()
	}
	if len(j.built) > 0 && failedBuild.MatchString(message) {
		e.Message += "\nthe builder's last lines:\n> " + strings.Join(j.built, "\n> ")
	}
	return e
}

// failedBuild: a build that the evaluation waited for failed.
var failedBuild = regexp.MustCompile(`^builder for |^Cannot build |^build of `)

// named is the name, written as JSON, that the trace holds, or "".
func (e *entry) named(pattern *regexp.Regexp) (name string) {
	for _, f := range e.Trace {
		if found := pattern.FindStringSubmatch(f.Raw); found != nil {
			if json.Unmarshal([]byte(found[1]), &name) != nil {
				return found[1]
			}
			return name
		}
	}
	return ""
}

// String is " at FILE:LINE:COLUMN", or "" for a place in what is passed to Nix as
// an argument, which is none to the user.
func (p place) String() string {
	file := lineEnd.ReplaceAllString(p.File, "") // 2.26 has the line there as well
	if !strings.HasPrefix(file, "/") {
		return ""
	}
	return fmt.Sprintf(" at %s:%d:%d", file, p.Line, p.Column)
}

var lineEnd = regexp.MustCompile(`:\d+:\d+$`)

// library: nixpkgs' own files, where no user looks for a mistake.
var library = regexp.MustCompile(`/lib/|/nixos/modules/|/pkgs/`)

func (p place) inLibrary() bool { return library.MatchString(p.File) }

// failedAssertions need no more explanation than they give themselves.
var failedAssertions = regexp.MustCompile(`^Failed assertions:`)

func (e *entry) wholeTrace() string {
	var b strings.Builder
	for _, f := range e.Trace {
		if where := f.place.String(); where != "" || f.File == "" {
			fmt.Fprintf(&b, "\n  … %s%s", expression.ReplaceAllString(f.Raw, "$1"), where)
		}
	}
	return b.String()
}

// expression is source code in a frame of the trace.
var expression = regexp.MustCompile(`(?s)^(while evaluating the condition of the assertion) .*$`)

// context is what helps to find an error that happened deep in nixpkgs: the
// option or argument it is about, and the last place outside.
func (e *entry) context() string {
	what, where := "", ""
	for _, f := range e.Trace {
		if what == "" && (strings.HasPrefix(f.Raw, "while evaluating the option") || strings.HasPrefix(f.Raw, "while evaluating the module argument")) {
			what = f.Raw
		}
		if where == "" && !f.inLibrary() {
			where = f.place.String()
		}
	}
	switch {
	case where == "" && len(e.Trace) > 0 && !failedAssertions.MatchString(*e.Raw):
		where = "; --show-trace shows the way there"
	case what == "" && where == "":
		return ""
	}
	return "\n(" + strings.TrimLeft(what+where, "; ") + ")"
}

var (
	// definitions is where the module system begins to list what an option was
	// set to: nothing that follows can be told from a value.
	definitions = regexp.MustCompile(`(?:Definition values|conflicting definition values):`)
	definition  = regexp.MustCompile("^- In [`‘'][^`‘’'\"]*['’]")
	strange     = regexp.MustCompile("^The option [`‘'](?:.*['’] does not exist|deployment\\.)|[`‘']deployment\\.")
	// value is where Nix' own messages may go over to one; a path is none.
	value = regexp.MustCompile("[\"{\\[«]|: |'[^/]")
	// plain messages name what the hive's author wrote.
	plain = regexp.MustCompile(`^(?:attribute '[^']*' missing|undefined variable '[^']*')$`)
	// ownWords begins the trace of what the hive itself says, called that of any
	// error where Nix is one that quotes values (2.20 and later).
	ownWords = regexp.MustCompile(`^while calling the '(?:throw|abort)' builtin`)
	called   = regexp.MustCompile(`^while calling `)
	ofOption = regexp.MustCompile("^while evaluating the option [`‘'](.*)['’]")
)

const (
	notShown = "[value not shown]"
	noFile   = ": No such file or directory"
)

// withoutValues is the message without what may be the content of a key: values
// of deployment.* and of options that do not exist, since they may be misspelt
// ones; and whatever values Nix itself has to say of the expression of a key.
func (e *entry) withoutValues() string {
	message, ofKey := *e.Raw, e.ofKey()
	if at := definitions.FindStringIndex(message); at != nil {
		if ofKey || strange.MatchString(message) {
			return message[:at[1]] + filesOf(message[at[1]:])
		}
		return message
	}
	own := len(e.Trace) > 0 && ownWords.MatchString(e.Trace[0].Raw) && !e.Trace[0].inLibrary()
	if !ofKey || own || plain.MatchString(message) {
		return message
	}
	if at := value.FindStringIndex(strings.TrimSuffix(message, noFile)); at != nil {
		return strings.TrimSpace(message[:at[0]]) + " " + notShown
	}
	return message
}

// ofKey reports whether the error may be about the content of a key: the trace
// says so, or names no option at all and Nix is one that quotes values.
func (e *entry) ofKey() bool {
	quotes, option := false, false
	for _, f := range e.Trace {
		quotes = quotes || called.MatchString(f.Raw)
		if keyInTrace.MatchString(f.Raw) {
			return true
		}
		if found := ofOption.FindStringSubmatch(f.Raw); found != nil {
			option = true
			if found[1] == "deployment" || strings.HasPrefix(found[1], "deployment.keys") {
				return true
			}
		}
	}
	return quotes && !option
}

// filesOf keeps the files of a list of definitions.
func filesOf(list string) string {
	var b strings.Builder
	for _, line := range strings.Split(list, "\n") {
		if file := definition.FindString(line); file != "" {
			b.WriteString("\n" + file + ": " + notShown)
		} else if strings.HasPrefix(line, "Did you mean ") {
			b.WriteString("\n" + line)
		}
	}
	return b.String()
}
