package sshauth

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"

	"github.com/colmena-go/colmena-go/pkg/ask"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// Questions are those of one ssh program that connects to a host, in its words. What it
// asks of keys here, a passphrase or a PIN, is asked for once in a run: one program after
// the other is told it until one has connected with it, so that a wrong PIN locks no token.
// What it asks for a host is for that host.
type Questions struct {
	who Who

	mu    sync.Mutex
	given map[string]*local // that it was told
	over  error             // why it is told nothing more
	told  map[string]bool   // which accounts were told a password or an answer
}

// local is a secret of a key here.
type local struct {
	turn   chan struct{} // of who has it proven
	answer secret.Secret
	proven bool
	over   error // why nobody is asked for it again
}

// Asks returns the questions of a program. End it with [Questions.Connected] or
// [Questions.Failed].
func Asks(who Who) *Questions {
	return &Questions{who: who, given: map[string]*local{}, told: map[string]bool{}}
}

var (
	// OpenSSH's words. They are the same in every language.
	ofKey      = regexp.MustCompile(`^Enter (passphrase|PIN) for .*: *$`)
	ofPassword = regexp.MustCompile(`^(.+)'s password: *$`)
	ofHostKey  = regexp.MustCompile(`\(yes/no(/\[fingerprint\])?\)\? *$|^Please type 'yes'`)
	// What stands before the words of a host, since OpenSSH 8.5.
	ofHost = regexp.MustCompile(`^\([^\n]+@[^\n]+\) `)
)

// Answer has people answer one question. It fails with [ask.ErrNobody], with
// [ask.ErrNoAnswer], or with the cause of ctx.
func (q *Questions) Answer(ctx context.Context, text string) (secret.Secret, error) {
	plain := strings.TrimRight(strings.Join(strings.Fields(text), " "), ": ")
	theirs := ofHost.MatchString(text) // and not ssh's, whatever they say
	switch {
	case theirs:
	case ofKey.MatchString(text):
		return q.ofKey(ctx, strings.TrimPrefix(plain, "Enter "))
	case ofHostKey.MatchString(text):
		return q.ask(ctx, ask.Question{Text: strings.TrimRight(plain, "? "), Echo: true})
	}
	account := account{q.who.Node, q.who.Account}
	question := ask.Question{Text: "answer for " + q.who.Account, Heard: text}
	if found := ofPassword.FindStringSubmatch(text); found != nil && !theirs { // a jump host has a name of its own
		account.login, question = found[1], ask.Question{Text: "password of " + found[1]}
		if q.toldTo(found[1]) {
			question.Text = "it was refused; " + question.Text
		}
	}
	if _, err := q.who.Credentials.left(account, 1); err != nil {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.over = err
		return secret.Secret{}, err
	}
	answer, err := q.ask(ctx, question)
	if err != nil {
		q.who.Credentials.end(account, err)
		return answer, err
	}
	q.who.Credentials.telling(account)
	q.mu.Lock()
	q.told[account.login] = true
	q.mu.Unlock()
	return answer, nil
}

// toldTo reports whether an account was told a password or an answer.
func (q *Questions) toldTo(login string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.told[login]
}

// Tell tells people what ssh waits for, until ctx is done.
func (q *Questions) Tell(ctx context.Context, text string) {
	q.who.Say(strings.Join(strings.Fields(text), " "))
	defer q.who.Waits("a touch of the security key")()
	<-ctx.Done()
}

func (q *Questions) ask(ctx context.Context, question ask.Question) (secret.Secret, error) {
	q.mu.Lock()
	over := q.over
	q.mu.Unlock()
	if over != nil { // ssh asks three times, whatever it is told
		return secret.Secret{}, over
	}
	defer q.who.Waits("an answer: " + question.Text)()
	question.Who = q.who.Node
	answer, err := q.who.Credentials.asker.Ask(ctx, question)
	if err != nil {
		q.mu.Lock()
		q.over = err
		q.mu.Unlock()
	}
	return answer, err
}

// ofKey is the secret of a key here.
func (q *Questions) ofKey(ctx context.Context, what string) (answer secret.Secret, err error) {
	k := q.who.Credentials.local(what)
	q.mu.Lock()
	again := q.given[what] != nil
	q.mu.Unlock()
	if !again {
		over := q.who.Waits("the " + what)
		select {
		case k.turn <- struct{}{}:
			over()
		case <-ctx.Done():
			over()
			return answer, context.Cause(ctx)
		}
		if k.proven {
			<-k.turn
			return copyOf(k.answer), nil
		}
		if k.over != nil {
			<-k.turn
			return answer, k.over
		}
		q.mu.Lock()
		q.given[what] = k // and has its turn
		q.mu.Unlock()
	}
	text := what
	if again {
		text = "it was wrong; " + what
	}
	answer, err = q.ask(ctx, ask.Question{Text: text})
	if errors.Is(err, ask.ErrNoAnswer) {
		k.over = err
	}
	if err == nil {
		k.answer.Wipe()
		k.answer = copyOf(answer)
	}
	return answer, err
}

// Connected is to be called when ssh has connected: what it was told is right.
func (q *Questions) Connected() {
	q.end(func(k *local) { k.proven = k.answer.Len() > 0 })
	q.who.Credentials.took(account{q.who.Node, q.who.Account}, secret.Secret{}, nil)
}

// Over is why nothing more is answered, or nil.
func (q *Questions) Over() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.over
}

// Failed is to be called when ssh has not connected, and fails with why, of which [Vain]
// may be true.
func (q *Questions) Failed(why error) error {
	q.end(func(k *local) {
		k.answer.Wipe()
		k.answer = secret.Secret{}
	})
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case !errors.Is(why, ErrAuth):
	case Vain(q.over):
		return &vainProgram{why, q.over}
	case len(q.told) > 0:
		return &vainProgram{why, errTold}
	}
	return why
}

// vainProgram reads as an error, and is why as well.
type vainProgram struct {
	error
	why error
}

func (e *vainProgram) Unwrap() []error { return []error{e.error, e.why} }

func (q *Questions) end(each func(*local)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, k := range q.given {
		each(k)
		<-k.turn
	}
	q.given = map[string]*local{}
}

func copyOf(s secret.Secret) secret.Secret {
	return secret.New(append([]byte{}, s.Reveal()...))
}

func (c *Credentials) local(what string) *local {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.locals[what] == nil {
		c.locals[what] = &local{turn: make(chan struct{}, 1)}
	}
	return c.locals[what]
}
