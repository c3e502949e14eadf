package nixeval

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	nixfiles "github.com/colmena-go/colmena-go/nix"
	"github.com/colmena-go/colmena-go/pkg/nix"
)

// question is an expression of the user's over a hive. nix-instantiate reads it, with
// ours, from standard input: what it holds is in no list of processes.
type question struct {
	evaluator   *Evaluator
	own         *ownText
	instantiate bool
	room        Room
	said        *said

	without  []string // of a flake's configurations, those whose pkgs cannot be had
	noSource bool     // as [found] has it
}

// mostBroken is how many configurations are left out before the first error counts.
const mostBroken = 4

// answer is the value as JSON. It asks again without a configuration whose pkgs cannot
// be had, as most expressions want those of any.
func (q *question) answer(ctx context.Context) ([]byte, error) {
	hive, err := q.hive(ctx)
	if err != nil {
		return nil, err
	}
	var first error
	for {
		value, err := q.ask(ctx, hive)
		if first == nil {
			first = err
		}
		var eval *EvalError
		switch {
		case !errors.As(err, &eval):
			return value, err
		case notInStore.MatchString(eval.Message) && !q.noSource:
			first, q.noSource = nil, true
		case eval.pkgsOf == "":
			return nil, explainFlake(ctx, q.evaluator.source, err)
		case len(q.without) == mostBroken || slices.Contains(q.without, eval.pkgsOf):
			return nil, explainFlake(ctx, q.evaluator.source, first)
		default:
			q.said.log.Warn().Msgf("the pkgs of nixosConfigurations.%s cannot be had, so those of another are taken: %s", eval.pkgsOf, eval.Message)
			q.without = append(q.without, eval.pkgsOf)
		}
	}
}

// ask runs Nix once. It fails with [ErrNoOutput] for a hive that is null.
func (q *question) ask(ctx context.Context, hive string) (value []byte, err error) {
	e := q.evaluator
	text := fmt.Sprintf(`let c = %s; flakeSource = %t; hive = %s; in if hive == null then "" else builtins.toJSON (c.introspect { instantiate = %t; system = %s; without = %s; } expression hive)`,
		nixfiles.Expression(), !q.noSource, hive, q.instantiate, nixfiles.Quote(system()), inJSON(append([]string{}, q.without...)))
	p := &process{tool: e.tool, source: e.source, said: q.said, part: Part{Room: q.room}, own: q.own}
	args := slices.Concat(p.options(), nix.Features(), []string{"--eval", "--strict", "--read-write-mode"})
	if e.source.File == "" && !e.tool.Impure {
		args = append(args, "--option", "pure-eval", "true")
	}
	cmd := e.tool.Command(ctx, "nix-instantiate", append(args, "-")...)
	cmd.Dir, cmd.Stdin = e.source.Dir, strings.NewReader(q.own.before(text))
	err = p.run(ctx, cmd, func(line []byte) (err error) {
		value, err = unquoted(line)
		return err
	})
	if err == nil && len(value) == 0 {
		return nil, e.noHive(ctx)
	}
	return value, err
}

// hive is an expression for the hive, null for a flake that has none.
func (q *question) hive(ctx context.Context) (string, error) {
	e := q.evaluator
	if e.source.File != "" {
		return fmt.Sprintf("c.makeHive { hermetic = false; } (import %s)", nixfiles.Quote(e.source.File)), nil
	}
	url, err := lockedURL(ctx, e.tool, e.source, q.said)
	if err != nil {
		return "", explainFlake(ctx, e.source, err)
	}
	return fmt.Sprintf("(outputs: if outputs ? colmenaHive || outputs ? colmena || outputs ? nixosConfigurations then c.fromOutputs { inherit flakeSource; } outputs else null) (builtins.getFlake %s).outputs",
		nixfiles.Quote(url)), nil
}

// errUnlocked: Nix could not write the lock file of a flake.
var errUnlocked = errors.New("it has no lock file, so that a pure evaluation does not know its inputs: write one with `nix flake lock`, or pass --impure")

// lockedURL is the address of a flake's copy in the store, which a pure evaluation may
// read as well.
func lockedURL(ctx context.Context, tool Tool, source Source, said *said) (string, error) {
	for range 2 { // what it told of may be the copy from before the lock file was written
		text, err := metadata(ctx, tool, source, said)
		if err != nil {
			return "", err
		}
		var meta struct {
			Path   string
			Locked struct{ NarHash, Dir string }
			Locks  struct{ Nodes map[string]json.RawMessage }
		}
		if err := json.Unmarshal(text, &meta); err != nil {
			return "", fmt.Errorf("%w: nix flake metadata: %w", ErrEval, err)
		}
		if len(meta.Locks.Nodes) > 1 && !tool.Impure && !isFile(filepath.Join(meta.Path, meta.Locked.Dir, "flake.lock")) {
			continue
		}
		url := "path:" + meta.Path + "?narHash=" + strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D").Replace(meta.Locked.NarHash)
		if meta.Locked.Dir != "" {
			url += "&dir=" + meta.Locked.Dir
		}
		return url, nil
	}
	return "", fmt.Errorf("%s: %w", source, errUnlocked)
}

// system is this machine's, as a host that runs Linux.
func system() string {
	names := map[string]string{"amd64": "x86_64", "arm64": "aarch64", "386": "i686"}
	return cmp.Or(names[runtime.GOARCH], runtime.GOARCH) + "-linux"
}
