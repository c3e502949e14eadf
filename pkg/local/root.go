package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"time"
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
	Escalate []string // put before every command; nil: root is what we are, or not needed
	Terminal *os.File // where Escalate may ask for a password; nil: it must not ask
}

// How long it may take to become root: with and without somebody who types.
var (
	typingLimit = 5 * time.Minute
	silentLimit = 15 * time.Second
)

// Open sees that commands can be run as root. It fails with [ErrEscalation].
func Open(ctx context.Context, cfg Config) (*Host, error) {
	h := &Host{escalate: cfg.Escalate}
	if cfg.Escalate == nil {
		return h, nil
	}
	h.asking = &asking{terminal: cfg.Terminal}
	return h, h.asking.ask(ctx, cfg.Escalate)
}

// asking has whoever makes us root ask for a password where somebody can type it:
// commands themselves run in the background, where nobody can.
type asking struct {
	mu       sync.Mutex
	terminal *os.File
}

// again asks once more, as permissions are forgotten after a while.
func (a *asking) again(ctx context.Context, escalate []string) error {
	if a == nil || a.terminal == nil {
		return nil
	}
	return a.ask(ctx, escalate)
}

func (a *asking) ask(ctx context.Context, escalate []string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	limit := silentLimit
	if a.terminal != nil {
		limit = typingLimit
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", limit))
	defer cancel()
	argv := append(append([]string{}, escalate...), "id", "-u")
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.WaitDelay = "/", time.Second
	if a.terminal != nil {
		cmd.Stdin = a.terminal
	}
	var id, said strings.Builder
	cmd.Stdout, cmd.Stderr = bounded{&id}, bounded{&said}
	err := cmd.Run()
	command := strings.Join(escalate, " ")
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case err == nil && strings.TrimSpace(id.String()) == "0":
		return nil
	case err == nil:
		return fmt.Errorf("%w: %s makes us another user than root (uid %s)", ErrEscalation, command, strings.TrimSpace(id.String()))
	}
	heard := strings.Join(strings.Fields(said.String()), " ")
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
