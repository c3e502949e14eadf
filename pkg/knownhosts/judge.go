package knownhosts

import (
	"bytes"
	"errors"
	"net"
	"slices"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// Host is what a host may be called in a file.
type Host struct {
	Name string // or its address, or what HostKeyAlias says
	Port int    // 0 for an alias, which stands without one
}

// names are those to look for: on a port of its own a host is another one than on
// the usual, but for the same key.
func (h Host) names() (name, plain string) {
	name = knownhosts.Normalize(net.JoinHostPort(h.Name, port(h.Port)))
	return name, knownhosts.Normalize(net.JoinHostPort(h.Name, "22"))
}

// String is how files call the host.
func (h Host) String() string { name, _ := h.names(); return name }

// Keys are the keys of a host that are known, but for those of authorities and those
// that are revoked.
func (k Known) Keys(h Host) []Entry { name, _ := h.names(); return k.of(name, "") }

// Authorities are the keys of those who may vouch for a host.
func (k Known) Authorities(h Host) []Entry { name, _ := h.names(); return k.of(name, authority) }

// Revoked are the keys that must not be taken for the host's, on whichever port.
func (k Known) Revoked(h Host) []Entry {
	name, plain := h.names()
	gone := k.of(name, revoked)
	if plain != name {
		gone = append(gone, k.of(plain, revoked)...)
	}
	return gone
}

// Verdict is what the files say of a key.
type Verdict struct {
	Kind  Kind
	Entry Entry // that says so, unless it is unknown or trusted
	Why   error // of Refused
}

// Kind of a verdict.
type Kind int

// Kinds of verdicts.
const (
	Unknown Kind = iota // no key is known
	Trusted
	Changed // others are known, be they of another type
	Revoked
	Refused // a certificate of an authority that is trusted, but not for this
)

// Judge says what becomes of a key that a host shows.
func (k Known) Judge(h Host, key ssh.PublicKey) Verdict {
	name, plain := h.names()
	keys := []ssh.PublicKey{key}
	certificate, certified := key.(*ssh.Certificate)
	if certified {
		keys = []ssh.PublicKey{key, certificate.Key, certificate.SignatureKey}
	}
	for _, e := range k.Revoked(h) {
		if slices.ContainsFunc(keys, func(key ssh.PublicKey) bool { return Same(key, e.Key) }) {
			return Verdict{Kind: Revoked, Entry: e}
		}
	}
	if certified {
		for _, e := range k.Authorities(h) {
			if Same(e.Key, certificate.SignatureKey) {
				return vouched(h, certificate, e)
			}
		}
		key = certificate.Key // as if it came without, as for OpenSSH
	}
	var other *Entry
	for _, e := range k.of(name, "") {
		if Same(e.Key, key) {
			return Verdict{Kind: Trusted}
		}
		if other == nil || e.Key.Type() == key.Type() && other.Key.Type() != key.Type() {
			other = &e
		}
	}
	if other != nil {
		return Verdict{Kind: Changed, Entry: *other}
	}
	if plain != name && slices.ContainsFunc(k.of(plain, ""), func(e Entry) bool { return Same(e.Key, key) }) {
		return Verdict{Kind: Trusted}
	}
	return Verdict{}
}

// vouched judges a certificate of an authority that is trusted for the host.
func vouched(h Host, certificate *ssh.Certificate, by Entry) Verdict {
	err := errors.New("it is one for users")
	if certificate.CertType == ssh.HostCert {
		err = (&ssh.CertChecker{}).CheckCert(h.Name, certificate)
	}
	if err != nil {
		return Verdict{Kind: Refused, Entry: by, Why: err}
	}
	return Verdict{Kind: Trusted}
}

// Algorithms sorts those to ask the host for, so that one with several keys shows
// what can be judged: first come certificates where an authority is known, and keys of
// the types that are known; then any key; last certificates of nobody that is known.
// None is left out: a key of a type that is not known is [Changed] where others are.
func (k Known) Algorithms(h Host, wanted []string) (ask []string) {
	name, plain := h.names()
	types := k.of(name, "")
	if len(types) == 0 && plain != name {
		types = k.of(plain, "")
	}
	certificates := len(k.Authorities(h)) > 0
	var others, ofNobody []string
	for _, algorithm := range wanted {
		base, certified := withoutCertificate(algorithm)
		known := slices.ContainsFunc(types, func(e Entry) bool { return e.Key.Type() == base })
		switch {
		case certified && certificates || !certified && known:
			ask = append(ask, algorithm)
		case certified:
			ofNobody = append(ofNobody, algorithm)
		default:
			others = append(others, algorithm)
		}
	}
	return slices.Concat(ask, others, ofNobody)
}

// Same reports whether two keys, or certificates, are one.
func Same(a, b ssh.PublicKey) bool { return bytes.Equal(a.Marshal(), b.Marshal()) }
