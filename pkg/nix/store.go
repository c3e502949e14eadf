package nix

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// Realise builds outputs of derivations, DRV!OUTPUT, or fetches them. It fails with
// [ErrNoNix] or with what Nix said.
func (t Tool) Realise(ctx context.Context, outputs []string, output func(line string)) error {
	args := append(append([]string{"--realise", "--no-gc-warning"}, t.BuildArgs()...), outputs...)
	if err := t.Run(ctx, t.Command(ctx, "nix-store", args...), Masked(output)); err != nil {
		return fmt.Errorf("building %s: %w", strings.Join(outputs, ", "), err)
	}
	return nil
}

// Keep makes a link to a valid path that the garbage collector obeys. It fails with
// [ErrNoNix] or with what Nix said.
func (t Tool) Keep(ctx context.Context, outPath, link string) error {
	args := append([]string{"--realise", outPath, "--add-root", link}, t.OptionArgs()...)
	if err := t.Run(ctx, t.Command(ctx, "nix-store", args...), nil); err != nil {
		if errors.Is(err, ErrNoNix) || ctx.Err() != nil {
			return err
		}
		return fmt.Errorf("keeping the result as %s: %w", link, err)
	}
	return nil
}

// Known reports whether a store path is valid on this machine.
func (t Tool) Known(ctx context.Context, path string) (bool, error) {
	err := t.Run(ctx, t.Command(ctx, "nix-store", "--check-validity", path), nil)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return false, nil
	}
	return err == nil, err
}
