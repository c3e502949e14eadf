// Package sshauth shows a host who we are: with keys of an agent, of files and of
// certificates, and with what people are asked for. It knows what a host may be told,
// how often, and by whom.
package sshauth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/colmena-go/colmena-go/pkg/ask"
	"github.com/colmena-go/colmena-go/pkg/knownhosts"
	"github.com/colmena-go/colmena-go/pkg/secret"
	"github.com/colmena-go/colmena-go/pkg/sshconfig"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrAuth: the host accepted nothing that we have or were told, or wants more than one of it.
	ErrAuth = errors.New("the host refused the login")
	// ErrAgent: the agent does not answer: it may wait for a touch or a confirmation.
	ErrAgent = errors.New("the agent does not answer in time")
)

// Who logs in, and who answers for that.
type Who struct {
	Node        string        // as people know the host
	Account     string        // user@address
	Credentials *Credentials  // nil: nobody is asked
	Say         func(string)  // tells people
	AgentLimit  time.Duration // that an agent may take to list its keys
	// Waits is told for what the login waits, beside the host, until over is called.
	Waits func(what string) (over func())
}

// Can says why nobody is asked for what these settings want, or nil.
func (who Who) Can(s sshconfig.Settings) error {
	if s.BatchMode {
		return errors.New("ssh_config says BatchMode")
	}
	return who.Credentials.can()
}

// Link is the connection over which it is done.
type Link struct {
	Deadline func(wait bool) // puts that of the handshake off, or sets it again
	Lost     func() error    // how it ended, which x/crypto takes for a refusal; or nil
}

// Login is everything that we can show a host, and what to tell people when none of it
// opens the door. It is for one handshake after the other.
type Login struct {
	Who
	Link
	ctx       context.Context
	signers   []ssh.Signer
	late      []ssh.Signer // of encrypted files: whoever uses one asks for its passphrase
	tried     []string
	warnings  []string
	cannotAsk error // why people are not asked
	waited    bool  // people were waited for
	methods   *methods
	files     []string   // that late ones are of
	socket    string     // of the agent
	agent     *agentConn // nil where there is none
	mistyped  []string   // files whose passphrases were wrong

	wanted, passed []string // methods that the host asked for last, and those it was content with
}

// Gather finds what there is for a login with these settings. It makes one merged list:
// x/crypto uses only the first publickey method it is given. The passphrase of a key
// that is the only one is asked for here. It fails with the cause of ctx alone, which
// is that of the whole login. Close it in any case.
func Gather(ctx context.Context, who Who, s sshconfig.Settings) (*Login, error) {
	l := &Login{
		Who: who, Link: Link{Deadline: func(bool) {}, Lost: func() error { return nil }},
		ctx: ctx, cannotAsk: who.Can(s),
	}
	l.methods = newMethods(l, s)
	fromAgent := l.askAgent(ctx, s)
	wanted, files := l.readFiles(s.IdentityFiles, fromAgent)
	if s.IdentitiesOnly {
		fromAgent = slices.DeleteFunc(fromAgent, func(signer ssh.Signer) bool {
			return !slices.ContainsFunc(wanted, func(key ssh.PublicKey) bool { return knownhosts.Same(key, signer.PublicKey()) })
		})
	}
	certificates := slices.Clone(s.CertificateFiles)
	for _, path := range s.IdentityFiles { // which ssh looks for by itself (ssh_config(5), CertificateFile)
		if _, ok := PublicKey(path + "-cert.pub").(*ssh.Certificate); ok {
			certificates = append(certificates, path+"-cert.pub")
		}
	}
	for i, signer := range fromAgent {
		fromAgent[i] = agentSigner{signer, l}
	}
	l.signers = append(l.withCertificates(certificates, append(slices.Clone(fromAgent), files...)),
		append(fromAgent, files...)...)
	l.late = append(l.withCertificates(certificates, l.late), l.late...)
	err := l.unlockOnly()
	l.waited = false // nobody was kept waiting
	return l, err
}

// unlockOnly asks for the passphrase of a key that is the only one before the host is
// even connected to: without it there is nothing to do there.
func (l *Login) unlockOnly() error {
	if len(l.signers) > 0 || len(l.files) != 1 {
		return nil
	}
	if _, err := l.unlocked(l.files[0]); err != nil && l.ctx.Err() != nil {
		return err
	}
	return nil
}

// pause puts the handshake's deadlines off until resume is called, as people take their
// time: what is waited for is theirs.
func (l *Login) pause(what string) (resume func()) {
	l.waited = true
	l.Deadline(true)
	over := l.Waits(what)
	return func() {
		over()
		l.Deadline(false)
	}
}

// Waited reports whether the host had to wait for people.
func (l *Login) Waited() bool { return l.waited }

// CannotAsk says why nobody is asked anything, or nil.
func (l *Login) CannotAsk() error { return l.cannotAsk }

// Ask asks people something else for the same host, as [ask.Asker] does, while the
// handshake waits.
func (l *Login) Ask(q ask.Question) (secret.Secret, error) {
	if l.cannotAsk != nil {
		return secret.Secret{}, l.cannotAsk
	}
	defer l.pause("an answer: " + q.Text)()
	q.Who = l.Node
	return l.Credentials.asker.Ask(l.ctx, q)
}

// Warnings are what people should know of their keys, whatever becomes of the login.
func (l *Login) Warnings() []string { return l.warnings }

// Tried is what there is to show, for people.
func (l *Login) Tried() []string { return l.tried }

// Callback has x/crypto log in so over one connection; hostKey is the key that the host
// has shown.
func (l *Login) Callback(hostKey func() []byte) ssh.ClientAuthCallback {
	l.methods.hostKey = hostKey
	return l.methods.next
}

// Begin is to be called before each handshake.
func (l *Login) Begin(over Link) {
	l.Link = over
	l.methods.begin()
}

// Accepted is to be called when the host has let us in: what it took is kept.
func (l *Login) Accepted() { l.methods.accepted() }

// Refused is to be called when it has not, and says which methods it would take. What it
// was told last is forgotten then.
func (l *Login) Refused() (wanted []string) {
	l.methods.judged(false)
	return l.wanted
}

// Forget overwrites passwords of which nothing is known.
func (l *Login) Forget() { l.methods.forget() }

func (l *Login) note(format string, args ...any) {
	l.tried = append(l.tried, fmt.Sprintf(format, args...))
}
