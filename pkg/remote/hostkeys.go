package remote

import (
	"bytes"
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/colmena-go/colmena-go/pkg/knownhosts"
	"github.com/colmena-go/colmena-go/pkg/printable"
	"github.com/colmena-go/colmena-go/pkg/sshauth"
	"github.com/colmena-go/colmena-go/pkg/sshconfig"
)

// hostKeys decides whether a host's key may be trusted.
type hostKeys struct {
	settings
	ctx      context.Context // of the handshake, which has no other place for it
	known    knownhosts.Known
	host     knownhosts.Host
	revoked  []knownhosts.Entry // by RevokedHostKeys
	note     func(string)
	learnt   func(fingerprint, file string) // or nil
	waits    func(string) (over func())
	query    sshconfig.Query
	asker    *sshauth.Login // through whom people are asked; nil: nobody is
	accepted []byte         // the key of this connection, which is shown again at each key exchange
	met      *met           // in this run; nil: nobody
	target   string         // as what the host is met
}

// newHostKeys reads what is known of the host.
func newHostKeys(ctx context.Context, s settings, cfg Config) (h *hostKeys, err error) {
	h = &hostKeys{settings: s, ctx: ctx, note: cfg.Note, learnt: cfg.Learnt, waits: cfg.Waits, host: hostOf(s)}
	if h.known, err = cfg.met.files().Read(append(slices.Clone(s.UserKnownHosts), s.GlobalKnownHosts...)...); err != nil {
		return nil, err
	}
	if h.revoked, err = readRevoked(s.RevokedHostKeys); err != nil {
		return nil, err
	}
	if s.HasKnownHostsCommand() {
		text, err := h.askCommand("ORDER", nil)
		if err != nil {
			return nil, err
		}
		h.known.Add(commandName, text)
	}
	return h, nil
}

// onSecurityKeys reports whether the host is known by keys alone that our own client does
// not ask for.
func (h *hostKeys) onSecurityKeys() bool {
	known := h.known.Keys(h.host)
	ours := func(e knownhosts.Entry) bool { return !strings.HasPrefix(e.Key.Type(), "sk-") }
	return len(known) > 0 && !slices.ContainsFunc(known, ours) && len(h.known.Authorities(h.host)) == 0
}

// hostOf is what the host is called in known_hosts.
func hostOf(s settings) knownhosts.Host {
	if s.HostKeyAlias != "" {
		return knownhosts.Host{Name: s.HostKeyAlias}
	}
	return knownhosts.Host{Name: s.HostName, Port: s.Port}
}

// readRevoked reads the files of RevokedHostKeys. One that cannot be read revokes
// all, as for ssh.
func readRevoked(files []string) (entries []knownhosts.Entry, err error) {
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("%w: RevokedHostKeys: %w", ErrHostKey, err)
		}
		if bytes.HasPrefix(text, []byte("SSHKRL\n")) {
			return nil, &needsOpenSSH{why: "a KRL of RevokedHostKeys"}
		}
		number := 0
		for line := range bytes.Lines(text) {
			number++
			if line = bytes.TrimSpace(line); len(line) == 0 || line[0] == '#' {
				continue
			}
			key, _, _, _, err := ssh.ParseAuthorizedKey(line)
			if err != nil {
				return nil, fmt.Errorf("%w: RevokedHostKeys: %s:%d is not a public key", ErrHostKey, file, number)
			}
			entries = append(entries, knownhosts.Entry{Key: key, File: file, Line: number})
		}
	}
	return entries, nil
}

// algorithms are those to ask the server for; chosen are those of HostKeyAlgorithms.
func (h *hostKeys) algorithms(chosen []string) []string {
	if len(chosen) == 0 {
		chosen = inOrder(ssh.SupportedAlgorithms().HostKeys, h.HostKeyOrder)
	}
	known := h.known
	if first := h.met.of(h.target); first != nil {
		known.Add("", metLine(h.host, first))
	}
	return known.Algorithms(h.host, chosen)
}

