package nix

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	nixfiles "github.com/colmena-go/colmena-go/nix"
	"github.com/colmena-go/colmena-go/pkg/hive"
)

// Request is what a command wants of a hive.
type Request struct {
	Selector hive.Selector
	Toplevel bool     // evaluate each node's system
	Keys     bool     // evaluate the texts of keys
	Guarded  bool     // without a selector, evaluate no node unless meta.allowApplyAll
	Without  []string // nodes that are not evaluated, nor selected

	// Announce, if set, is told of each selected node before any system is
	// evaluated: a text for [hive.DecodeTarget], without secrets.
	Announce func(node []byte)
}

// Errors that callers tell apart with errors.Is.
var (
	// ErrEval: Nix could not evaluate the hive; the error is an [*EvalError].
	ErrEval = errors.New("the hive cannot be evaluated")
	// ErrNoOutput: the flake has none of the outputs that can be deployed.
	ErrNoOutput = errors.New("the flake has no hive")
)

// Eval evaluates what the request asks for, in one run of `nix eval` (and one
// for every output that a flake turns out not to have), and returns its JSON,
// which may hold secrets: it is for [hive.Decode] alone. It fails with [ErrNoNix],
// [ErrEval] or [ErrNoOutput], or with a [*hive.Problem] for a key's text that is
// not UTF-8; no error shows a key's content.
func (t Tool) Eval(ctx context.Context, source Source, request Request) ([]byte, error) {
	t.announce, t.token = request.Announce, rand.Text()
	wish := selectExpression(request, t.token)
	t.hive = source.path()
	if source.File != "" {
		expr := fmt.Sprintf("let c = %s; in %s (c.makeHive { hermetic = false; } (import %s))",
			nixfiles.Expression(), wish, nixfiles.Quote(source.File))
		return t.eval(ctx, "", "--impure", "--expr", expr)
	}
	return t.evalFlake(ctx, source, wish)
}

// selectExpression is the function from a hive to data, of the set c.
func selectExpression(request Request, token string) string {
	patterns, err := json.Marshal(request.Selector.Patterns)
	if err != nil || len(request.Selector.Patterns) == 0 {
		patterns = []byte("[]")
	}
	without, err := json.Marshal(append([]string{}, request.Without...))
	if err != nil {
		without = []byte("[]")
	}
	return fmt.Sprintf("(c.select { patterns = builtins.fromJSON %s; toplevel = %t; keys = %t; guarded = %t; without = builtins.fromJSON %s; announce = %t; token = %s; })",
		nixfiles.Quote(string(patterns)), request.Toplevel, request.Keys, request.Guarded, nixfiles.Quote(string(without)), request.Announce != nil, nixfiles.Quote(token))
}

// surroundings are those of an evaluation on this machine.
func (t Tool) surroundings() surroundings {
	return surroundings{hive: t.hive, read: readSource, exists: exists}
}

// largestSource is how much of a file is read to explain an error.
const largestSource = 1 << 20

// readSource returns the text of a file of Nix, "" if that cannot be had.
func readSource(file string) string {
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		file += "/default.nix"
	}
	if !isFile(file) {
		return ""
	}
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, largestSource))
	if err != nil {
		return ""
	}
	return string(text)
}

// eval runs nix eval. What Nix says on the way, such as traces and warnings, is
// logged at once, and kept to explain a failure. The trace is always asked for,
// since it names the node.
func (t Tool) eval(ctx context.Context, dir string, args ...string) ([]byte, error) {
	all := append(append([]string{}, features...), "eval", "--json", "--show-trace", "--log-format", "internal-json")
	cmd := t.command(ctx, "nix", append(append(all, t.optionArgs()...), args...)...)
	cmd.Dir = dir
	cmd.Env = heapEnv()
	cmd.WaitDelay = killGraceEval
	var out bytes.Buffer
	cmd.Stdout = &out
	said := &journal{log: t.Log, told: t.told, trace: t.ShowTrace, announce: t.announce, token: t.token}
	err := t.run(ctx, cmd, said.line)
	said.warn()
	switch {
	case exited(err):
		return nil, said.failure(t.surroundings())
	case err != nil:
		return nil, err
	}
	return out.Bytes(), nil
}

// exited reports whether a program ended with an error of its own.
func exited(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit)
}
