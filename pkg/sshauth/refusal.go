package sshauth

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/colmena-go/colmena-go/pkg/ask"
)

// Explain says why a handshake failed that ended with err, where the login is why: with
// [ErrAuth], of which [Vain] may be true, or with [ErrAgent]. Otherwise it is nil.
func (l *Login) Explain(err error) error {
	tooMany := strings.Contains(err.Error(), tooManyKeys)
	switch {
	case l.agentSilent():
		return fmt.Errorf("%w: the agent at %s did not sign for %s: confirm its prompt or touch the key, restart it, or set IdentityAgent to none in ssh_config",
			ErrAgent, l.socket, l.Account)
	case tooMany, strings.Contains(err.Error(), "unable to authenticate"), l.methods.refused(err): // x/crypto has no sentinels
		return fmt.Errorf("%w: %s", l.methods.kind(), l.refusal(l.Account, tooMany))
	}
	return nil
}

// String tells what was tried.
func (l *Login) String() string { return strings.Join(l.tried, "; ") }

// tooManyKeys is what sshd says at MaxAuthTries.
const tooManyKeys = "Too many authentication failures"

// asking are the methods in which somebody is asked, by a person or a program.
var asking = []struct{ method, wants string }{
	{"password", "a password"},
	{"keyboard-interactive", "answers (keyboard-interactive)"},
}

// refusal tells why a host that was reached refuses the login, and what to do.
func (l *Login) refusal(login string, tooMany bool) string {
	var asks []string
	for _, a := range asking {
		if slices.Contains(l.wanted, a.method) {
			asks = append(asks, a.wants)
		}
	}
	byHand := strings.Join(asks, " or ")
	switch {
	case len(l.mistyped) > 0 && !tooMany && !l.methods.told:
		return fmt.Sprintf("%s accepts nothing we can offer: %s; run again and enter the right passphrase, or add the key to the agent with ssh-add", login, l)
	case byHand != "" && l.methods.wrong && l.methods.typed == nil && !tooMany:
		return fmt.Sprintf("%s accepts none of our keys (tried: %s), and the password was wrong", login, l)
	case l.methods.typed != nil && !tooMany:
		return fmt.Sprintf("%s accepts none of our keys (tried: %s), and %v", login, l, l.methods.typed)
	case byHand != "" && l.cannotAsk == nil && !tooMany:
		return fmt.Sprintf("%s accepts none of our keys (tried: %s), nor the password or answers that it was told", login, l)
	case tooMany:
		return fmt.Sprintf("%s refused several of our keys and did not wait for the rest (MaxAuthTries of sshd_config); tried: %s; name the right one with IdentityFile, and set IdentitiesOnly, in ssh_config", login, l)
	case len(l.passed) > 0 && byHand != "":
		return fmt.Sprintf("%s takes our key, but then wants %s as well (AuthenticationMethods of sshd_config), which %s: let a key be enough for this user", login, byHand, l.why())
	case byHand != "" && !slices.Contains(l.wanted, "publickey"):
		return fmt.Sprintf("%s takes no keys, only %s, which %s: allow keys on the host (PubkeyAuthentication of sshd_config) and add yours with ssh-copy-id", login, byHand, l.why())
	case byHand != "":
		return fmt.Sprintf("%s accepts none of our keys; tried: %s; allow one of them on the host (ssh-copy-id), or choose another with IdentityFile in ssh_config; it would take %s, too, which %s", login, l, byHand, l.why())
	}
	return fmt.Sprintf("%s accepts none of our keys; tried: %s; allow one of them on the host, choose another with IdentityFile in ssh_config, or log in as another user", login, l)
}

// why is what keeps people from being asked, for errors.
func (l *Login) why() string {
	if l.cannotAsk == nil {
		return "nobody can give here"
	}
	return fmt.Sprintf("nobody can give here (%v)", l.cannotAsk)
}

// refused reports whether an error of the handshake is the host's last word on who we
// are, and not the end of the connection.
func (m *methods) refused(err error) bool {
	var network net.Error
	return m.began && !errors.As(err, &network) && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET)
}

// errTold: the host refuses a password or answers that it was told.
var errTold = errors.New("the host refused the password or answer")

// Vain reports whether an error of a login is one that further attempts do not mend, and
// that may lock an account with them: a password or an answer was refused, or not given.
func Vain(err error) bool {
	for _, why := range []error{errTold, errToldOften, errAsksTooMuch, ask.ErrNoAnswer} {
		if errors.Is(err, why) {
			return true
		}
	}
	return false
}

// kind is ErrAuth, and what else [Vain] is to know.
func (m *methods) kind() error {
	switch {
	case Vain(m.typed):
		return &vainLogin{m.typed}
	case m.told:
		return &vainLogin{errTold}
	}
	return ErrAuth
}

// vainLogin reads as ErrAuth, and is why as well.
type vainLogin struct{ why error }

func (*vainLogin) Error() string     { return ErrAuth.Error() }
func (e *vainLogin) Unwrap() []error { return []error{ErrAuth, e.why} }
