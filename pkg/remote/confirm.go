package remote

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/colmena-go/colmena-go/pkg/ask"
	"github.com/colmena-go/colmena-go/pkg/scratch"
	"github.com/colmena-go/colmena-go/pkg/sshconfig"
)

// confirmTries is how often one is asked who says neither yes nor no.
const confirmTries = 3

// mustConfirm reports whether somebody is to say that an unknown key is the right
// one: there is somebody, and StrictHostKeyChecking ask was written down.
func (h *hostKeys) mustConfirm() (bool, error) {
	if h.asker == nil || h.asker.CannotAsk() != nil {
		return false, nil
	}
	return wroteAsk(h.ctx, h.query, h.settings)
}

// wroteAsk reports whether StrictHostKeyChecking ask was written down. As ssh -G says ask
// where nothing is, it is asked what it says where that has another default.
func wroteAsk(ctx context.Context, query sshconfig.Query, s settings) (bool, error) {
	if !s.Ask || !sshconfig.Installed() {
		return false, nil
	}
	dir, remove, err := scratch.Dir()
	if err != nil {
		return false, err
	}
	defer remove()
	text, err := query.Defaulting("StrictHostKeyChecking accept-new")
	if err != nil {
		return false, err
	}
	file := filepath.Join(dir, "config")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return false, err
	}
	there, err := query.Reading(file).Settings(ctx)
	return there.Ask, err
}

// confirm asks whether a key is that of the host: as ssh does, the answer is yes, no
// or the fingerprint that the key should have.
func (h *hostKeys) confirm(key ssh.PublicKey) error {
	fingerprint := ssh.FingerprintSHA256(key)
	text := fmt.Sprintf("%s is not known. Its key is %s %s. Is that right (yes, no, or the fingerprint)?", h.host, key.Type(), fingerprint)
	for range confirmTries {
		answer, err := h.asker.Ask(ask.Question{Text: text, Echo: true})
		if err != nil {
			return fmt.Errorf("%w: whether the key of %s is right (%s): %w", ErrHostKey, h.HostName, fingerprint, err)
		}
		said := strings.TrimSpace(string(answer.Reveal()))
		switch {
		case said == fingerprint || strings.EqualFold(said, "yes"):
			return nil
		case strings.EqualFold(said, "no"):
			return fmt.Errorf("%w: the key of %s (%s) is not the right one, as was answered", ErrHostKey, h.HostName, fingerprint)
		}
	}
	return fmt.Errorf("%w: nobody said yes to the key of %s (%s)", ErrHostKey, h.HostName, fingerprint)
}
