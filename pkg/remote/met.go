package remote

import (
	"fmt"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/colmena-go/colmena-go/pkg/knownhosts"
)

// met are the keys that were accepted without being known, by target: where they cannot
// be recorded, whoever answers in the same run must show them all the same, as keys and
// passwords go there. A nil one knows nobody.
type met struct {
	mu   sync.Mutex
	keys map[string]ssh.PublicKey
	read knownhosts.Files
}

// files are those of known_hosts, of which this run has read some.
func (m *met) files() *knownhosts.Files {
	if m == nil {
		return &knownhosts.Files{}
	}
	return &m.read
}

// of is the key of a target, nil for none.
func (m *met) of(target string) ssh.PublicKey {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.keys[target]
}

// keep remembers the key of a target, unless there is one, and returns what it is.
func (m *met) keep(target string, key ssh.PublicKey) ssh.PublicKey {
	if m == nil {
		return key
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if first := m.keys[target]; first != nil {
		return first
	}
	if m.keys == nil {
		m.keys = map[string]ssh.PublicKey{}
	}
	m.keys[target] = key
	return key
}

// metLine is a line of known_hosts.
func metLine(h knownhosts.Host, key ssh.PublicKey) string {
	return fmt.Sprintf("%s %s\n", h, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))))
}

// sameAsBefore refuses a key that is not the one which the host showed in this run.
func (h *hostKeys) sameAsBefore(first, key ssh.PublicKey) error {
	if knownhosts.Same(first, key) {
		return nil
	}
	return fmt.Errorf("%w: the key of %s is not the one that it had before in this run (then %s, now %s): somebody may be listening in; if the host changed its keys itself, run again",
		ErrHostKey, h.HostName, ssh.FingerprintSHA256(first), ssh.FingerprintSHA256(key))
}
