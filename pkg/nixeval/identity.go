package nixeval

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	nixfiles "github.com/colmena-go/colmena-go/nix"
	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/nix"
)

// Identity is the same for two evaluations that cannot differ: a digest of the flake
// with all its inputs, our expression, Nix and its settings. It is "" where that
// cannot be told: of a hive.nix, of an impure evaluation, of inputs that are
// not locked, and where asking fails, which the evaluation itself explains better.
func (e *Evaluator) Identity(ctx context.Context) string {
	if e.source.File != "" || e.tool.Impure || mayBeImpure(e.tool.Options) {
		return ""
	}
	e.askSettings.Do(func() { e.settings = beginSettings(ctx, e.tool.Tool) })
	metadata, err := metadata(ctx, e.tool, e.source, &e.said)
	settings := e.settings()
	if err != nil || !locked(metadata) || settings == nil || letMoreBeSeen(settings) {
		return ""
	}
	sum := sha256.New()
	for _, part := range []any{string(metadata), nixfiles.Expression(), e.tool.Options, e.source.Flake, program(), settings, variables()} {
		text, err := json.Marshal(part)
		if err != nil {
			return ""
		}
		fmt.Fprintf(sum, "%d:%s", len(text), text)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// beginSettings begins to ask for the settings, and returns what waits for them; they
// are nil where they cannot be had.
func beginSettings(ctx context.Context, tool nix.Tool) func() map[string]nix.Setting {
	var got map[string]nix.Setting
	done := make(chan struct{})
	go crash.Guarded(func() {
		defer close(done)
		got, _ = tool.Settings(ctx)
	})()
	return func() map[string]nix.Setting {
		<-done
		return got
	}
}

// mayBeImpure reports whether the user's options let an evaluation see more than
// the flake (nix.conf(5)).
func mayBeImpure(options [][2]string) bool {
	return slices.ContainsFunc(options, func(option [2]string) bool {
		return slices.Contains([]string{"pure-eval", "impure-env", "plugin-files", "extra-plugin-files", "allow-unsafe-native-code-during-evaluation", "allow-dirty-locks"}, option[0])
	})
}

// metadata is what Nix says of a flake: where it is, what was locked, and how its
// content is called. It locks inputs first, as an evaluation does.
func metadata(ctx context.Context, tool Tool, source Source, said *said) ([]byte, error) {
	args := append([]string{"flake", "metadata", "--json", "--log-format", "internal-json"}, tool.OptionArgs()...)
	cmd := tool.Nix(ctx, append(args, source.Flake)...)
	cmd.Dir = source.Dir
	journal := &journal{said: said, trace: tool.ShowTrace}
	text, err := tool.Printed(ctx, cmd, journal.line)
	switch {
	case exited(err):
		return nil, journal.failure(source.surroundings())
	case err != nil:
		return nil, err
	}
	return text, nil
}

// locked reports whether the content of a flake and of all its inputs is known by
// its hash. Inputs inside of another (path:./x) are part of that one since Nix 2.26,
// and have no hash of their own but a parent.
func locked(metadata []byte) bool {
	type hashed struct{ NarHash, Type, Path string }
	var of struct {
		Locked hashed
		Locks  struct {
			Root  string
			Nodes map[string]struct {
				Locked *hashed
				Parent []string
			}
		}
	}
	if json.Unmarshal(metadata, &of) != nil || of.Locked.NarHash == "" {
		return false
	}
	for name, node := range of.Locks.Nodes {
		if name == of.Locks.Root {
			continue
		}
		at := node.Locked
		if at == nil {
			return false
		}
		inside := node.Parent != nil && at.Type == "path" && !filepath.IsAbs(at.Path)
		if at.NarHash == "" && !inside {
			return false
		}
	}
	return true
}

// program tells one Nix from another without running it.
func program() string {
	path, err := exec.LookPath("nix")
	if err != nil {
		return ""
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	info, err := os.Stat(path)
	if err != nil {
		return path
	}
	return fmt.Sprintf("%s %d %d", path, info.Size(), info.ModTime().UnixNano())
}

// letMoreBeSeen reports whether settings, wherever they come from, let an evaluation
// depend on more than the flake: builtins of plugins, or those that run programs.
func letMoreBeSeen(settings map[string]nix.Setting) bool {
	for name, harmless := range map[string]string{"plugin-files": "[]", "allow-unsafe-native-code-during-evaluation": "false"} {
		if value, known := settings[name]; known && string(value.Value) != harmless {
			return true
		}
	}
	return false
}

// variables are those that Nix obeys (nix-env(1)).
func variables() (list []string) {
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, "NIX_") && !strings.HasPrefix(v, "NIX_PATH=") && !strings.HasPrefix(v, "NIX_SSHOPTS=") {
			list = append(list, v)
		}
	}
	slices.Sort(list)
	return list
}
