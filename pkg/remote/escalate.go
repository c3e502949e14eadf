package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/colmena-go/colmena-go/pkg/ask"
	"github.com/colmena-go/colmena-go/pkg/escalation"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/printable"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// escalationLimit is how long a host may take to make us root for one command, and
// passwordLimit with a password: a wrong one is often answered late on purpose.
var (
	escalationLimit = 15 * time.Second
	passwordLimit   = 45 * time.Second
)

// tryEscalation sees that we are root for commands, and finds the password if that
// takes one. A program whose question nobody answers would fail at the first command:
// in the middle of a deployment, and in words of its own.
func (h *Host) tryEscalation(ctx context.Context) error {
	if !h.needsRoot {
		return nil
	}
	said, err := h.tryRoot(ctx, probe{h}, escalationLimit)
	if err != nil && h.program.Wants(said) == escalation.Terminal {
		h.terminal = true
		said, err = h.tryRoot(ctx, probe{h}, escalationLimit)
	}
	if err != nil && h.program.Wants(said) == escalation.Password {
		return h.tryPassword(ctx, err)
	}
	return err
}

// probe runs commands as root in the way that shows what is missing.
type probe struct{ *Host }

// Run is [Host.Run].
func (h probe) Run(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) error {
	return h.runAs(ctx, h.asRoot(h.program.Probe(), command), stdin, stdout, stderr)
}

// tryPassword makes us root with a password; without is why it does not work without.
func (h *Host) tryPassword(ctx context.Context, without error) error {
	switch {
	case !h.program.TakesPassword(), h.passwords == nil:
		return without
	}
	of := escalation.Host{Node: h.node, Login: h.login, Program: h.program.Name(), Note: h.cfg.Note, Waits: h.cfg.Waits}
	_, err := h.passwords.Find(ctx, of, func(ctx context.Context, password secret.Secret) error {
		h.password = &password
		_, err := h.tryRoot(ctx, h, passwordLimit)
		return err
	})
	if err == nil {
		return nil
	}
	h.password = nil
	if ctx.Err() != nil || errors.Is(err, ErrEscalation) || errors.Is(err, ErrUnreachable) {
		return err
	}
	enter := "enter the right one (--ask-sudo-password, --sudo-password-fd)"
	if errors.Is(err, ask.ErrNobody) {
		enter = "give the right one (--sudo-password-fd, or a program that SUDO_ASKPASS names)"
	}
	return fmt.Errorf("%w: %s asks for a password as %s: %w; %s, allow %s there without a password, or set deployment.targetUser to \"root\"",
		ErrEscalation, h.escalation(), h.login, err, enter, h.program.Name())
}

// tryRoot sees who we are for commands that are run so. Where nothing is run, said is
// what was said in the place of an answer.
func (h *Host) tryRoot(ctx context.Context, host hostscript.Runner, limit time.Duration) (said string, err error) {
	limited, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", limit))
	defer cancel()
	stderr, id := &tail{}, &tail{}
	err = hostscript.Run(limited, overheard{host, stderr}, hostscript.Call{Program: "id -u; id -un", Stdout: id})
	uid, name, _ := strings.Cut(id.String(), "\n")
	switch {
	case err == nil && uid == "0":
		return "", nil
	case err == nil:
		return "", fmt.Errorf("%w: as %s, %s makes us %s, not root: correct it, or set deployment.targetUser to \"root\"",
			ErrEscalation, h.login, h.escalation(), printable.Said(name, 40))
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case errors.Is(err, escalation.ErrRefused):
		return "", err
	case errors.Is(err, ErrConnectionLost):
		return "", fmt.Errorf("%w %s: %w", ErrUnreachable, h.login, err)
	case len(h.program.Words()) == 0:
		return "", fmt.Errorf("%s: %w", h.login, err)
	}
	heard := stderr.after("; the host said: ")
	var shell *hostscript.ShellError
	if errors.As(err, &shell) {
		if plain := h.tryShell(limited); plain != nil {
			return "", fmt.Errorf("%s: %w", h.login, plain)
		}
		err, said, heard = shell.Why, shell.Said, "; the host said: "+printable.Said(shell.Said, 160)
	}
	switch {
	case h.password != nil && h.program.Refuses(said): // where it asks only once (passwd_tries)
		return "", escalation.ErrRefused
	case h.password != nil && h.program.AsksMore(stderr.String()):
		return "", fmt.Errorf("%w: %s asks for more than a password as %s%s; a code is good for one command, and a deployment runs many: have it ask this user for a password alone, or set deployment.targetUser to \"root\"",
			ErrEscalation, h.escalation(), h.login, heard)
	case h.password != nil:
		return "", fmt.Errorf("%w: %s does not work as %s with a password: %w%s", ErrEscalation, h.escalation(), h.login, err, heard)
	}
	advice := "allow it there without a password"
	if exit := (*ExitError)(nil); errors.As(err, &exit) && exit.Status == notFound {
		advice = "install it there, correct deployment.privilegeEscalationCommand"
	}
	return said, fmt.Errorf("%w: %s does not work as %s without asking: %w%s; %s, or set deployment.targetUser to \"root\"",
		ErrEscalation, h.escalation(), h.login, err, heard, advice)
}

// overheard keeps what is said on stderr, also before the program runs.
type overheard struct {
	hostscript.Runner
	stderr io.Writer
}

// Run is that of the Runner.
func (o overheard) Run(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) error {
	return o.Runner.Run(ctx, command, stdin, stdout, io.MultiWriter(o.stderr, stderr))
}

// notFound is the status of shells and env(1) for a program that is not there.
const notFound = 127

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
	if len(h.program.Words()) == 0 {
		return "an empty deployment.privilegeEscalationCommand"
	}
	return fmt.Sprintf("deployment.privilegeEscalationCommand (%s)", h.program)
}
