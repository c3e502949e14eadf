package nixeval

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	nixfiles "github.com/colmena-go/colmena-go/nix"
	"github.com/colmena-go/colmena-go/pkg/child"
)

// Terminal is what `nix repl` reads and writes, by itself.
type Terminal struct{ In, Out, Err *os.File }

// Repl runs `nix repl` with nodes, pkgs and lib of the hive in scope until it ends
// or ctx is done. dir is an empty folder that nobody else can write to, for a file
// that holds nothing of the user's. Evaluations in it are not pure, as in every
// `nix repl`. It fails where there is no Nix, or with what Nix said of the flake.
func (e *Evaluator) Repl(ctx context.Context, dir string, terminal Terminal, room Room) error {
	tool, source := e.tool, e.source
	version, err := tool.Version(ctx)
	if err != nil {
		return err
	}
	where := []string{"--argstr", "file", source.File}
	if source.File == "" {
		flake, err := absolute(ctx, tool, source)
		if err != nil {
			return err
		}
		where = []string{"--argstr", "flake", flake}
	}
	file := filepath.Join(dir, "hive.nix")
	if err := os.WriteFile(file, []byte(nixfiles.Repl()), 0o600); err != nil {
		return err
	}
	args := []string{"repl"}
	if version.AtLeast(2, 10) {
		args = append(args, "--file")
	}
	args = append(append(append(args, file), where...), tool.OptionArgs()...)
	if tool.ShowTrace {
		args = append(args, "--show-trace")
	}
	cmd := tool.Nix(ctx, args...)
	cmd.Env = room.environment()
	cmd.WaitDelay = killGrace
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal.In, terminal.Out, terminal.Err
	err = child.Run(cmd, syscall.SIGTERM, nil)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("nix repl: %w", err)
	}
	return nil
}

// absolute is the reference to a flake that means the same everywhere, for
// builtins.getFlake. Like the command line, and unlike getFlake by itself, it
// means what git tracks, where that is a repository; and the folder as it is, so
// that what is loaded again is what has been edited.
func absolute(ctx context.Context, tool Tool, source Source) (string, error) {
	text, err := metadata(ctx, tool, source, &said{log: tool.Log})
	if err != nil {
		return "", err
	}
	var meta struct{ OriginalURL string }
	if err := json.Unmarshal(text, &meta); err != nil {
		return "", fmt.Errorf("%w: nix flake metadata: %w", ErrEval, err)
	}
	if meta.OriginalURL == "" {
		return "", errors.New("nix flake metadata does not tell where the flake is")
	}
	return meta.OriginalURL, nil
}
