package cli

import (
	"context"
	"fmt"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

// What the sources of keys need of Nix and of git.

// buildForKeys builds the programs of keyCommands, and files, that are written as
// paths in the store.
func (d *deployment) buildForKeys(ctx context.Context, node hive.Node) error {
	for _, key := range node.Keys {
		if len(key.Builds) == 0 {
			continue
		}
		log := d.tool.Log.With().Str("node", node.Name).Logger()
		if err := d.tool.Realise(ctx, key.Builds, func(line string) { log.Debug().Msg(line) }); err != nil {
			return fmt.Errorf("what deployment.keys.%q needs on this machine: %w", key.Attr, err)
		}
	}
	return nil
}

// seeTracked tells of files that a flake means and does not hold.
func (d *deployment) seeTracked(node hive.Node) error {
	for _, key := range node.Keys {
		if file := d.source.Untracked(key.File); file != "" {
			return fmt.Errorf("deployment.keys.%q.keyFile: the flake does not hold %s, as git does not track it: write the path as a quoted, absolute one, so that it need not (git add would have Nix copy the secret into its store)", key.Attr, file)
		}
	}
	return nil
}
