package sshauth

import (
	"bytes"
	"errors"

	"github.com/colmena-go/colmena-go/pkg/ask"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// account is one on a host. Addresses are not enough to tell hosts apart: behind two
// jump hosts there may be two of the same.
type account struct{ node, login string }

// told is what an account was told in a run, over however many connections.
type told struct {
	password secret.Secret // that it took; empty: none
	key      []byte        // the host key that was shown when it took that
	times    int           // passwords and answers since it last let us in
	over     error         // why nobody is asked for it any more
}

// toldAtMost is how many wrong passwords or answers an account is told, unless
// NumberOfPasswordPrompts is more.
const toldAtMost = 3

// errToldOften: the account was told too much that did not let us in.
var errToldOften = errors.New("none of what it was told lets us in")

func (c *Credentials) of(a account) *told {
	if c.accounts[a] == nil {
		c.accounts[a] = &told{}
	}
	return c.accounts[a]
}

// left is how many more passwords or answers an account may be told, of so many in one
// connection. It fails where that is none.
func (c *Credentials) left(a account, prompts int) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.of(a)
	if t.over != nil {
		return 0, t.over
	}
	left := max(prompts, toldAtMost) - t.times
	if left <= 0 {
		return 0, errToldOften
	}
	return min(prompts, left), nil
}

// telling counts what the account is about to be told.
func (c *Credentials) telling(a account) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of(a).times++
}

// end remembers that nobody answers for the account.
func (c *Credentials) end(a account, err error) {
	if !errors.Is(err, ask.ErrNoAnswer) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of(a).over = err
}

// password is a copy of what the account took before from a host of this key.
func (c *Credentials) password(a account, key []byte) (secret.Secret, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.of(a)
	if t.password.Len() == 0 || !bytes.Equal(t.key, key) {
		return secret.Secret{}, false
	}
	return secret.New(bytes.Clone(t.password.Reveal())), true
}

// took is told that the account lets us in, with a password if it is not empty.
func (c *Credentials) took(a account, password secret.Secret, key []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.of(a)
	t.times = 0
	if password.Len() > 0 {
		t.password.Wipe()
		t.password, t.key = password, key
	}
}

// refused forgets a password that the account takes no more.
func (c *Credentials) refused(a account, password secret.Secret) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.of(a); t.password.Len() > 0 && t.password.Equal(password) {
		t.password.Wipe()
		t.password = secret.Secret{}
	}
}
