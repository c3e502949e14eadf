package activation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/printable"
)

// Boot is one boot of a host.
type Boot struct {
	ID     string // no two boots have the same
	System string // store path of the system that was booted; "" for none
}

// bootQuestion prints a line for each of Boot's fields, and one more at the end.
const bootQuestion = `cat /proc/sys/kernel/random/boot_id && { readlink -e /run/booted-system || echo -; } && echo .`

// Booted asks the host for its current Boot.
func Booted(ctx context.Context, host hostscript.Runner) (Boot, error) {
	const what = "asking the host what it booted"
	text, err := asking(hostscript.Run).ask(ctx, host, what, bootQuestion)
	if err != nil {
		return Boot{}, err
	}
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[2] != "." || lines[0] == "" {
		return Boot{}, fmt.Errorf("%s: it answers %q", what, printable.Said(text, saidSize))
	}
	return Boot{ID: printable.Said(lines[0], 64), System: systemPath(lines[1])}, nil
}

// asking is [hostscript.Run], or [hostscript.Ask] where a script follows.
type asking func(context.Context, hostscript.Runner, hostscript.Call) error

// ask has a host run a question, and returns its answer.
func (run asking) ask(ctx context.Context, host hostscript.Runner, what, question string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, askLimit, errNoAnswer)
	defer cancel()
	var out answer
	if err := run(ctx, host, hostscript.Call{Program: question, Stdout: &out}); err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	return out.String(), nil
}

// bootParts are what of a system takes effect only when it is booted, links each. So
// does what is in the file kernel-params.
var bootParts = []string{"kernel", "initrd", "kernel-modules"}

// comparison prints the names of the parts in which two systems differ, and a line
// more at the end. A part that both lack is no difference.
const comparison = `old=/run/booted-system new=%s
for part in %s; do [ "$(readlink -e $old/$part)" = "$(readlink -e $new/$part)" ] || echo $part; done
cmp -s $old/kernel-params $new/kernel-params || [ ! -e $old/kernel-params -a ! -e $new/kernel-params ] || echo kernel-params
[ -e $old ] || echo booted-system
echo .`

// Outdated tells which parts of the system that the host booted a toplevel has other
// ones of, in the names that they have there: those wait for a reboot. It is what NixOS
// compares for system.autoUpgrade, and the kernel's parameters.
func Outdated(ctx context.Context, host hostscript.Runner, toplevel string) ([]string, error) {
	const what = "asking the host whether it needs a reboot"
	if !safePath.MatchString(toplevel) {
		return nil, fmt.Errorf("%s: it boots %q, which is not the path of a system in the Nix store", what, toplevel)
	}
	text, err := asking(hostscript.Run).ask(ctx, host, what, fmt.Sprintf(comparison, toplevel, strings.Join(bootParts, " ")))
	if err != nil {
		return nil, err
	}
	parts, _, ended := strings.Cut("\n"+text, "\n.\n")
	if !ended {
		return nil, fmt.Errorf("%s: it answers %q", what, printable.Said(text, saidSize))
	}
	return strings.Fields(printable.Said(parts, saidSize)), nil
}

// ErrNoReboot: the host does not begin to reboot. Nothing was changed.
var ErrNoReboot = errors.New("the host refuses to reboot")

// Reboot tells the host to reboot, and returns when it has begun to: then the
// connection may be lost at any time, and that it is so is no error. It fails with
// [ErrNoReboot].
func Reboot(ctx context.Context, host hostscript.Runner) error {
	ctx, cancel := context.WithTimeoutCause(ctx, askLimit, errNoAnswer)
	defer cancel()
	var said firstWords
	err := hostscript.Run(ctx, host, hostscript.Call{Program: "systemctl reboot", Stdout: &said, Stderr: &said})
	var exit interface{ ExitStatus() int }
	var shell *hostscript.ShellError
	switch {
	case errors.As(err, &shell):
		return fmt.Errorf("%w: %w", ErrNoReboot, err)
	case errors.As(err, &exit) && exit.ExitStatus() > 0:
		return fmt.Errorf("%w: %w: %s", ErrNoReboot, err, printable.Said(said.String(), saidSize))
	case errors.Is(err, errNoAnswer):
		return fmt.Errorf("telling the host to reboot: %w", err)
	}
	return nil
}

// firstWords keeps the beginning of what a host says.
type firstWords struct{ bytes.Buffer }

func (w *firstWords) Write(p []byte) (int, error) {
	w.Buffer.Write(p[:min(len(p), max(0, saidSize-w.Len()))])
	return len(p), nil
}
