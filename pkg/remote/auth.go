package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// identities is everything we can sign with, and what we should tell the user
// when none of it opens the door.
type identities struct {
	signers []ssh.Signer
	tried   []string
	socket  string     // of the agent
	agent   *agentConn // nil where there is none

	wanted, passed []string // methods that the host asked for last, and those it was content with
}

// gather makes one merged list: x/crypto uses only the first publickey method
// it is given.
func gather(ctx context.Context, s settings) *identities {
	ids := &identities{}
	fromAgent := ids.askAgent(ctx, s)
	wanted, files := ids.readFiles(s.IdentityFiles, fromAgent)
	if s.IdentitiesOnly {
		fromAgent = slices.DeleteFunc(fromAgent, func(signer ssh.Signer) bool {
			return !slices.ContainsFunc(wanted, func(key ssh.PublicKey) bool { return same(key, signer.PublicKey()) })
		})
	}
	certificates := slices.Clone(s.CertificateFiles)
	for _, path := range s.IdentityFiles { // which ssh looks for by itself (ssh_config(5), CertificateFile)
		if _, ok := readPublic(path + "-cert.pub").(*ssh.Certificate); ok {
			certificates = append(certificates, path+"-cert.pub")
		}
	}
	ids.signers = append(ids.withCertificates(certificates, append(slices.Clone(fromAgent), files...)),
		append(fromAgent, files...)...)
	return ids
}

func (ids *identities) note(format string, args ...any) {
	ids.tried = append(ids.tried, fmt.Sprintf(format, args...))
}

// readFiles returns the public keys the files stand for and the signers of
// those that can be read. A key that the agent has needs no passphrase.
func (ids *identities) readFiles(paths []string, fromAgent []ssh.Signer) (wanted []ssh.PublicKey, signers []ssh.Signer) {
	var absent []string
	defer func() {
		if len(paths) > 0 && len(absent) == len(paths) {
			if len(absent) == 1 {
				ids.note("the key file %s does not exist", absent[0])
			} else {
				ids.note("none of the key files %s exists", strings.Join(absent, ", "))
			}
		}
	}()
	for _, path := range paths {
		public := readPublic(path + ".pub")
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			absent = append(absent, path)
			if public != nil {
				wanted = append(wanted, public)
			}
			continue
		}
		if err != nil {
			ids.note("%s cannot be read: %v", path, err)
			continue
		}
		signer, err := ssh.ParsePrivateKey(text)
		var locked *ssh.PassphraseMissingError
		switch {
		case err == nil:
			ids.note("%s", path)
			wanted, signers = append(wanted, signer.PublicKey()), append(signers, signer)
		case errors.As(err, &locked):
			if public == nil {
				public = locked.PublicKey
			}
			if public != nil {
				wanted = append(wanted, public)
			}
			held := public != nil && slices.ContainsFunc(fromAgent, func(s ssh.Signer) bool { return same(public, s.PublicKey()) })
			if !held {
				ids.note("%s is encrypted: add it to the agent with ssh-add", path)
			}
		default:
			if key := readPublic(path); key != nil { // IdentityFile may name a public key
				wanted = append(wanted, key)
				continue
			}
			ids.note("%s is no private key", path)
		}
	}
	return wanted, signers
}

// withCertificates returns a signer for each certificate whose key is at hand.
func (ids *identities) withCertificates(paths []string, signers []ssh.Signer) []ssh.Signer {
	var certified []ssh.Signer
	for _, path := range paths {
		cert, ok := readPublic(path).(*ssh.Certificate)
		if !ok {
			ids.note("%s is no certificate", path)
			continue
		}
		for _, signer := range signers {
			if same(cert.Key, signer.PublicKey()) {
				if s, err := ssh.NewCertSigner(cert, signer); err == nil {
					certified = append(certified, s)
				}
			}
		}
	}
	return certified
}

func readPublic(path string) ssh.PublicKey {
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

func same(a, b ssh.PublicKey) bool { return bytes.Equal(a.Marshal(), b.Marshal()) }

// String tells what was tried.
func (ids *identities) String() string { return strings.Join(ids.tried, "; ") }

// tooManyKeys is what sshd says at MaxAuthTries.
const tooManyKeys = "Too many authentication failures"

// asking are the methods in which somebody is asked, which nobody is here.
var asking = []struct{ method, wants string }{
	{"password", "a password"},
	{"keyboard-interactive", "answers (keyboard-interactive)"},
}

// refusal tells why a host that was reached refuses the login, and what to do.
func (ids *identities) refusal(login string, tooMany bool) string {
	var asks []string
	for _, a := range asking {
		if slices.Contains(ids.wanted, a.method) {
			asks = append(asks, a.wants)
		}
	}
	byHand := strings.Join(asks, " or ")
	switch {
	case tooMany:
		return fmt.Sprintf("%s refused several of our keys and did not wait for the rest (MaxAuthTries of sshd_config); tried: %s; name the right one with IdentityFile, and set IdentitiesOnly, in ssh_config", login, ids)
	case len(ids.passed) > 0 && byHand != "":
		return fmt.Sprintf("%s takes our key, but then wants %s as well (AuthenticationMethods of sshd_config), which nobody can give here: let a key be enough for this user", login, byHand)
	case byHand != "" && !slices.Contains(ids.wanted, "publickey"):
		return fmt.Sprintf("%s takes no keys, only %s, which nobody can give here: allow keys on the host (PubkeyAuthentication of sshd_config) and add yours with ssh-copy-id", login, byHand)
	case byHand != "":
		return fmt.Sprintf("%s accepts none of our keys; tried: %s; allow one of them on the host (ssh-copy-id), or choose another with IdentityFile in ssh_config; it would take %s, too, but nobody is asked here", login, ids, byHand)
	}
	return fmt.Sprintf("%s accepts none of our keys; tried: %s; allow one of them on the host, or choose another with IdentityFile in ssh_config", login, ids)
}
