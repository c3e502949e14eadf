package sshauth

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/colmena-go/colmena-go/pkg/ask"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// Asker is who asks people; [ask.Asker] is one.
type Asker interface {
	Can(kind ask.Kind) error
	Ask(ctx context.Context, q ask.Question) (secret.Secret, error)
}

// Credentials are what people tell or do to let us in, shared by the connections of
// a deployment: a passphrase is asked for once, whoever needs its key; a password of a
// host is for that host; and security keys are touched for one host at a time. All
// stays in memory.
type Credentials struct {
	asker Asker
	touch chan struct{} // who has a security key sign

	mu       sync.Mutex
	keys     map[string]*lockedKey // by path
	locals   map[string]*local     // by what the ssh program calls them
	accounts map[account]*told
}

// NewCredentials returns those of a deployment; nil asks nobody.
func NewCredentials(asker Asker) *Credentials {
	return &Credentials{
		asker: asker, touch: make(chan struct{}, 1),
		keys: map[string]*lockedKey{}, locals: map[string]*local{}, accounts: map[account]*told{},
	}
}

// Wipe overwrites the passwords.
func (c *Credentials) Wipe() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.accounts {
		t.password.Wipe()
	}
	clear(c.accounts)
	for _, k := range c.locals {
		k.answer.Wipe()
	}
	clear(c.locals)
}

// can says why nobody can be asked for what lets us in, or nil.
func (c *Credentials) can() error {
	if c == nil || c.asker == nil {
		return ask.ErrNobody
	}
	return c.asker.Can(ask.Login)
}

// lockedKey is an encrypted key file.
type lockedKey struct {
	path string
	turn chan struct{} // who asks; the others learn what came of it

	signer ssh.Signer
	err    error // why it stays locked
}

func (c *Credentials) key(path string) *lockedKey {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys[path] == nil {
		c.keys[path] = &lockedKey{path: path, turn: make(chan struct{}, 1)}
	}
	return c.keys[path]
}

// passphraseTries is how often a passphrase is asked for, as by ssh(1).
const passphraseTries = 3

// unlock asks for the passphrase of a key file for a node, unless that is known to be
// of no use. It fails with [errLocked], [errMistyped] or the cause of ctx.
func (c *Credentials) unlock(ctx context.Context, path, node string) (ssh.Signer, error) {
	k := c.key(path)
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if k.signer == nil && k.err == nil {
		signer, err := c.askPassphrase(ctx, path, node)
		if ctx.Err() != nil && err != nil {
			return nil, context.Cause(ctx) // others may ask again
		}
		k.signer, k.err = signer, err
	}
	return k.signer, k.err
}

// Why a key stays locked: its passphrase was not given, or only wrong ones were.
var (
	errLocked   = errors.New("its passphrase was not given")
	errMistyped = fmt.Errorf("was wrong %d times", passphraseTries)
)

func (c *Credentials) askPassphrase(ctx context.Context, path, node string) (ssh.Signer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errLocked, err)
	}
	defer clear(text)
	question := "passphrase of " + path
	for range passphraseTries {
		passphrase, err := c.asker.Ask(ctx, ask.Question{Who: node, Text: question})
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errLocked, err)
		}
		if passphrase.Len() == 0 { // as for ssh: on to the next key
			return nil, errLocked
		}
		signer, err := ssh.ParsePrivateKeyWithPassphrase(text, passphrase.Reveal())
		passphrase.Wipe()
		if err == nil {
			return signer, nil
		}
		question = "it was wrong; passphrase of " + path
	}
	return nil, errMistyped
}
