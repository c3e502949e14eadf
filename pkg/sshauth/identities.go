package sshauth

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/crypto/ssh"

	"github.com/colmena-go/colmena-go/pkg/knownhosts"
)

// Keys and certificates in files.

// readFiles returns the public keys the files stand for and the signers of
// those that can be read. A key that the agent has needs no passphrase.
func (l *Login) readFiles(paths []string, fromAgent []ssh.Signer) (wanted []ssh.PublicKey, signers []ssh.Signer) {
	var absent []string
	for _, path := range paths {
		text, err := os.ReadFile(path)
		public, signer := PublicKey(path+".pub"), ssh.Signer(nil)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			absent = append(absent, path)
		case err != nil:
			l.note("%s cannot be read: %v", path, err)
			continue
		default:
			public, signer = l.readFile(path, text, public, fromAgent)
		}
		if public != nil {
			wanted = append(wanted, public)
		}
		if signer != nil {
			signers = append(signers, signer)
		}
	}
	switch {
	case len(paths) == 0 || len(absent) < len(paths):
	case len(absent) == 1:
		l.note("the key file %s does not exist", absent[0])
	default:
		l.note("none of the key files %s exists", strings.Join(absent, ", "))
	}
	return wanted, signers
}

// readFile returns the public key that a file stands for, nil if for none, and its signer
// where it can be read; public is what the file beside it has, or nil.
func (l *Login) readFile(path string, text []byte, public ssh.PublicKey, fromAgent []ssh.Signer) (ssh.PublicKey, ssh.Signer) {
	if mode, loose := unprotected(path); loose && bytes.Contains(text, []byte("PRIVATE KEY-----")) {
		told := fmt.Sprintf("%s is ignored, as by ssh: others may read it (mode %#o): chmod 600 %[1]s", path, mode)
		l.note("%s", told)
		l.warnings = append(l.warnings, told)
		return nil, nil
	}
	signer, err := ssh.ParsePrivateKey(text)
	var locked *ssh.PassphraseMissingError
	switch {
	case err == nil:
		l.note("%s", path)
		return signer.PublicKey(), signer
	case errors.As(err, &locked):
		if public == nil {
			public = locked.PublicKey
		}
		held := public != nil && slices.ContainsFunc(fromAgent, func(s ssh.Signer) bool { return knownhosts.Same(public, s.PublicKey()) })
		if !held {
			l.lock(path, public)
		}
		return public, nil
	case bytes.Contains(text, []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----")):
		l.note("%s is encrypted in a form that is not read here (PKCS #8): convert it with ssh-keygen -p -f %[1]s", path)
	case public != nil && touched(public):
		l.note("%s is of a security key: add it to the agent with ssh-add", path)
	default:
		if key := PublicKey(path); key != nil { // IdentityFile may name a public key
			return key, nil
		}
		l.note("%s is not a private key", path)
	}
	return nil, nil
}

// unprotected reports whether a file of ours may be read by others, and its mode.
func unprotected(path string) (mode fs.FileMode, loose bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	of, known := info.Sys().(*syscall.Stat_t)
	return info.Mode().Perm(), known && int(of.Uid) == os.Getuid() && info.Mode().Perm()&0o077 != 0
}

// lock takes an encrypted key file that the agent does not have.
func (l *Login) lock(path string, public ssh.PublicKey) {
	switch {
	case l.cannotAsk != nil:
		l.note("%s is encrypted, and its passphrase is not asked for (%v): add it to the agent with ssh-add", path, l.cannotAsk)
		return
	case public == nil: // nobody knows what to offer without the passphrase
		signer, err := l.unlocked(path)
		if err == nil {
			l.late = append(l.late, signer)
		}
		return
	}
	l.note("%s", path)
	l.files = append(l.files, path)
	l.late = append(l.late, lateSigner{public, func() (ssh.Signer, error) { return l.unlocked(path) }})
}

// stays notes why a key file could not be used, in the place of the file alone. A key
// may be wanted several times.
func (l *Login) stays(path string, why error) {
	told := fmt.Sprintf("%s: %v", path, why)
	if errors.Is(why, errMistyped) {
		told = fmt.Sprintf("the passphrase of %s %v", path, why)
		if !slices.Contains(l.mistyped, path) {
			l.mistyped = append(l.mistyped, path)
		}
	}
	l.tried = slices.DeleteFunc(l.tried, func(note string) bool { return note == path || note == told })
	l.tried = append(l.tried, told)
}

// withCertificates returns a signer for each certificate whose key is at hand.
func (l *Login) withCertificates(paths []string, signers []ssh.Signer) []ssh.Signer {
	var certified []ssh.Signer
	for _, path := range paths {
		cert, ok := PublicKey(path).(*ssh.Certificate)
		if !ok {
			l.note("%s is not a certificate", path)
			continue
		}
		for _, signer := range signers {
			if knownhosts.Same(cert.Key, signer.PublicKey()) {
				if s, err := ssh.NewCertSigner(cert, signer); err == nil {
					certified = append(certified, s)
				}
			}
		}
	}
	return certified
}

// PublicKey is the key or certificate in a file, nil if it has none.
func PublicKey(path string) ssh.PublicKey {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return nil
	}
	return key
}