// inOrder sorts names in the order of a list; those that it lacks come last.
func inOrder(names, order []string) []string {
	at := func(name string) int {
		if i := slices.Index(order, name); i >= 0 {
			return i
		}
		return len(order)
	}
	return slices.SortedStableFunc(slices.Values(names), func(a, b string) int { return at(a) - at(b) })
}

// refusal is why a key is refused, in our words alone: x/crypto puts its own
// before it, and explainHandshake finds it behind them.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// check is an ssh.HostKeyCallback.
func (h *hostKeys) check(_ string, from net.Addr, key ssh.PublicKey) error {
	if h.accepted != nil {
		if !bytes.Equal(h.accepted, key.Marshal()) {
			return refusal{fmt.Errorf("%w: %s changed its key within one connection", ErrHostKey, h.HostName)}
		}
		return nil
	}
	if !h.near(from) {
		err := h.weak(key)
		if err == nil {
			err = h.judge(key)
		}
		if err != nil {
			return refusal{err}
		}
	}
	h.accepted = key.Marshal()
	return nil
}

// near: the host is this machine, which needs to show nothing.
func (h *hostKeys) near(from net.Addr) bool {
	at, ok := from.(*net.TCPAddr)
	return h.TrustLoopback && h.HostKeyAlias == "" && ok && at.IP.IsLoopback()
}

// weak says why a key or its certificate is not good enough, whoever's it is.
func (h *hostKeys) weak(key ssh.PublicKey) error {
	if certificate, ok := key.(*ssh.Certificate); ok {
		if with := certificate.Signature.Format; len(h.AuthorityAlgorithms) > 0 && !slices.Contains(h.AuthorityAlgorithms, with) {
			return fmt.Errorf("%w: the certificate of %s is signed with %s, which CASignatureAlgorithms does not allow", ErrHostKey, h.HostName, printable.Said(with, 40))
		}
		key = certificate.Key
	}
	if public, ok := key.(ssh.CryptoPublicKey); ok {
		if long, ok := public.CryptoPublicKey().(*rsa.PublicKey); ok && long.N.BitLen() < h.RSABits {
			return fmt.Errorf("%w: the RSA key of %s has %d bits, and RequiredRSASize wants %d", ErrHostKey, h.HostName, long.N.BitLen(), h.RSABits)
		}
	}
	return nil
}

func (h *hostKeys) judge(key ssh.PublicKey) error {
	certificate, certified := key.(*ssh.Certificate)
	for _, r := range h.revoked {
		if knownhosts.Same(r.Key, key) || certified && (knownhosts.Same(r.Key, certificate.Key) || knownhosts.Same(r.Key, certificate.SignatureKey)) {
			return h.refuse(knownhosts.Verdict{Kind: knownhosts.Revoked, Entry: r}, key)
		}
	}
	if h.HasKnownHostsCommand() {
		text, err := h.askCommand("HOSTNAME", key)
		if err != nil {
			return err
		}
		h.known.Add(commandName, text)
	}
	verdict := h.known.Judge(h.host, key)
	if certified {
		key = certificate.Key // which can be known alone
	}
	if verdict.Kind == knownhosts.Unknown {
		return h.learn(key)
	}
	return h.refuse(verdict, key)
}

// refuse says why a key is refused, nil where it is trusted.
func (h *hostKeys) refuse(v knownhosts.Verdict, key ssh.PublicKey) error {
	where := fmt.Sprintf("%s:%d", v.Entry.File, v.Entry.Line)
	switch v.Kind {
	case knownhosts.Revoked:
		return fmt.Errorf("%w: the key of %s is revoked by %s", ErrHostKey, h.HostName, where)
	case knownhosts.Refused:
		return fmt.Errorf("%w: the certificate of %s is of the authority in %s, but does not hold: %s", ErrHostKey, h.HostName, where, printable.Said(v.Why.Error(), 300))
	case knownhosts.Changed:
		return fmt.Errorf("%w: the key of %s is not the one in %s (there %s, now %s): somebody may be listening in; if the host was reinstalled, remove the old key with: ssh-keygen -f '%s' -R '%s'",
			ErrHostKey, h.HostName, where, ssh.FingerprintSHA256(v.Entry.Key), ssh.FingerprintSHA256(key), v.Entry.File, h.host)
	}
	return nil
}

