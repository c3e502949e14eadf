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

	"github.com/colmena-go/colmena-go/pkg/knownhosts"
)

// identities is everything we can sign with, and what we should tell the user
// when none of it opens the door.
type identities struct {
	signers []ssh.Signer
	late    []ssh.Signer // of encrypted files: whoever uses one asks for its passphrase
	tried   []string

	node, login string // for people
	credentials *Credentials
	cannotAsk   error        // why people are not asked
	say         func(string) // tells them
	waited      bool         // people were waited for
	methods     *methods
	lost        func() error // the connection's end, which x/crypto takes for a refusal; nil
	ctx         context.Context
	deadline    func(wait bool) // puts the handshake's off
	files       []string        // that late ones are of
	socket      string          // of the agent
	agent       *agentConn      // nil where there is none
	mistyped    []string        // files whose passphrases were wrong

	wanted, passed []string // methods that the host asked for last, and those it was content with
}

// gather makes one merged list: x/crypto uses only the first publickey method
// it is given.
func gather(ctx context.Context, cfg Config, s settings) (*identities, error) {
	ids := newIdentities(ctx, cfg, s)
	fromAgent := ids.askAgent(ctx, s)
	wanted, files := ids.readFiles(s.IdentityFiles, fromAgent)
	if s.IdentitiesOnly {
		fromAgent = slices.DeleteFunc(fromAgent, func(signer ssh.Signer) bool {
			return !slices.ContainsFunc(wanted, func(key ssh.PublicKey) bool { return knownhosts.Same(key, signer.PublicKey()) })
		})
	}
	certificates := slices.Clone(s.CertificateFiles)
	for _, path := range s.IdentityFiles { // which ssh looks for by itself (ssh_config(5), CertificateFile)
		if _, ok := readPublic(path + "-cert.pub").(*ssh.Certificate); ok {
			certificates = append(certificates, path+"-cert.pub")
		}
	}
	for i, signer := range fromAgent {
		if touched(signer.PublicKey()) {
			fromAgent[i] = touchSigner{signer, ids}
		}
	}
	ids.signers = append(ids.withCertificates(certificates, append(slices.Clone(fromAgent), files...)),
		append(fromAgent, files...)...)
	ids.late = append(ids.withCertificates(certificates, ids.late), ids.late...)
	return ids, ids.unlockOnly()
}

// unlockOnly asks for the passphrase of a key that is the only one before the host is
// even connected to: without it there is nothing to do there.
func (ids *identities) unlockOnly() error {
	if len(ids.signers) > 0 || len(ids.files) != 1 {
		return nil
	}
	if _, err := ids.unlocked(ids.files[0]); err != nil && ids.ctx.Err() != nil {
		return err
	}
	return nil
}

func newIdentities(ctx context.Context, cfg Config, s settings) *identities {
	ids := &identities{
		ctx: ctx, node: cfg.known(), login: login(s),
		credentials: cfg.Credentials, cannotAsk: cfg.Credentials.can(), say: cfg.Note, deadline: func(bool) {},
	}
	if s.BatchMode {
		ids.cannotAsk = errors.New("ssh_config says BatchMode")
	}
	return ids
}

// pause puts the handshake's deadlines off until resume is called: people take their
// time.
func (ids *identities) pause() (resume func()) {
	ids.waited = true
	ids.deadline(true)
	return func() { ids.deadline(false) }
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
			held := public != nil && slices.ContainsFunc(fromAgent, func(s ssh.Signer) bool { return knownhosts.Same(public, s.PublicKey()) })
			if !held {
				ids.lock(path, public)
			}
		case bytes.Contains(text, []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----")):
			ids.note("%s is encrypted in a form that is not read here (PKCS #8): convert it with ssh-keygen -p -f %[1]s", path)
		case public != nil && touched(public):
			ids.note("%s is of a security key: add it to the agent with ssh-add", path)
		default:
			if key := readPublic(path); key != nil { // IdentityFile may name a public key
				wanted = append(wanted, key)
				continue
			}
			ids.note("%s is not a private key", path)
		}
	}
	return wanted, signers
}

