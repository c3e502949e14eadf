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
	Options [][2]string // --nix-option NAME VALUE: for evaluation and builds
	Log     zerolog.Logger
}

// ErrNoNix: there is no Nix on this machine.
var ErrNoNix = errors.New("nix is not installed, or not in PATH")

// ErrEnough is the cause of the end of a context whose programs are killed at once:
// what they do is not needed.
var ErrEnough = errors.New("what Nix does is not needed any more")

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
		signal := syscall.SIGTERM
		if errors.Is(context.Cause(ctx), ErrEnough) {
			signal = syscall.SIGKILL
		}
		if group {
			return syscall.Kill(-cmd.Process.Pid, signal)
		}
		return cmd.Process.Signal(signal)
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
// what output tells the lines. A program that finds a store half made, as others make
// it now, and has printed nothing is run again, and started told again.
func (t Tool) RunAs(ctx context.Context, cmd *exec.Cmd, output *LineWriter, started func(pid int)) error {
	for try := 1; ; try++ {
		f, out := &Failure{}, &printed{Writer: cmd.Stdout}
		last := try == tries || !repeatable(cmd)
		if !last && cmd.Stdout != nil {
			cmd.Stdout = out
		}
		opening := &opening{emit: f.hear(output.Emit)}
		err := t.runOnce(ctx, cmd, &LineWriter{Most: output.Most, Emit: opening.line}, started)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if f.Err = err; last || out.any || !opening.failed(err) {
			opening.tell()
			if err == nil || errors.Is(err, ErrNoNix) {
				return err
			}
			return f
		}
		t.Log.Debug().Int("try", try).Msg("running nix again, as the store was being made")
		select {
		case <-time.After(time.Duration(try) * pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		cmd = t.again(ctx, cmd, out.Writer)
	}
}

// hear keeps what a failure says, and tells output, which may be nil, each line.
func (f *Failure) hear(output func(line string)) func(line string) {
	return func(line string) {
		if len(f.Said) < reasonLines && (len(f.Said) > 0 || strings.HasPrefix(line, "error: ")) {
			f.Said = append(f.Said, WithoutLogins(line)) // which takes long where a line is
		}
		if output != nil {
			output(line)
		}
	}
}

// runOnce fails with [ErrNoNix], or as the program does.
func (t Tool) runOnce(ctx context.Context, cmd *exec.Cmd, lines *LineWriter, started func(pid int)) error {
	t.Log.Debug().Str("program", cmd.Path).Int("arguments", len(cmd.Args)).Msg("running nix")
	cmd.Stderr = crash.Writer(lines)
	// Told to end, Nix ends its builders.
	err := child.RunRead(cmd, syscall.SIGTERM, started)
	lines.Flush()
	if errors.Is(err, exec.ErrNotFound) {
		return ErrNoNix
	}
	// What outlived SIGTERM does not outlive us.
	if ctx.Err() != nil && cmd.Process != nil && cmd.SysProcAttr.Setpgid {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	return err
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
