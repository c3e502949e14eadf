package activation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/hostscript"
)

// ErrNoSystem: the host runs no NixOS system.
var ErrNoSystem = errors.New("the host has no /run/current-system, the link to the running NixOS system")

// CurrentSystem returns the store path of the system that runs on the host, so
// that the caller can tell whether it knows it (deployment.replaceUnknownProfiles),
// or [ErrNoSystem].
func CurrentSystem(ctx context.Context, host hostscript.Runner) (string, error) {
	var out bytes.Buffer
	if err := host.Run(ctx, "readlink -e /run/current-system", nil, &out, io.Discard); err != nil {
		var exit interface{ ExitStatus() int }
		if errors.As(err, &exit) && exit.ExitStatus() == 1 {
			return "", ErrNoSystem
		}
		return "", fmt.Errorf("cannot read /run/current-system, the link to the running system: %w", err)
	}
	// A login shell may talk before the answer.
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	path := lines[len(lines)-1]
	if !safePath.MatchString(path) {
		return "", fmt.Errorf("/run/current-system leads to %q, which is no store path", path)
	}
	return path, nil
}
