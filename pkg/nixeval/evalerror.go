package nixeval

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nix"
)

// EvalError is what Nix says of a hive it cannot evaluate, without what may be a
// secret (see withoutSecrets) unless the whole trace was asked for.
type EvalError struct {
	Node    string // "" when it is not about one node
	What    string // what was evaluated; "" for the hive, or the node
	Message string

	pkgsOf  string // the configuration whose pkgs were wanted of any; "" mostly
	missing string // the file that is not there; "" mostly
}

func (e *EvalError) Error() string {
	if e.Node != "" {
		return fmt.Sprintf("node %q cannot be evaluated: %s", e.Node, e.Message)
	}
	if e.What != "" {
		return fmt.Sprintf("%s cannot be evaluated: %s", e.What, e.Message)
	}
	return fmt.Sprintf("%v: %s", ErrEval, e.Message)
}

// Is makes errors.Is(err, ErrEval) true.
func (e *EvalError) Is(target error) bool { return target == ErrEval }

var (
	nodeInTrace = regexp.MustCompile(`^colmena-go: while evaluating node (".*")$`)
	keyInTrace  = regexp.MustCompile(`^colmena-go: while passing on the text of key (".*")$`)
	pkgsInTrace = regexp.MustCompile(`^colmena-go: while taking the pkgs of nixosConfigurations\.(".*")$`)
	// How versions of Nix whose JSON library checks strings refuse one (2.19 on).
	badUTF8 = regexp.MustCompile(`json\.exception.*UTF-8`)
)

// failure explains why an evaluation failed: an [*EvalError], or a
// [*hive.Problem] for a text that JSON cannot carry. With the whole trace it says
// all that Nix does, whatever that shows.
func (j *journal) failure(s surroundings) error {
	if j.last == nil && j.torn != "" {
		return &EvalError{Message: "what Nix says of it cannot be read"}
	}
	if j.last == nil {
		return &EvalError{Message: withHints(strings.Join(j.plain, "\n"), "")}
	}
	node, message := j.last.named(nodeInTrace), *j.last.Raw
	if node == "" {
		node = j.node // what ends deep in it may name nothing
	}
	if key := j.last.named(keyInTrace); key != "" && badUTF8.MatchString(message) {
		return &hive.Problem{Node: node, Key: key, Option: "text", Text: hive.BadText}
	}
	e := &EvalError{Node: node, pkgsOf: j.last.named(pkgsInTrace)}
	if found := missingFile.FindStringSubmatch(message); found != nil {
		e.missing = found[1]
	}
	if j.trace {
		e.Message = j.last.whole()
	} else {
		e.Message = j.last.short(s)
	}
	switch {
	case len(j.built) == 0 || !failedBuild.MatchString(message):
	case j.last.ofKey() && !j.trace:
		e.Message += "\n(the builder's last lines may be a secret: --show-trace shows them)"
	default:
		e.Message += "\nthe builder's last lines:\n> " + strings.Join(j.built, "\n> ")
	}
	e.Message = withHints(e.Message, j.last.about())
	return e
}

// short is what is wrong and where, in a few lines.
func (e *entry) short(s surroundings) string {
	message := e.withoutSecrets(s)
	what, where := "", ""
	if e.File != "" && !s.library(e.File) {
		where = e.place.String()
		message += where
	}
	if where == "" { // in the library, or in what is passed to Nix as an argument
		what, where = e.context(s)
		what = strings.TrimSpace(what + where)
	}
	switch {
	case strings.Contains(message, nix.NotShown):
		what += "; what is not shown may be a secret: --show-trace shows it and the way there"
	case where == "" && len(e.Trace) > 0 && !failedAssertions.MatchString(*e.Raw) && !ours.MatchString(*e.Raw):
		what += "; --show-trace shows the way there, and may show secrets"
	}
	if what == "" {
		return message
	}
	return message + "\n(" + strings.TrimPrefix(what, "; ") + ")"
}

// whole is the error in Nix's words.
func (e *entry) whole() string {
	if text, ok := strings.CutPrefix(e.Msg, "error:"); ok {
		return strings.TrimSpace(ours.ReplaceAllString(strings.TrimSpace(text), ""))
	}
	return *e.Raw + e.place.String()
}

// about is all that hints are looked for in: the message and the trace.
func (e *entry) about() string {
	lines := []string{ours.ReplaceAllString(*e.Raw, "")}
	for _, f := range e.Trace {
		lines = append(lines, f.Raw)
	}
	return strings.Join(lines, "\n")
}

// failedBuild: a build that the evaluation waited for failed.
var failedBuild = regexp.MustCompile(`^builder for |^Cannot build |^build of |^\d+ dependenc(?:y|ies) of derivation `)

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
	file := p.path()
	if file == "" {
		return ""
	}
	return fmt.Sprintf(" at %s:%d:%d", file, p.Line, p.Column)
}

// path is the file, "" for what is none.
func (p place) path() string {
	file := lineEnd.ReplaceAllString(p.File, "") // 2.26 has the line there as well
	if !strings.HasPrefix(file, "/") && file != commandLine {
		return ""
	}
	return file
}

var lineEnd = regexp.MustCompile(`:\d+:\d+$`)

// libraries: folders of nixpkgs' own files.
var libraries = regexp.MustCompile(`/lib/|/nixos/modules/|/pkgs/`)

// library reports whether a file is one of nixpkgs, where no user looks for a
// mistake. What lies beside the hive is not, wherever that is.
func (s surroundings) library(file string) bool {
	file = lineEnd.ReplaceAllString(file, "")
	if !libraries.MatchString(file) || s.hive == "" {
		return libraries.MatchString(file)
	}
	dir := filepath.Dir(s.hive)
	if found := flakeCopy.FindStringSubmatch(file); found != nil {
		for ; dir != "/" && dir != "."; dir = filepath.Dir(dir) { // the copy is one of the whole repository
			if s.exists(filepath.Join(dir, found[1])) {
				return false
			}
			if s.exists(filepath.Join(dir, ".git")) {
				break
			}
		}
		return true
	}
	return !strings.HasPrefix(file, dir+"/")
}

// failedAssertions need no more explanation than they give themselves.
var failedAssertions = regexp.MustCompile(`^Failed assertions:`)

// context is what helps to find an error that happened deep in nixpkgs: the
// option or argument it is about, and the last place outside.
func (e *entry) context(s surroundings) (what, where string) {
	for _, f := range e.Trace {
		if what == "" && (strings.HasPrefix(f.Raw, "while evaluating the option") || strings.HasPrefix(f.Raw, "while evaluating the module argument")) {
			what = f.Raw
		}
		if where == "" && !s.library(f.File) {
			where = f.place.String()
		}
	}
	return what, where
}
