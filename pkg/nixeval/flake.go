package nixeval

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"

	nixfiles "github.com/colmena-go/colmena-go/nix"
)

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

// refused is what an evaluation returns for a value that its guard refuses.
const refused = `{"next":true}`

var errRefused = errors.New("the output is not a hive")

// found is where a flake's hive is.
type found struct {
	output
	shadowed string // an expression for the value, "" for one that Nix finds by its name
	// noSource: nodes are not told of the flake that nixpkgs is.
	noSource bool
}

// flake evaluates a part of a flake: of the output that the first process found,
// or of the first that has a hive.
func (e *Evaluator) flake(ctx context.Context, part Part, hooks Hooks) error {
	e.mu.Lock()
	at := e.found
	e.mu.Unlock()
	if at != nil {
		return e.inOutput(ctx, *at, part, hooks)
	}
	missing := map[string]bool{}
	for _, out := range outputs {
		if missing[out.name] {
			continue
		}
		err := e.inOutput(ctx, found{output: out}, part, hooks)
		if errors.Is(err, errRefused) && out.name == "colmena" {
			var value string
			if value, err = e.shadowed(ctx, out.name); err == nil {
				err = e.inOutput(ctx, found{output: out, shadowed: value}, part, hooks)
			}
		}
		switch {
		case absent(err, out.name):
			missing[out.name] = true
		case !errors.Is(err, errRefused):
			return err
		}
	}
	return e.noHive(ctx)
}

// inOutput evaluates a part of one output, and remembers it once that turns out to
// be a hive.
func (e *Evaluator) inOutput(ctx context.Context, at found, part Part, hooks Hooks) error {
	found := func(text []byte) {
		e.mu.Lock()
		if e.found == nil || at.noSource {
			e.found = &at
		}
		e.mu.Unlock()
	}
	begun := hooks
	begun.Head = func(text []byte) {
		found(text)
		if hooks.Head != nil {
			hooks.Head(text)
		}
	}
	p := e.newProcess(part, begun)
	err := p.flake(ctx, at)
	var eval *EvalError
	if errors.As(err, &eval) && notInStore.MatchString(eval.Message) && !at.noSource {
		at.noSource = true
		p.part.Announce = false // nodes were announced
		err = e.newProcess(p.part, begun).flake(ctx, at)
	}
	if err != nil && !absent(err, at.name) {
		return explainFlake(ctx, e.source, err)
	}
	return err
}

// notInStore: a Nix that copies inputs late does not have nixpkgs in its store.
var notInStore = regexp.MustCompile(`path '/nix/store/[^'/]*-source' is not valid`)

// flake evaluates a part of an output with `nix eval`, which prints when all is
// done. So nodes are told in traces, without the texts of keys, unless those are wanted.
func (p *process) flake(ctx context.Context, at found) error {
	form := inTraces
	if p.part.Texts {
		form = atTheEnd
	}
	apply := fmt.Sprintf("v: if builtins.isAttrs v && (%s) then { next = true; } else let c = %s; hive = c.fromFlake { flakeSource = %t; } %s v; in %s",
		at.guard, nixfiles.Expression(), !at.noSource, nixfiles.Quote(at.name), p.wish(form))
	args := append(append([]string{"eval", "--json"}, p.options()...), "--option", "eval-cache", "false")
	if at.shadowed != "" {
		args = append(args, "--expr", fmt.Sprintf("let v = %s; in if v == null then { next = true; } else (%s) v", at.shadowed, apply))
	} else {
		args = append(args, p.source.Flake+"#"+at.name, "--apply", apply)
	}
	if p.tool.Impure {
		args = append(args, "--impure")
	}
	cmd := p.tool.Nix(ctx, args...)
	cmd.Dir = p.source.Dir
	var whole []byte
	if err := p.run(ctx, cmd, func(line []byte) error { whole = line; return nil }); err != nil {
		return err
	}
	if string(bytes.TrimSpace(whole)) == refused {
		return errRefused
	}
	if form == inTraces {
		return nil
	}
	var nodes []json.RawMessage // which replaces no byte that is not UTF-8
	if err := json.Unmarshal(whole, &nodes); err != nil {
		return fmt.Errorf("%w: what Nix printed is not a list of nodes", ErrEval)
	}
	for _, node := range nodes {
		text, err := unquoted(node) // JSON inside of JSON has no other escapes than Nix's
		if err != nil {
			return err
		}
		p.tell(p.hooks.Done, text)
	}
	return nil
}

// shadowed is an expression for an output of a flake that has a package of that
// name, by way of the flake's copy in the store, which is pure as well; null if
// the flake has no such output.
func (e *Evaluator) shadowed(ctx context.Context, output string) (string, error) {
	url, err := lockedURL(ctx, e.tool, e.source, &e.said)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("((builtins.getFlake %s).%s or null)", nixfiles.Quote(url), output), nil
}

// exited reports whether a program ended with an error of its own.
func exited(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit)
}

// absent reports whether a flake simply does not have an output.
func absent(err error, output string) bool {
	var eval *EvalError
	return errors.As(err, &eval) && strings.Contains(eval.Message, "does not provide attribute") &&
		strings.Contains(eval.Message, "'"+output+"'")
}