// learn accepts an unknown key, unless ssh_config says to be strict.
func (h *hostKeys) learn(key ssh.PublicKey) error {
	fingerprint := ssh.FingerprintSHA256(key)
	if h.Strict {
		return fmt.Errorf("%w: the key of %s is not in known_hosts (%s) and StrictHostKeyChecking is yes: connect once with ssh, or add it with ssh-keyscan after checking it",
			ErrHostKey, h.HostName, fingerprint)
	}
	if first := h.met.of(h.target); first != nil {
		return h.sameAsBefore(first, key)
	}
	switch must, err := h.mustConfirm(); {
	case err != nil:
		return err
	case must:
		if err := h.confirm(key); err != nil {
			return err
		}
	default:
		if err := h.unvouched(fingerprint); err != nil {
			return err
		}
	}
	if err := h.record(key); err != nil {
		return err
	}
	return h.sameAsBefore(h.met.keep(h.target, key), key)
}

// unvouched refuses a key without a certificate where an authority vouches for the
// host, which whoever listens in would leave out. Nobody has asked for such keys to be
// accepted then, as with accept-new, which is our default alone.
func (h *hostKeys) unvouched(fingerprint string) error {
	authorities := h.known.Authorities(h.host)
	if len(authorities) == 0 || !h.Ask {
		return nil
	}
	return fmt.Errorf("%w: %s shows no certificate of the authority in %s:%d, but a key that is not known (%s): have its sshd show one (HostCertificate), add the key after checking it, or set StrictHostKeyChecking to accept-new to accept it",
		ErrHostKey, h.HostName, authorities[0].File, authorities[0].Line, fingerprint)
}

// record adds the key of a new host to known_hosts.
func (h *hostKeys) record(key ssh.PublicKey) error {
	fingerprint := ssh.FingerprintSHA256(key)
	if len(h.UserKnownHosts) == 0 || h.UserKnownHosts[0] == os.DevNull {
		h.note(fmt.Sprintf("new host: its key %s is accepted, but recorded nowhere, as UserKnownHostsFile wants, so that the next run accepts any again", fingerprint))
		return nil
	}
	verdict, err := h.met.files().Learn(h.ctx, h.UserKnownHosts[0], h.host, key, h.Hash)
	switch {
	case err != nil: // as ssh does, which goes on too
		h.note(fmt.Sprintf("new host: its key %s is accepted, but cannot be recorded, so that the next run accepts any again: %v", fingerprint, err))
		return nil
	case verdict.Kind != knownhosts.Unknown: // somebody else was first
		return h.refuse(verdict, key)
	}
	if h.learnt != nil {
		h.learnt(fingerprint, h.UserKnownHosts[0])
	} else {
		h.note(fmt.Sprintf("new host: its key %s is now in %s", fingerprint, h.UserKnownHosts[0]))
	}
	return nil
}

// noCommonKey explains a host that has no key of a kind that was asked for; nil if
// it is not that.
func (h *hostKeys) noCommonKey(err error) error {
	var missing *ssh.AlgorithmNegotiationError
	if !errors.As(err, &missing) || missing.What != "host key" {
		return nil
	}
	return fmt.Errorf("%w: %s has no key of the kinds that are asked for (%s), only others (%s): see HostKeyAlgorithms in ssh_config(5)",
		ErrHostKey, h.HostName, strings.Join(missing.SupportedAlgorithms, ", "), printable.Said(strings.Join(missing.RequestedAlgorithms, ", "), 200))
}
