package sshauth

import (
	"errors"
	"slices"

	"golang.org/x/crypto/ssh"

	"github.com/colmena-go/colmena-go/pkg/ask"
	"github.com/colmena-go/colmena-go/pkg/secret"
	"github.com/colmena-go/colmena-go/pkg/sshconfig"
)

// usualOrder is ssh_config(5)'s PreferredAuthentications, as far as we can.
var usualOrder = []string{"publickey", "keyboard-interactive", "password"}

// methods says how to go on with authenticating: it is x/crypto's AuthCallback.
type methods struct {
	l     *Login
	s     sshconfig.Settings
	keys  [][]ssh.Signer // to be offered, one list after the other
	began bool           // the host has said what it wants
	tries map[string]int // that are left, by method
	typed error          // why nothing more is asked
	told  bool           // the host was told a password or answers

	hostKey func() []byte // that was accepted
	account account
	pending bool          // the host has not judged yet what it was told last
	last    secret.Secret // the password in that
	took    secret.Secret // the password that was right, where more was wanted
	wrong   bool          // a password was refused
	// rounds of questions in the last try of keyboard-interactive; not 0 before the first
	rounds int
}

func newMethods(l *Login, s sshconfig.Settings) *methods {
	return &methods{l: l, s: s, account: account{l.Node, l.Account}}
}

// begin forgets what was tried over another connection, but not what an account was told.
func (m *methods) begin() {
	m.began, m.told, m.wrong, m.pending, m.rounds, m.tries = false, false, false, false, 1, map[string]int{}
	m.forget()
	prompts := m.s.PasswordPrompts
	if m.l.cannotAsk == nil && m.typed == nil {
		prompts, m.typed = m.l.Credentials.left(m.account, prompts)
	}
	m.l.wanted, m.l.passed = nil, nil
	if !m.s.NoPassword {
		m.tries["password"] = prompts
	}
	if !m.s.NoKeyboardInteractive {
		m.tries["keyboard-interactive"] = prompts
	}
	m.offerAgain()
}

// offerAgain has all keys be offered.
func (m *methods) offerAgain() {
	m.keys = nil
	if m.s.NoPublicKey {
		return
	}
	if len(m.l.signers) > 0 {
		m.keys = append(m.keys, m.l.signers)
	}
	for _, signer := range m.l.late { // each alone: a passphrase that is not given ends a list
		m.keys = append(m.keys, []ssh.Signer{signer})
	}
}

// next implements [ssh.ClientAuthCallback].
func (m *methods) next(c *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
	if err := m.l.Lost(); err != nil {
		return nil, err
	}
	content := len(c.PartialSuccessMethods) > len(m.l.passed)
	m.judged(content)
	if content {
		m.offerAgain()
	}
	m.began = true
	m.l.wanted, m.l.passed = c.AllowedMethods, c.PartialSuccessMethods
	order := m.s.PreferredAuthentications
	if len(order) == 0 {
		order = usualOrder
	}
	for _, method := range order {
		if !slices.Contains(c.AllowedMethods, method) {
			continue
		}
		switch {
		case method == "publickey" && len(m.keys) > 0:
			signers := m.keys[0]
			m.keys = m.keys[1:]
			return ssh.PublicKeys(signers...), nil
		case method == "password" && m.mayAsk(method):
			return ssh.PasswordCallback(m.password), nil
		case method == "keyboard-interactive" && m.mayAsk(method):
			return m.challenge(), nil
		}
	}
	return nil, nil // there is nothing else to try
}

// challenge answers one try of keyboard-interactive.
func (m *methods) challenge() ssh.AuthMethod {
	if m.rounds == 0 { // the last try did not come to a question: nor would this one
		m.tries["keyboard-interactive"] = 0
	}
	m.rounds = 0
	return ssh.KeyboardInteractive(func(name, instruction string, questions []string, echos []bool) ([]string, error) {
		m.rounds++
		return m.answers(name+" "+instruction, questions, echos)
	})
}

// mayAsk takes one of the tries that are left.
func (m *methods) mayAsk(method string) bool {
	if m.tries[method] <= 0 || m.typed != nil || m.l.cannotAsk != nil {
		return false
	}
	m.tries[method]--
	return true
}

// password asks for the password of the login, or has the one that the host took
// before.
func (m *methods) password() (string, error) {
	password, known := m.l.Credentials.password(m.account, m.hostKey())
	if !known {
		text := "password of " + m.l.Account
		if m.wrong {
			text = "it was refused; " + text
		}
		var err error
		if password, err = m.ask(ask.Question{Text: text}); err != nil {
			return "", err
		}
	}
	m.tell(password)
	return string(password.Reveal()), nil
}

// tell notes that the host is told something, of which a password may be kept.
func (m *methods) tell(password secret.Secret) {
	m.l.Credentials.telling(m.account)
	m.told, m.pending, m.last = true, true, password
}

// forget overwrites passwords that nothing is known of.
func (m *methods) forget() {
	m.last.Wipe()
	m.took.Wipe()
	m.last, m.took = secret.Secret{}, secret.Secret{}
}

// judged is told what the host made of what it was told last, if anything.
func (m *methods) judged(content bool) {
	if !m.pending {
		return
	}
	m.pending = false
	switch {
	case m.last.Len() == 0:
	case content:
		m.took = m.last
	default:
		m.l.Credentials.refused(m.account, m.last)
		m.last.Wipe()
		m.wrong = true
	}
	m.last = secret.Secret{}
}

// Bounds of what a host may ask in one go (RFC 4256), and how often in one try.
const (
	maxQuestions = 8
	maxRounds    = 8
)

var errAsksTooMuch = errors.New("the host asks too many questions")

// answers has people answer what the host asks. Its words are shown as such: what
// they are about is up to it.
func (m *methods) answers(heading string, questions []string, echos []bool) ([]string, error) {
	if len(questions) > maxQuestions || m.rounds > maxRounds {
		m.typed = errAsksTooMuch
		return nil, errAsksTooMuch
	}
	answers := make([]string, 0, len(questions))
	for i, question := range questions {
		heard := question
		if i == 0 {
			heard = heading + " " + question
		}
		answer, err := m.ask(ask.Question{Text: "answer for " + m.l.Account, Heard: heard, Echo: echos[i]})
		if err != nil {
			return nil, err
		}
		answers = append(answers, string(answer.Reveal()))
		answer.Wipe()
	}
	if len(answers) > 0 && !m.pending { // those of one try are judged together
		m.tell(secret.Secret{})
	}
	return answers, nil
}

// ask asks while the handshake waits.
func (m *methods) ask(q ask.Question) (secret.Secret, error) {
	defer m.l.pause("an answer: " + q.Text)()
	q.Who = m.l.Node
	answer, err := m.l.Credentials.asker.Ask(m.l.ctx, q)
	if err != nil {
		m.typed = err
		m.l.Credentials.end(m.account, err)
	}
	return answer, err
}

// accepted is told that the host lets us in.
func (m *methods) accepted() {
	m.judged(true)
	if m.l.cannotAsk == nil {
		m.l.Credentials.took(m.account, m.took, m.hostKey())
	}
}
