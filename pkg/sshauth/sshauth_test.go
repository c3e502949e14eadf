package sshauth

import (
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/secret"
)

// How all this opens doors is tested where they are: see pkg/remote.

func TestKeyFilesThatDoNotExistAreNamed(t *testing.T) {
	for want, paths := range map[string][]string{
		"the key file /no/a does not exist":         {"/no/a"},
		"none of the key files /no/a, /no/b exists": {"/no/a", "/no/b"},
	} {
		l := &Login{}
		if l.readFiles(paths, nil); l.String() != want {
			t.Errorf("tried %q, want %q", l, want)
		}
	}
}

func TestPasswordsAreOverwritten(t *testing.T) {
	var known []secret.Secret
	overwritten := func(when string) {
		t.Helper()
		for _, password := range known {
			if strings.Trim(string(password.Reveal()), "\x00") != "" {
				t.Errorf("%s: %q is kept", when, password.Reveal())
			}
		}
	}
	c, a, key := NewCredentials(nil), account{"web", "ops@web"}, []byte("key")
	take := func(text string) {
		password := secret.New([]byte(text))
		known = append(known, password)
		c.took(a, password, key)
	}
	take("old")
	again, ok := c.password(a, key)
	if !ok {
		t.Fatal("it is not known")
	}
	c.refused(a, again)
	overwritten("refused later")
	take("older")
	take("new")
	c.Wipe()
	overwritten("at the end")
	if _, ok := c.password(a, key); ok {
		t.Error("a password is known after the end")
	}
}
