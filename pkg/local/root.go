package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/colmena-go/colmena-go/pkg/escalation"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrEscalation: no command can be run as root.
	ErrEscalation = errors.New("cannot become root on this machine")
	// ErrNotNixOS: this machine runs something else.
	ErrNotNixOS = errors.New("this machine does not run NixOS")
)

// Config says how commands become root's.
type Config struct {
	Escalate  []string // put before every command; nil: root is what we are, or not needed
	Node      string   // as people know this machine
	Passwords *escalation.Passwords
	// Lend lends the terminal to an Escalate that asks there itself, as those do of which
	// nothing is known; nil: it must not ask.
	Lend func(ctx context.Context, use func(ctx context.Context, tty *os.File) error) error
}

// How long it may take to become root: with and without somebody who types, and with a
// password that may be wrong.
var (
	typingLimit   = 5 * time.Minute
	silentLimit   = 15 * time.Second
	passwordLimit = 45 * time.Second
)

// Open sees that commands can be run as root. It fails with [ErrEscalation].
func Open(ctx context.Context, cfg Config) (*Host, error) {
	h := &Host{program: escalation.Of(cfg.Escalate).By(me())}
	switch {
	case cfg.Escalate == nil:
		return h, nil
	case h.program.TakesPassword() && cfg.Passwords != nil:
		return h, h.findPassword(ctx, cfg)
	}
	h.asking = &asking{lend: cfg.Lend}
	return h, h.asking.ask(ctx, cfg.Escalate)
}

// findPassword sees whether the program wants a password, and which.
func (h *Host) findPassword(ctx context.Context, cfg Config) error {
	said, err := tryRoot(ctx, h.program.Probe(), silentLimit, nil)
	if err == nil || h.program.Wants(said) != escalation.Password {
		return err
	}
	of := escalation.Host{Node: cfg.Node, Login: cmp.Or(me(), "this user") + " on this machine", Program: h.program.Name()}
	_, err = cfg.Passwords.Find(ctx, of, func(ctx context.Context, password secret.Secret) error {
		h.password = &password
		limited, cancel := context.WithTimeoutCause(ctx, passwordLimit, fmt.Errorf("no answer within %s", passwordLimit))
		defer cancel()
		var id, said strings.Builder
		err := h.Run(limited, "id -u", nil, bounded{&id}, bounded{&said})
		if err != nil && h.program.Refuses(said.String()) { // where it asks only once
			return escalation.ErrRefused
		}
		if errors.Is(err, escalation.ErrRefused) {
			return err
		}
		return verdict(ctx, h.program.Words(), id.String(), said.String(), err)
	})
	if err == nil || ctx.Err() != nil || errors.Is(err, ErrEscalation) {
		return err
	}
	return fmt.Errorf("%w: %s asks for a password: %w", ErrEscalation, h.program, err)
}

// me is who we are, "" if that has no name.
func me() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

// asking has whoever makes us root ask for a password where somebody can type it:
// commands themselves run in the background, where nobody can.
type asking struct {
	mu   sync.Mutex
	lend func(context.Context, func(context.Context, *os.File) error) error
}

// again asks once more, as permissions are forgotten after a while.
func (a *asking) again(ctx context.Context, escalate []string) error {
	if a == nil || a.lend == nil {
		return nil
	}
	return a.ask(ctx, escalate)
}

// ask has it ask if it must: the terminal is lent only then.
func (a *asking) ask(ctx context.Context, escalate []string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.lend == nil {
		_, err := tryRoot(ctx, escalate, silentLimit, nil)
		return err
	}
	return a.lend(ctx, func(ctx context.Context, tty *os.File) error {
		_, err := tryRoot(ctx, escalate, typingLimit, tty)
		return err
	})
}

// tryRoot sees who we are with these words before a command. A terminal may be typed
// on; nil: there is none. said is what was said.
func tryRoot(ctx context.Context, words []string, limit time.Duration, terminal *os.File) (said string, err error) {
	limited, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", limit))
	defer cancel()
	argv := slices.Concat(words, []string{"id", "-u"})
	cmd := exec.CommandContext(limited, argv[0], argv[1:]...)
	cmd.Dir, cmd.WaitDelay = "/", time.Second
	if terminal != nil {
		cmd.Stdin = terminal
	}
	var id, errs strings.Builder
	cmd.Stdout, cmd.Stderr = bounded{&id}, bounded{&errs}
	err = cmd.Run()
	if limited.Err() != nil {
		err = context.Cause(limited)
	}
	return errs.String(), verdict(ctx, words, id.String(), errs.String(), err)
}

// verdict says why we are not root, or nil.
func verdict(ctx context.Context, words []string, id, said string, err error) error {
	id = strings.TrimSpace(id)
	command := strings.Join(words, " ")
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil && id == "0":
		return nil
	case err == nil:
		return fmt.Errorf("%w: %s makes us another user than root (uid %s)", ErrEscalation, command, id)
	}
	heard := strings.Join(strings.Fields(said), " ")
	if heard != "" {
		heard = ": " + heard
	}
	return fmt.Errorf("%w: %s does not work (deployment.privilegeEscalationCommand): %w%s", ErrEscalation, command, err, heard)
}

// bounded keeps the beginning of a text.
type bounded struct{ text *strings.Builder }

const boundedLength = 400 // bytes

func (b bounded) Write(p []byte) (int, error) {
	room := max(0, boundedLength-b.text.Len())
	b.text.Write(p[:min(room, len(p))])
	return len(p), nil
}

var _ io.Writer = bounded{}

// nixosID is a line of os-release(5), as switch-to-configuration reads it.
var nixosID = regexp.MustCompile(`(?m)^ID="?nixos"?\s*$`)

// SeeNixOS fails with [ErrNotNixOS] where a system of NixOS must not be activated,
// as it would replace another one. root is "/".
func SeeNixOS(root string) error {
	if _, err := os.Stat(root + "/etc/NIXOS"); err == nil {
		return nil
	}
	text, err := os.ReadFile(root + "/etc/os-release")
	if err == nil && nixosID.Match(text) {
		return nil
	}
	return fmt.Errorf("%w: neither is there /etc/NIXOS, nor does /etc/os-release say ID=nixos", ErrNotNixOS)
}
