package nix

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
)

// CopyOptions are those of one copy.
type CopyOptions struct {
	Recipe     bool // the path is a derivation, which is copied itself
	Substitute bool // the host may fetch from its own substituters
	Output     func(line string)
	// Left is told how many paths are to be copied, when the host has fetched what it
	// could, and Copying each of them when its turn comes.
	Left    func(paths int)
	Copying func(path string)
}

// Copy copies the closure of a path to the store of a URL. The user's --nix-option
// does not apply: options travel to the daemon, where root would obey them. It fails
// with [ErrNoNix] or with what Nix said.
func (t Tool) Copy(ctx context.Context, path, store string, opts CopyOptions) error {
	args := []string{"copy", "--no-check-sigs", "--to", store}
	if opts.Substitute {
		args = append(args, "--substitute-on-destination")
	}
	if opts.Recipe {
		args = append(args, "--derivation")
	}
	if err := t.Run(ctx, t.Nix(ctx, append(args, path)...), opts.lines()); err != nil {
		return fmt.Errorf("copying %s: %w", path, err)
	}
	return nil
}

// What Nix says before it copies, and before it copies a path. A host's own words
// about what it fetches come before both.
var (
	copyingAll = regexp.MustCompile(`^copying (\d{1,9}) paths?\.\.\.$`)
	copyingOne = regexp.MustCompile(`^copying path '([^']+)' `)
)

// lines hears what Nix says of a copy.
func (opts CopyOptions) lines() func(line string) {
	output, begun := Masked(opts.Output), false
	return func(line string) {
		if found := copyingAll.FindStringSubmatch(line); found != nil && opts.Left != nil {
			left, _ := strconv.Atoi(found[1])
			opts.Left(left)
			begun = true
		}
		if found := copyingOne.FindStringSubmatch(line); found != nil && begun && opts.Copying != nil {
			opts.Copying(found[1])
		}
		if output != nil {
			output(line)
		}
	}
}
