package nix

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	nixfiles "github.com/colmena-go/colmena-go/nix"
	"github.com/colmena-go/colmena-go/pkg/hive"
)

// Request is what a command wants of a hive.
type Request struct {
	Selector hive.Selector
	Toplevel bool // evaluate each node's system
	Keys     bool // evaluate the texts of keys
	Guarded  bool // without a selector, evaluate no node unless meta.allowApplyAll
}

// Errors that callers tell apart with errors.Is.
var (
	// ErrEval: Nix could not evaluate the hive; the error is an [*EvalError].
	ErrEval = errors.New("the hive cannot be evaluated")
	// ErrNoOutput: the flake has none of the outputs that can be deployed.
	ErrNoOutput = errors.New("the flake has no hive")
	// ErrEncoding: a string of the hive is not UTF-8, which JSON cannot carry.
	ErrEncoding = errors.New("the evaluation's result is not valid UTF-8")
)

// Eval evaluates what the request asks for, in one run of `nix eval` (and one
// for every output that a flake turns out not to have), and returns its JSON,
// which may hold secrets: it is for [hive.Decode] alone.
func (t Tool) Eval(ctx context.Context, source Source, request Request) ([]byte, error) {
	wish := selectExpression(request)
	if source.File != "" {
		expr := fmt.Sprintf("let c = %s; in %s (c.makeHive { hermetic = false; } (import %s))",
			nixfiles.Expression(), wish, quote(source.File))
		return t.eval(ctx, "", "--impure", "--expr", expr)
	}
	return t.evalFlake(ctx, source, wish)
}

// selectExpression is the function from a hive to data, of the set c.
func selectExpression(request Request) string {
	patterns, err := json.Marshal(request.Selector.Patterns)
	if err != nil || request.Selector.All() {
		patterns = []byte("[]")
	}
	return fmt.Sprintf("(c.select { patterns = builtins.fromJSON %s; toplevel = %t; keys = %t; guarded = %t; })",
		quote(string(patterns)), request.Toplevel, request.Keys, request.Guarded)
}

// quote writes a Nix string.
func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "${", `\${`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(text) + `"`
}

// output is a flake's output that may hold a hive, in the order of preference.
type output struct{ name, guard string }

// A guard is true for a value that is not wanted from this output. Nix 2.8
// looks an attribute up in packages and legacyPackages first, so that
// `colmena` may turn out to be the program.
var outputs = []output{
	{"colmenaHive", `(v.__schema or null) != "colmena-go.v1"`},
	{"colmena", `(v.type or null) == "derivation"`},
	{"colmenaHive", `(v.type or null) == "derivation"`},
	{"nixosConfigurations", "false"},
}

// next is what an evaluation returns for a value that its guard refuses.
const next = `{"next":true}`

func (t Tool) evalFlake(ctx context.Context, source Source, wish string) ([]byte, error) {
	missing := map[string]bool{}
	for _, out := range outputs {
		if missing[out.name] {
			continue
		}
		apply := fmt.Sprintf("v: if builtins.isAttrs v && (%s) then { next = true; } else let c = %s; in %s (c.fromFlake %s v)",
			out.guard, nixfiles.Expression(), wish, quote(out.name))
		args := []string{source.Flake + "#" + out.name, "--apply", apply}
		if t.Impure {
			args = append(args, "--impure")
		}
		text, err := t.eval(ctx, source.Dir, args...)
		if absent(err, out.name) {
			missing[out.name] = true
			continue
		}
		if err != nil {
			return nil, t.explainFlake(ctx, source, err)
		}
		if string(bytes.TrimSpace(text)) == next {
			if out.name == "colmena" {
				text, err = t.evalShadowed(ctx, source, apply)
				if err != nil || string(bytes.TrimSpace(text)) != next {
					return text, err
				}
			}
			continue
		}
		return text, nil
	}
	return nil, fmt.Errorf("%w: %s has none of the outputs colmenaHive, colmena and nixosConfigurations", ErrNoOutput, source)
}

