package nixbuild

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/nix"
)

// Cache is a store from which hosts fetch, so that a closure leaves this machine
// once for all of them. What is asked for together goes in one copy, one after the
// other: nothing goes twice.
type Cache struct {
	tool nix.Tool
	ctx  context.Context
	all  *sync.WaitGroup
	url  string // whatever `nix copy --to` takes
	env  []string
	puts together[*put]
}

// put is one closure that is to be in the cache.
type put struct {
	path   string
	output func(line string)
	done   chan error
}

// Cache returns the store of a URL, whose copies end with the Builder. Where Nix reaches
// it with ssh, that gets the options of sshConfig, unless the user has set some.
func (b *Builder) Cache(url string, sshConfig ...string) *Cache {
	c := &Cache{tool: b.tool, ctx: b.ctx, all: &b.all, url: url}
	if len(sshConfig) > 0 && os.Getenv(sshOptions) == "" {
		c.env = append(os.Environ(), sshOptions+"="+strings.Join(sshConfig, " "))
	}
	return c
}

// sshOptions is the variable of Nix that its ssh stores obey (nix-copy-closure(1)).
const sshOptions = "NIX_SSHOPTS"

// Put returns when the cache has the closure of a path. It fails with what Nix said,
// without logins.
func (c *Cache) Put(ctx context.Context, path string, output func(line string)) error {
	p := &put{path, output, make(chan error, 1)}
	c.puts.ask(p, c.all, c.work)
	select {
	case err := <-p.done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// work copies for those who ask together.
func (c *Cache) work(puts []*put) {
	for puts := range slices.Chunk(puts, mostPaths) {
		err := c.copy(puts)
		for _, p := range puts {
			if err != nil && len(puts) > 1 && c.ctx.Err() == nil {
				p.done <- c.copy([]*put{p}) // one may be to blame alone
			} else {
				p.done <- err
			}
		}
	}
}

// copy is one copy; the first that it is for hears what Nix says.
func (c *Cache) copy(puts []*put) (err error) {
	defer crash.Recover(&err)
	args := []string{"copy", "--no-check-sigs", "--to", c.url}
	for _, p := range puts {
		args = append(args, p.path)
	}
	cmd := c.tool.Nix(c.ctx, args...)
	cmd.Env = c.env
	if err := c.tool.Run(c.ctx, cmd, nix.Masked(puts[0].output)); err != nil {
		err = fmt.Errorf("copying to the cache %s: %w", nix.WithoutLogins(c.url), err)
		if unknownStore.MatchString(err.Error()) {
			scheme, _, _ := strings.Cut(c.url, ":")
			err = fmt.Errorf("%w\nthis machine's Nix does not support %s:// stores (Debian's Nix has no s3://, for example)", err, scheme)
		}
		return err
	}
	return nil
}

// unknownStore is what Nix says of an address of a kind that it was built without.
var unknownStore = regexp.MustCompile(`don't know how to open Nix store`)

// Signers are the names of the keys that the cache's copy of a path is signed with.
func (c *Cache) Signers(ctx context.Context, path string) (names []string, err error) {
	cmd := c.tool.Nix(ctx, "path-info", "--json", "--store", c.url, path)
	cmd.Env = c.env
	text, err := c.tool.Printed(ctx, cmd, nil)
	if err != nil {
		return nil, err
	}
	type info struct{ Signatures []string }
	var infos []info // before 2.19
	if json.Unmarshal(text, &infos) != nil {
		var byPath map[string]info
		if err := json.Unmarshal(text, &byPath); err != nil {
			return nil, errors.New("nix path-info answers no JSON that is known")
		}
		for _, i := range byPath {
			infos = append(infos, i)
		}
	}
	for _, i := range infos {
		for _, signature := range i.Signatures {
			name, _, _ := strings.Cut(signature, ":")
			names = append(names, shortLine(name))
		}
	}
	return names, nil
}

// untrusted is what a host's Nix says of a path whose signature it does not trust.
var untrusted = regexp.MustCompile(`(?i)trusted-public-keys|lacks a (valid )?signature`)

// ErrUntrusted: the host trusts no key that the cache's paths are signed with.
var ErrUntrusted = errors.New("the host trusts none of the keys that sign this cache")
