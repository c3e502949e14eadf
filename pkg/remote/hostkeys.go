package remote

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// hostKeys decides whether a host's key may be trusted.
type hostKeys struct {
	settings
	db       *knownhosts.HostKeyDB
	name     string // as known_hosts has it, with the port
	note     func(string)
	accepted []byte // the key of this connection, which is shown again at each key exchange
}

// learning serialises the additions of this process to known_hosts files.
var learning sync.Mutex

// newHostKeys reads the known_hosts files that exist.
func newHostKeys(s settings, note func(string)) (*hostKeys, error) {
	var files []string
	for _, path := range append(append([]string{}, s.UserKnownHosts...), s.GlobalKnownHosts...) {
		if _, err := os.Stat(path); err == nil {
			files = append(files, path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("known_hosts: %w", err)
		}
	}
	db, err := knownhosts.NewDB(files...)
	if err != nil {
		return nil, fmt.Errorf("known_hosts: %w", err)
	}
	name := net.JoinHostPort(s.HostName, strconv.Itoa(s.Port))
	if s.HostKeyAlias != "" {
		name = net.JoinHostPort(s.HostKeyAlias, "22") // an alias stands without a port (ssh_config(5))
	}
	return &hostKeys{settings: s, db: db, name: name, note: note}, nil
}

// algorithms are those to ask the server for: of the kinds that are known, so
// that a server with several keys shows the one we can check.
func (h *hostKeys) algorithms() []string {
	if len(h.HostKeyAlgorithms) > 0 {
		return h.HostKeyAlgorithms
	}
	return h.db.HostKeyAlgorithms(h.name)
}

// refusal is why a key is refused, in our words alone: x/crypto puts its own
// before it, and explainHandshake finds it behind them.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// check is an ssh.HostKeyCallback.
func (h *hostKeys) check(_ string, remote net.Addr, key ssh.PublicKey) error {
	if h.accepted != nil {
		if !bytes.Equal(h.accepted, key.Marshal()) {
			return refusal{fmt.Errorf("%w: %s changed its key within one connection", ErrHostKey, h.HostName)}
		}
		return nil
	}
	if err := h.judge(remote, key); err != nil {
		return refusal{err}
	}
	h.accepted = key.Marshal()
	return nil
}

func (h *hostKeys) judge(remote net.Addr, key ssh.PublicKey) error {
	err := h.db.HostKeyCallback()(h.name, remote, key)
	var revoked *xknownhosts.RevokedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &revoked):
		return fmt.Errorf("%w: the key of %s is revoked by %s:%d", ErrHostKey, h.HostName, revoked.Revoked.Filename, revoked.Revoked.Line)
	case knownhosts.IsHostKeyChanged(err):
		return h.changed(err, key)
	case knownhosts.IsHostUnknown(err):
		return h.learn(key)
	}
	return fmt.Errorf("%w: %s: %w", ErrHostKey, h.HostName, err)
}

func (h *hostKeys) changed(err error, key ssh.PublicKey) error {
	var keyErr *xknownhosts.KeyError
	where, file := "known_hosts", ""
	if errors.As(err, &keyErr) && len(keyErr.Want) > 0 {
		where = fmt.Sprintf("%s:%d", keyErr.Want[0].Filename, keyErr.Want[0].Line)
		file = fmt.Sprintf("-f '%s' ", keyErr.Want[0].Filename)
	}
	return fmt.Errorf("%w: the key of %s is not the one in %s (now %s): somebody may be listening in; if the host was reinstalled, remove the old key with: ssh-keygen %s-R '%s'",
		ErrHostKey, h.HostName, where, ssh.FingerprintSHA256(key), file, knownhosts.Normalize(h.name))
}

// learn records an unknown key, unless ssh_config says to be strict.
func (h *hostKeys) learn(key ssh.PublicKey) error {
	if h.Strict {
		return fmt.Errorf("%w: the key of %s is not in known_hosts (%s) and StrictHostKeyChecking is yes: connect once with ssh, or add it with ssh-keyscan after checking it",
			ErrHostKey, h.HostName, ssh.FingerprintSHA256(key))
	}
	if len(h.UserKnownHosts) == 0 || h.UserKnownHosts[0] == "/dev/null" {
		return nil
	}
	address := knownhosts.Normalize(h.name)
	if h.Hash {
		address = xknownhosts.HashHostname(address)
	}
	line := address + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))) + "\n"
	if err := appendLine(h.UserKnownHosts[0], line); err != nil { // as ssh does, which goes on too
		h.note(fmt.Sprintf("new host: its key %s is accepted, but cannot be recorded, so that the next run accepts any again: %v", ssh.FingerprintSHA256(key), err))
		return nil
	}
	h.note(fmt.Sprintf("new host: its key %s is now in %s", ssh.FingerprintSHA256(key), h.UserKnownHosts[0]))
	return nil
}

// appendLine adds a line to a file that lacks it, in one write, so that several
// processes may do so.
func appendLine(path, line string) error {
	learning.Lock()
	defer learning.Unlock()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	old, err := os.ReadFile(path)
	switch {
	case err != nil || len(old) == 0:
	case bytes.Contains(append([]byte("\n"), old...), []byte("\n"+line)):
		return nil
	case !bytes.HasSuffix(old, []byte("\n")):
		line = "\n" + line
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(line)
	return errors.Join(err, file.Close())
}
