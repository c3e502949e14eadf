package activation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hostscript"
)

// ErrNoSystem: the host runs no NixOS system.
var ErrNoSystem = errors.New("the host has no /run/current-system, the link to the running NixOS system")

// CurrentSystem returns the store path of the system that runs on the host, so
// that the caller can tell whether it knows it (deployment.replaceUnknownProfiles),
// or [ErrNoSystem].
func CurrentSystem(ctx context.Context, host hostscript.Runner) (string, error) {
	lines, err := ask(ctx, host, "readlink -e /run/current-system")
	if err != nil {
		var exit interface{ ExitStatus() int }
		if errors.As(err, &exit) && exit.ExitStatus() == 1 {
			return "", ErrNoSystem
		}
		return "", fmt.Errorf("cannot read /run/current-system, the link to the running system: %w", err)
	}
	// A login shell may talk before the answer.
	path := lines[len(lines)-1]
	if !safePath.MatchString(path) {
		return "", fmt.Errorf("/run/current-system leads to %q, which is no store path", path)
	}
	return path, nil
}

// Has reports whether the host's current system or its profile is the toplevel
// already. Both are roots of the garbage collector (nix-store(1), --gc), so its
// whole closure is there. It fails with the error of a host that does not answer.
func Has(ctx context.Context, host hostscript.Runner, toplevel string) (bool, error) {
	lines, err := ask(ctx, host, "readlink -f /run/current-system /nix/var/nix/profiles/system")
	var exit interface{ ExitStatus() int }
	if err != nil && !errors.As(err, &exit) {
		return false, fmt.Errorf("asking the host what it runs: %w", err)
	}
	// One that is missing makes readlink fail; the other counts all the same.
	return slices.Contains(lines, toplevel), nil
}

// Limits of an answer to a question that takes no time.
const (
	askLimit  = 30 * time.Second
	askLength = 64 << 10 // bytes
)

var errNoAnswer = errors.New("the host did not answer within " + askLimit.String() + ": does the login shell wait for something?")

// ask runs a command and returns the lines it prints, as far as they came.
func ask(ctx context.Context, host hostscript.Runner, command string) ([]string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, askLimit, errNoAnswer)
	defer cancel()
	var out answer
	err := host.Run(ctx, command, nil, &out, io.Discard)
	return strings.Split(strings.TrimSpace(out.String()), "\n"), err
}

// answer is a text that a host cannot make too long.
type answer struct{ bytes.Buffer }

func (a *answer) Write(p []byte) (int, error) {
	if a.Len()+len(p) > askLength {
		return 0, errors.New("the host says too much")
	}
	return a.Buffer.Write(p)
}