// evalShadowed reaches the output `colmena` of a flake that has a package of
// that name, by way of the flake's copy in the store, which is pure as well.
func (t Tool) evalShadowed(ctx context.Context, source Source, apply string) ([]byte, error) {
	cmd := t.command(ctx, "nix", append(append([]string{}, features...), "flake", "metadata", "--json", source.Flake)...)
	cmd.Dir = source.Dir
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := t.run(ctx, cmd, nil); err != nil {
		return nil, fmt.Errorf("%w: nix flake metadata: %w", ErrEval, err)
	}
	var meta struct {
		Path   string
		Locked struct {
			NarHash      string
			LastModified int64
			Dir          string
		}
	}
	if err := json.Unmarshal(out.Bytes(), &meta); err != nil {
		return nil, fmt.Errorf("%w: nix flake metadata: %w", ErrEval, err)
	}
	url := "path:" + meta.Path + "?narHash=" + strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D").Replace(meta.Locked.NarHash)
	if meta.Locked.Dir != "" {
		url += "&dir=" + meta.Locked.Dir
	}
	expr := fmt.Sprintf("let f = builtins.getFlake %s; in if f ? colmena then (%s) f.colmena else { next = true; }", quote(url), apply)
	args := []string{"--expr", expr}
	if t.Impure {
		args = append(args, "--impure")
	}
	return t.eval(ctx, source.Dir, args...)
}

// eval runs nix eval. The trace is always asked for, since it names the node.
func (t Tool) eval(ctx context.Context, dir string, args ...string) ([]byte, error) {
	all := append(append([]string{}, features...), "eval", "--json", "--show-trace")
	cmd := t.command(ctx, "nix", append(append(all, t.optionArgs()...), args...)...)
	cmd.Dir = dir
	cmd.Env = heapEnv()
	var out bytes.Buffer
	cmd.Stdout = &out
	var said []string
	err := t.run(ctx, cmd, func(line string) { said = append(said, line) })
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return nil, evalFailed(said, t.ShowTrace)
	case err != nil:
		return nil, err
	}
	for _, line := range said {
		if rest, ok := strings.CutPrefix(line, "trace: "); ok {
			t.Log.Info().Msg(rest)
		} else if strings.HasPrefix(line, "warning: ") {
			t.Log.Warn().Msg(strings.TrimPrefix(line, "warning: "))
		}
	}
	if !utf8.Valid(out.Bytes()) {
		return nil, encodingError(out.Bytes())
	}
	return out.Bytes(), nil
}

// EvalError is what Nix says of a hive it cannot evaluate.
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
	nodeInTrace = regexp.MustCompile(`colmena-go: while evaluating node ("(?:[^"\\]|\\.)*")`)
	keyInTrace  = regexp.MustCompile(`colmena-go: while passing on the text of key ("(?:[^"\\]|\\.)*")`)
	// How versions of Nix whose JSON library checks strings refuse one (2.19 on).
	badUTF8 = regexp.MustCompile(`json\.exception.*UTF-8`)
	// position is where in a file of the user's an error is.
	position = regexp.MustCompile(`^at (/.*:\d+:\d+):$`)
	// excerpt is a line of source code in a trace, or the mark below it.
	excerpt = regexp.MustCompile(`^\s*(\d+)?\|`)
)

// evalFailed turns what Nix says into an error. Source code is never part of
// it: a line of it may hold the text of a key.
func evalFailed(said []string, all bool) error {
	said = slices.DeleteFunc(said, func(line string) bool { return excerpt.MatchString(line) })
	trace := strings.Join(said, "\n")
	if node, key := inTrace(nodeInTrace, trace), inTrace(keyInTrace, trace); key != "" && badUTF8.MatchString(trace) {
		return badText(node, key)
	}
	return newEvalError(said, all)
}

// inTrace is the name, written as JSON, that an expression finds in a trace, or "".
func inTrace(pattern *regexp.Regexp, trace string) (name string) {
	if found := pattern.FindStringSubmatch(trace); found != nil && json.Unmarshal([]byte(found[1]), &name) != nil {
		return found[1]
	}
	return name
}

// badText: the text of a key is one that JSON cannot carry.
func badText(node, key string) error {
	return fmt.Errorf("%w: node %q, deployment.keys.%q: use keyFile or keyCommand for binary content", ErrEncoding, node, key)
}

