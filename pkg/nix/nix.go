// Package nix is the Nix of this machine: it runs Nix's programs, reads what they
// print, and asks for its version and settings. Package nixeval evaluates hives with
// it, package nixbuild builds. Nothing that it runs gets a secret as an argument.
package nix

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
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
}

// ErrNoNix: there is no Nix on this machine.
var ErrNoNix = errors.New("nix is not installed, or not in PATH")

// killGrace is how long Nix may take to end after it was told to.
const killGrace = 5 * time.Second

// Command prepares a program of Nix. Cancelling ctx ends it and all it started; it
// has 5 s for that, unless its WaitDelay is set to less.
func (t Tool) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
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

// Failure is a program of Nix that ended with an error.
type Failure struct {
	Err  error    // how it ended
	Said []string // what it said from its first "error:" on, some lines of it, without logins
}

// reasonLines is how much of what Nix says of an error is kept.
const reasonLines = 16

func (f *Failure) Error() string {
	if len(f.Said) == 0 {
		return f.Err.Error()
	}
	return strings.Join(f.Said, "\n")
}

func (f *Failure) Unwrap() error { return f.Err }

// Run runs a command of ctx and waits for it. Each line of stderr, which may hold
// logins, goes to output; that may be nil. It fails with [ErrNoNix], with a
// [*Failure] or with the cause of ctx.
func (t Tool) Run(ctx context.Context, cmd *exec.Cmd, output func(line string)) error {
	return t.RunAs(ctx, cmd, &LineWriter{Emit: output}, nil)
}

// RunAs is Run, and tells the program's process id; started may be nil, and so may
// what output tells the lines.
func (t Tool) RunAs(ctx context.Context, cmd *exec.Cmd, output *LineWriter, started func(pid int)) error {
	t.Log.Debug().Str("program", cmd.Path).Int("arguments", len(cmd.Args)).Msg("running nix")
	var said []string
	lines := &LineWriter{Most: output.Most, Emit: func(line string) {
		if len(said) < reasonLines && (len(said) > 0 || strings.HasPrefix(line, "error: ")) {
			said = append(said, WithoutLogins(line)) // which takes long where a line is
		}
		if output.Emit != nil {
			output.Emit(line)
		}
	}}
	cmd.Stderr = crash.Writer(lines)
	// Told to end, Nix ends its builders.
	err := child.RunRead(cmd, syscall.SIGTERM, started)
	lines.Flush()
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
		return &Failure{err, said}
	}
	return nil
}

// Features are arguments that every call needs, whatever nix.conf says.
func Features() []string { return []string{"--extra-experimental-features", "nix-command flakes"} }

// Nix prepares a command of nix(1), as [Tool.Command] does.
func (t Tool) Nix(ctx context.Context, args ...string) *exec.Cmd {
	return t.Command(ctx, "nix", slices.Concat(Features(), args)...)
}

// Printed runs a command like [Tool.Run], and returns what it prints.
func (t Tool) Printed(ctx context.Context, cmd *exec.Cmd, output func(line string)) ([]byte, error) {
	var out bytes.Buffer
	cmd.Stdout = &out
	err := t.Run(ctx, cmd, output)
	return out.Bytes(), err
}

// OptionArgs are the user's options as arguments.
func (t Tool) OptionArgs() []string {
	var args []string
	for _, option := range t.Options {
		args = append(args, "--option", option[0], option[1])
	}
	return args
}

// BuildArgs are [Tool.OptionArgs] for what builds: Nix looks each second, and not
// every 5 s, whether another process has built what it waits for.
func (t Tool) BuildArgs() []string {
	return append([]string{"--option", "build-poll-interval", "1"}, t.OptionArgs()...)
}
