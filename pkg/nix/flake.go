package nix

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

// next is what an evaluation returns for a value that its guard refuses.
const next = `{"next":true}`

func (t Tool) evalFlake(ctx context.Context, source Source, wish string) ([]byte, error) {
	text, err := t.evalOutputs(ctx, source, wish)
	var eval *EvalError
	if errors.As(err, &eval) && notInStore.MatchString(eval.Message) && !t.noFlakeSource {
		t.noFlakeSource, t.announce = true, nil // nodes were announced
		return t.evalOutputs(ctx, source, wish)
	}
	return text, err
}

// notInStore: a Nix that copies inputs late does not have nixpkgs in its store.
var notInStore = regexp.MustCompile(`path '/nix/store/[^'/]*-source' is not valid`)

func (t Tool) evalOutputs(ctx context.Context, source Source, wish string) ([]byte, error) {
	missing := map[string]bool{}
	for _, out := range outputs {
		if missing[out.name] {
			continue
		}
		apply := fmt.Sprintf("v: if builtins.isAttrs v && (%s) then { next = true; } else let c = %s; in %s (c.fromFlake { flakeSource = %t; } %s v)",
			out.guard, nixfiles.Expression(), wish, !t.noFlakeSource, nixfiles.Quote(out.name))
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
	cmd := t.command(ctx, "nix", append(append([]string{}, features...), "flake", "metadata", "--json", "--log-format", "internal-json", source.Flake)...)
	cmd.Dir = source.Dir
	var out bytes.Buffer
	cmd.Stdout = &out
	said := &journal{log: t.Log, trace: t.ShowTrace}
	if err := t.run(ctx, cmd, said.line); exited(err) {
		return nil, said.failure(t.surroundings())
	} else if err != nil {
		return nil, err
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
	expr := fmt.Sprintf("let f = builtins.getFlake %s; in if f ? colmena then (%s) f.colmena else { next = true; }", nixfiles.Quote(url), apply)
	args := []string{"--expr", expr}
	if t.Impure {
		args = append(args, "--impure")
	}
	return t.eval(ctx, source.Dir, args...)
}

// absent reports whether a flake simply does not have an output.
func absent(err error, output string) bool {
	var eval *EvalError
	return errors.As(err, &eval) && strings.Contains(eval.Message, "does not provide attribute") &&
		strings.Contains(eval.Message, "'"+output+"'")
}

// missingFile: how versions of Nix say that a file is not there.
var missingFile = regexp.MustCompile(`No such file or directory|path '.*' does not exist`)

// explainFlake adds what Nix leaves unsaid: a file that git does not track is
// not part of the flake.
func (t Tool) explainFlake(ctx context.Context, source Source, err error) error {
	var eval *EvalError
	if !errors.As(err, &eval) || source.Dir == "" || !missingFile.MatchString(eval.Message) {
		return err
	}
	cmd := exec.CommandContext(ctx, "git", "-C", source.Dir, "ls-files", "--others", "--exclude-standard")
	out, gitErr := cmd.Output()
	if untracked := strings.Fields(string(out)); gitErr == nil && len(untracked) > 0 {
		eval.Message += fmt.Sprintf("\n(git does not track %s here, and a flake holds only what git tracks: git add what it needs)", strings.Join(untracked[:min(3, len(untracked))], ", "))
	}
	return err
}