// lock takes an encrypted key file that the agent does not have.
func (ids *identities) lock(path string, public ssh.PublicKey) {
	switch {
	case ids.cannotAsk != nil:
		ids.note("%s is encrypted, and its passphrase is not asked for (%v): add it to the agent with ssh-add", path, ids.cannotAsk)
		return
	case public == nil: // nobody knows what to offer without the passphrase
		signer, err := ids.unlocked(path)
		if err == nil {
			ids.late = append(ids.late, signer)
		}
		return
	}
	ids.note("%s", path)
	ids.files = append(ids.files, path)
	ids.late = append(ids.late, lateSigner{public, func() (ssh.Signer, error) { return ids.unlocked(path) }})
}

// stays notes why a key file could not be used, in the place of the file alone. A key
// may be wanted several times.
func (ids *identities) stays(path string, why error) {
	told := fmt.Sprintf("%s: %v", path, why)
	if errors.Is(why, errMistyped) {
		told = fmt.Sprintf("the passphrase of %s %v", path, why)
		if !slices.Contains(ids.mistyped, path) {
			ids.mistyped = append(ids.mistyped, path)
		}
	}
	ids.tried = slices.DeleteFunc(ids.tried, func(note string) bool { return note == path || note == told })
	ids.tried = append(ids.tried, told)
}

// withCertificates returns a signer for each certificate whose key is at hand.
func (ids *identities) withCertificates(paths []string, signers []ssh.Signer) []ssh.Signer {
	var certified []ssh.Signer
	for _, path := range paths {
		cert, ok := readPublic(path).(*ssh.Certificate)
		if !ok {
			ids.note("%s is not a certificate", path)
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

// String tells what was tried.
func (ids *identities) String() string { return strings.Join(ids.tried, "; ") }

// tooManyKeys is what sshd says at MaxAuthTries.
const tooManyKeys = "Too many authentication failures"

// asking are the methods in which somebody is asked, by a person or a program.
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
	case len(ids.mistyped) > 0 && !tooMany && (ids.methods == nil || !ids.methods.told):
		return fmt.Sprintf("%s lets us in with nothing that we have: %s; run again and enter the right passphrase, or add the key to the agent with ssh-add", login, ids)
	case byHand != "" && ids.methods != nil && ids.methods.wrong && ids.methods.typed == nil && !tooMany:
		return fmt.Sprintf("%s accepts none of our keys (tried: %s), and the password was wrong", login, ids)
	case ids.methods != nil && ids.methods.typed != nil && !tooMany:
		return fmt.Sprintf("%s accepts none of our keys (tried: %s), and %v", login, ids, ids.methods.typed)
	case byHand != "" && ids.cannotAsk == nil && !tooMany:
		return fmt.Sprintf("%s accepts none of our keys (tried: %s), nor the password or answers that it was told", login, ids)
	case tooMany:
		return fmt.Sprintf("%s refused several of our keys and did not wait for the rest (MaxAuthTries of sshd_config); tried: %s; name the right one with IdentityFile, and set IdentitiesOnly, in ssh_config", login, ids)
	case len(ids.passed) > 0 && byHand != "":
		return fmt.Sprintf("%s takes our key, but then wants %s as well (AuthenticationMethods of sshd_config), which %s: let a key be enough for this user", login, byHand, ids.why())
	case byHand != "" && !slices.Contains(ids.wanted, "publickey"):
		return fmt.Sprintf("%s takes no keys, only %s, which %s: allow keys on the host (PubkeyAuthentication of sshd_config) and add yours with ssh-copy-id", login, byHand, ids.why())
	case byHand != "":
		return fmt.Sprintf("%s accepts none of our keys; tried: %s; allow one of them on the host (ssh-copy-id), or choose another with IdentityFile in ssh_config; it would take %s, too, which %s", login, ids, byHand, ids.why())
	}
	return fmt.Sprintf("%s accepts none of our keys; tried: %s; allow one of them on the host, or choose another with IdentityFile in ssh_config", login, ids)
}