// newEvalError finds the message and the node in Nix's trace. Nix 2.8 prints
// the message first and then the trace; later versions the other way round.
func newEvalError(said []string, all bool) *EvalError {
	e := &EvalError{Node: inTrace(nodeInTrace, strings.Join(said, "\n"))}
	said = withoutValues(said)
	if all {
		e.Message = strings.Join(said, "\n")
		return e
	}
	last := -1
	for i, line := range said {
		if text := strings.TrimSpace(line); strings.HasPrefix(text, "error:") && text != "error:" {
			last = i
		}
	}
	if last < 0 {
		e.Message = strings.Join(said, "\n")
		return e
	}
	message := []string{strings.TrimPrefix(strings.TrimSpace(said[last]), "error: ")}
	for _, line := range said[last+1:] {
		text := strings.TrimSpace(line)
		if found := position.FindStringSubmatch(text); found != nil {
			message[len(message)-1] += " at " + found[1]
		}
		if strings.HasPrefix(text, "…") || strings.HasPrefix(text, "at ") || strings.HasPrefix(text, "(use") {
			break
		}
		if text != "" {
			message = append(message, text)
		}
	}
	e.Message = strings.Join(message, "\n")
	return e
}

var definition = regexp.MustCompile("^(\\s*- In [`‘'].*?['’]):.*$")

// withoutValues takes the values of options out of an error about a key: they
// may be secrets.
func withoutValues(said []string) []string {
	if !strings.Contains(strings.Join(said, "\n"), "deployment.keys") {
		return said
	}
	var kept []string
	inside := false
	for _, line := range said {
		text := strings.TrimSpace(line)
		switch found := definition.FindStringSubmatch(line); {
		case found != nil:
			kept, inside = append(kept, found[1]+": [value not shown]"), true
		case inside && text != "" && !strings.HasPrefix(text, "…") && !strings.HasPrefix(text, "at ") && !strings.HasPrefix(text, "error:"):
		default:
			kept, inside = append(kept, line), false
		}
	}
	return kept
}

// absent reports whether a flake simply does not have an output.
func absent(err error, output string) bool {
	var eval *EvalError
	return errors.As(err, &eval) && strings.Contains(eval.Message, "does not provide attribute") &&
		strings.Contains(eval.Message, "'"+output+"'")
}

// explainFlake adds what Nix leaves unsaid: a file that git does not track is
// not part of the flake.
func (t Tool) explainFlake(ctx context.Context, source Source, err error) error {
	var eval *EvalError
	if !errors.As(err, &eval) || source.Dir == "" || !strings.Contains(eval.Message, "No such file or directory") && !strings.Contains(eval.Message, "does not exist") {
		return err
	}
	cmd := exec.CommandContext(ctx, "git", "-C", source.Dir, "ls-files", "--others", "--exclude-standard")
	out, gitErr := cmd.Output()
	if untracked := strings.Fields(string(out)); gitErr == nil && len(untracked) > 0 {
		eval.Message += fmt.Sprintf("\n(git does not track %s here, and a flake holds only what git tracks: git add what it needs)", strings.Join(untracked[:min(3, len(untracked))], ", "))
	}
	return err
}

// encodingError names the node and key at the first byte that is not UTF-8,
// found by scanning back for the names that stand before it.
func encodingError(text []byte) error {
	at := 0
	for at < len(text) {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	path := jsonPath(text[:at])
	for i, name := range path {
		if name == "nodes" && i+4 < len(path) && path[i+3] == "keys" {
			return badText(path[i+1], path[i+4])
		}
		if name == "nodes" && i+1 < len(path) {
			return fmt.Errorf("%w: node %q: %s", ErrEncoding, path[i+1], strings.Join(path[i+2:], "."))
		}
	}
	return ErrEncoding
}

// jsonPath is where a JSON text that stops in the middle stops: the names of
// the objects that are open.
func jsonPath(text []byte) []string {
	type level struct{ name string }
	var open []level
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			open = append(open, level{})
		case '}', ']':
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		case '"':
			end := i + 1
			for end < len(text) && text[end] != '"' {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			if end+1 < len(text) && text[end+1] == ':' && len(open) > 0 {
				var name string
				if json.Unmarshal(text[i:end+1], &name) == nil {
					open[len(open)-1].name = name
				}
			}
			i = end
		}
	}
	var path []string
	for _, l := range open {
		path = append(path, l.name)
	}
	return path
}
