// Package nix runs Nix: it evaluates hives, builds systems and copies closures.
// Nothing it runs gets a secret as an argument; the texts of keys come through
// the pipe of `nix eval` and go to nobody but the caller.
package nix

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/colmena-go/colmena-go/pkg/child"
	"github.com/colmena-go/colmena-go/pkg/crash"
)

// Tool is the Nix installation of this machine, with the user's settings.
type Tool struct {
	ShowTrace bool
	Impure    bool
	Options   [][2]string // --nix-option NAME VALUE: for evaluation and builds
	Log       zerolog.Logger

	hive string // the file that the evaluation begins with
}

// ErrNoNix: there is no Nix on this machine.
var ErrNoNix = errors.New("nix is not installed, or not in PATH")

// How long Nix may take to end after it was told to. An evaluation has nothing
// to lose, and some versions do not listen while they evaluate.
const (
	killGrace     = 5 * time.Second
	killGraceEval = 800 * time.Millisecond
)

// command prepares a Nix program. Cancelling ctx ends it and all it started.
func (t Tool) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	// On a terminal it stays in our process group, which may ask there (ssh for
	// a passphrase, say) and hears of ^C itself; in one of its own it would stop.
	group := !onTerminal()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: group}
	cmd.Cancel = func() error {
		if group {
			return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		}
		return cmd.Process.Signal(syscall.SIGTERM)
	}
	cmd.WaitDelay = killGrace
	return cmd
}

// onTerminal reports whether this process has a terminal to ask on.
func onTerminal() bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	tty.Close()
	return true
}

// failure is a Nix program that ended with an error, and what it said of it.
type failure struct {
	error
	said []string
}

// reasonLines is how much of what Nix says of an error is kept.
const reasonLines = 16

func (f *failure) Error() string {
	if len(f.said) == 0 {
		return f.error.Error()
	}
	return strings.Join(f.said, "\n")
}

func (f *failure) Unwrap() error { return f.error }

// run runs a command and waits for it, giving each line of stderr to output. The
// error of one that failed is what it said, from its first "error:" on.
func (t Tool) run(ctx context.Context, cmd *exec.Cmd, output func(string)) error {
	return t.runAs(ctx, cmd, &lineWriter{emit: output}, nil)
}

// runAs is run, and tells the program's process id; started may be nil, and so may
// what output tells the lines.
func (t Tool) runAs(ctx context.Context, cmd *exec.Cmd, output *lineWriter, started func(pid int)) error {
	t.Log.Debug().Str("program", cmd.Path).Int("arguments", len(cmd.Args)).Msg("running nix")
	var said []string
	lines := &lineWriter{most: output.most, emit: func(line string) {
		if shown := WithoutLogins(line); len(said) > 0 || strings.HasPrefix(line, "error: ") {
			said = append(said, shown)[:min(len(said)+1, reasonLines)]
		}
		if output.emit != nil {
			output.emit(line)
		}
	}}
	cmd.Stderr = crash.Writer(lines)
	// Told to end, Nix ends its builders.
	err := child.Run(cmd, syscall.SIGTERM, started)
	lines.flush()
	if errors.Is(err, exec.ErrNotFound) {
		return ErrNoNix
	}
	if ctx.Err() != nil {
		// What outlived SIGTERM does not outlive us.
		if cmd.Process != nil && cmd.SysProcAttr.Setpgid {
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
		return context.Cause(ctx)
	}
	if err != nil {
		return &failure{err, said}
	}
	return nil
}

// features that every call needs, whatever nix.conf says.
var features = []string{"--extra-experimental-features", "nix-command flakes"}

// nix prepares a command of nix(1).
func (t Tool) nix(ctx context.Context, args ...string) *exec.Cmd {
	return t.command(ctx, "nix", slices.Concat(features, args)...)
}

// printed runs a command like run, and returns what it prints.
func (t Tool) printed(ctx context.Context, cmd *exec.Cmd, output func(string)) ([]byte, error) {
	var out bytes.Buffer
	cmd.Stdout = &out
	err := t.run(ctx, cmd, output)
	return out.Bytes(), err
}

func (t Tool) optionArgs() []string {
	var args []string
	for _, option := range t.Options {
		args = append(args, "--option", option[0], option[1])
	}
	return args
}

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
	if err := t.run(ctx, t.nix(ctx, append(args, path)...), opts.lines()); err != nil {
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
	output, begun := masked(opts.Output), false
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

// soonUnlocked has Nix look each second, and not every 5 s, whether another
// process has built what it waits for.
var soonUnlocked = []string{"--option", "build-poll-interval", "1"}

// Realise builds outputs of derivations, DRV!OUTPUT, or fetches them. It fails with
// [ErrNoNix] or with what Nix said.
func (t Tool) Realise(ctx context.Context, outputs []string, output func(line string)) error {
	args := append(append([]string{"--realise", "--no-gc-warning"}, soonUnlocked...), outputs...)
	args = append(args, t.optionArgs()...)
	if err := t.run(ctx, t.command(ctx, "nix-store", args...), masked(output)); err != nil {
		return fmt.Errorf("building %s: %w", strings.Join(outputs, ", "), err)
	}
	return nil
}

// Known reports whether a store path is valid on this machine.
func (t Tool) Known(ctx context.Context, path string) (bool, error) {
	err := t.run(ctx, t.command(ctx, "nix-store", "--check-validity", path), nil)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return false, nil
	}
	return err == nil, err
}
