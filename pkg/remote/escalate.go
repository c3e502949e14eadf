package remote

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hostscript"
)

// escalationLimit is how long a host may take to make us root for one command.
var escalationLimit = 15 * time.Second

// tryEscalation sees that we are root for commands. A program that asks for a
// password would have its question refused, or wait for an answer for ever, at
// the first command: in the middle of a deployment, and in words of its own.
func (h *Host) tryEscalation(ctx context.Context) error {
	if !h.needsRoot {
		return nil
	}
	silence := fmt.Errorf("no answer within %s", escalationLimit)
	limited, cancel := context.WithTimeoutCause(ctx, escalationLimit, silence)
	defer cancel()
	said, id := &tail{}, &tail{}
	err := hostscript.Run(limited, h, hostscript.Call{Program: "id -u; id -un", Stdout: id, Stderr: said})
	uid, name, _ := strings.Cut(id.String(), "\n")
	switch {
	case err == nil && uid == "0":
		return nil
	case err == nil:
		return fmt.Errorf("%w: as %s, %s makes us %s, not root: correct it, or set deployment.targetUser to \"root\"",
			ErrEscalation, h.login, h.escalation(), hostscript.Said(name, 40))
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ErrConnectionLost):
		return fmt.Errorf("%w %s: %w", ErrUnreachable, h.login, err)
	case len(h.escalate) == 0:
		return fmt.Errorf("%s: %w", h.login, err)
	}
	heard := said.after("; the host said: ")
	var shell *hostscript.ShellError
	if errors.As(err, &shell) {
		if plain := h.tryShell(limited); plain != nil {
			return fmt.Errorf("%s: %w", h.login, plain)
		}
		err, heard = shell.Why, "; the host said: "+hostscript.Said(shell.Said, 160)
	}
	return fmt.Errorf("%w: %s does not work as %s without asking: %w%s; allow it there without a password, or set deployment.targetUser to \"root\"",
		ErrEscalation, h.escalation(), h.login, err, heard)
}

// tryShell tells a login that runs no commands from privileges that are refused.
func (h *Host) tryShell(ctx context.Context) error {
	err := hostscript.Run(ctx, asUser{h}, hostscript.Call{Program: "true"})
	if !errors.Is(err, hostscript.ErrShell) {
		return nil
	}
	return err
}

// escalation is how root is to be had, for people.
func (h *Host) escalation() string {
	if len(h.escalate) == 0 {
		return "an empty deployment.privilegeEscalationCommand"
	}
	return fmt.Sprintf("deployment.privilegeEscalationCommand (%s)", strings.Join(h.escalate, " "))
}
