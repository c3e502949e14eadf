package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/deploy"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nix"
	"github.com/colmena-go/colmena-go/pkg/nixbuild"
)

// via is the store that hosts fetch from. Both URLs may hold a login, and so are
// shown to nobody as they are.
type via struct{ to, from string }

// noStore is the --via that leaves meta.binaryCache out.
const noStore = "none"

// seeVia looks at the flags, before anything is evaluated.
func seeVia(c *cli.Context) error {
	if c.String("via") == noStore && c.IsSet("via-from") {
		return usage("--via none copies to no store, so that hosts cannot fetch from --via-from: leave one of the two out")
	}
	if c.String("via-from") == noStore {
		return usage("--via-from is the address of a store; --via none is what leaves it out")
	}
	for _, name := range []string{"via", "via-from"} {
		if text := c.String(name); c.IsSet(name) && text != noStore {
			if err := storeURL(text); err != nil {
				return usage("--%s %v", name, err)
			}
		}
	}
	return nil
}

// via is the store that systems go through, if any.
func (d *deployment) via(c *cli.Context, meta hive.Meta) (via, error) {
	v := via{meta.BinaryCache, meta.BinaryCacheFrom}
	if c.IsSet("via") {
		v = via{to: c.String("via")}
	}
	if c.IsSet("via-from") {
		v.from = c.String("via-from")
	}
	switch {
	case v.to == noStore, v.to == "" && v.from == "":
		return via{}, nil
	case v.to == "":
		return v, usage("there is a store for hosts to fetch from, but none to copy to: set meta.binaryCache, or pass --via")
	case v.from == "":
		v.from = asHostsKnow(v.to)
	}
	for _, text := range []string{v.to, v.from} {
		if err := storeURL(text); err != nil {
			return v, fmt.Errorf("meta.binaryCache or meta.binaryCacheFrom %w", err)
		}
	}
	d.Cache, d.CacheFrom = nix.WithoutLogins(v.to), nix.WithoutLogins(v.from)
	return v, nil
}

// storeURL looks whether a text can be the address of a store. Nix would take some
// others for stores of this machine. The error does not quote it.
func storeURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
		return errors.New("holds a space or a sign that no address has: write it as %20, say")
	case err != nil || u.Scheme == "" || u.Host == "" && u.Path == "":
		return errors.New("must be the address of a store, such as s3://bucket, https://host or file:///directory")
	}
	return nil
}

// ofWriters are settings of a store's address for who writes there, or files of this
// machine, which a host would look for in vain (nix3-help-stores).
var ofWriters = []string{"secret-key", "secret-keys", "compression", "compression-level", "parallel-compression", "write-nar-listing", "index-debug-info", "local-nar-cache", "ssh-key"}

// asHostsKnow is the address of a store without what concerns this machine alone.
func asHostsKnow(to string) string {
	address, query, found := strings.Cut(to, "?")
	if !found {
		return to
	}
	settings := slices.DeleteFunc(strings.Split(query, "&"), func(setting string) bool {
		name, _, _ := strings.Cut(setting, "=")
		return slices.Contains(ofWriters, name)
	})
	if len(settings) == 0 {
		return address
	}
	return address + "?" + strings.Join(settings, "&")
}

// wire has a deployment use the store.
func (v via) wire(tools *deploy.Tools, builder *nixbuild.Builder, file configFile, substitute bool) {
	if v.to == "" {
		return
	}
	var ssh []string
	if file.path != "" {
		ssh = []string{"-F", file.path}
	}
	cache := builder.Cache(v.to, ssh...)
	tools.ToCache = func(ctx context.Context, node hive.Node, output func(string)) error {
		err := cache.Put(ctx, node.Toplevel.OutPath, output)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("%w\nhint: --via none copies to the hosts directly", err)
		}
		return err
	}
	tools.FromCache = func(ctx context.Context, host deploy.Host, node hive.Node, output func(string)) error {
		err := nixbuild.FetchOnHost(ctx, host, nixbuild.HostFetch{Path: node.Toplevel.OutPath, From: v.from, Substitute: substitute, Output: output})
		if errors.Is(err, nixbuild.ErrUntrusted) {
			return untrusted(ctx, cache, node.Toplevel.OutPath)
		}
		return err
	}
}

// untrusted says which key a host does not trust, and what to set there.
func untrusted(ctx context.Context, cache *nixbuild.Cache, path string) error {
	names, err := cache.Signers(ctx, path)
	if err == nil && len(names) == 0 {
		return errors.New("what is there is not signed: set secret-key-files in this machine's nix.conf(5), or add ?secret-key=FILE to the store's address, and have the host trust that key (nix.settings.trusted-public-keys)")
	}
	key := "key"
	if len(names) > 0 {
		key = "key " + strings.Join(names, ", ")
	}
	return fmt.Errorf("the host does not trust the %s that it is signed with: add the public key to the host's nix.settings.trusted-public-keys", key)
}
