package remote

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// escalationLimit is how long a host may take to make us root for one command.
var escalationLimit = 15 * time.Second

// tryEscalation has the host run nothing as root. A program that asks for a
// password would have its question refused, or wait for an answer for ever, at
// the first command: in the middle of a deployment, and in words of its own.
func (h *Host) tryEscalation(ctx context.Context) error {
	if h.escalate == nil {
		return nil
	}
	silence := fmt.Errorf("no answer within %s", escalationLimit)
	limited, cancel := context.WithTimeoutCause(ctx, escalationLimit, silence)
	defer cancel()
	said := &tail{}
	err := h.Run(limited, "true", nil, said, said)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ErrConnectionLost):
		return fmt.Errorf("%w %s: %w", ErrUnreachable, h.login, err)
	}
	return fmt.Errorf("%w: deployment.privilegeEscalationCommand (%s) does not work as %s without asking: %w; the host said: %s; allow it there without a password, or set deployment.targetUser to \"root\"",
		ErrEscalation, strings.Join(h.escalate, " "), h.login, err, said.lines(3))
}
