package upload

import (
	"context"
	"errors"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// noSize is that of no file.
const noSize = -1

// Survey tells how a host has a node's keys, and what of the node's it has that is no longer
// declared. Where the keys are resolved they are compared with their contents, and otherwise
// with what the host remembers, for which no content is needed. Nothing is changed, as by
// [Look]; nothing secret goes there.
func Survey(ctx context.Context, host hostscript.Runner, req Request, resolved bool) ([]plan.KeyStanding, error) {
	c, stop := begin(ctx, host, lookLimit, errUntold)
	defer stop()
	seen, err := c.look(req, noStage, nil)
	if err != nil {
		return nil, err
	}
	var keys []hive.Key
	var wanted []plan.WantedKey
	for _, item := range req.Keys {
		want := plan.WantedKey{Key: item.Key, Size: noSize}
		if entries := seen.Memory.Of(item.Key.Path()); !resolved && len(entries) > 0 {
			want.Size = entries[len(entries)-1].Size
		}
		if resolved {
			want.Size, want.Digest = int64(item.Content.Len()), item.Content.Digest()
		}
		keys, wanted = append(keys, item.Key), append(wanted, want)
	}
	there := plan.Observed{}
	if len(wanted) > 0 {
		if there, err = c.lookAgain(byDirectory(wanted)); err != nil {
			return nil, err
		}
	}
	there.Users, there.Groups, there.Memory = seen.Users, seen.Groups, seen.Memory
	list := plan.StandingOf(wanted, resolved, there)
	stale := plan.StaleKeys(req.Node, keys, &seen.Memory)
	if len(stale) > 0 {
		left, err := c.lookAgain(byDirectory(stale))
		var refused *refusal
		switch {
		case err == nil:
			list = append(list, plan.StandingOfStale(stale, keys, there, left, &seen.Memory)...)
		case errors.As(err, &refused): // somebody else has a place where they were
			return list, nil
		default:
			return nil, err
		}
	}
	c.send(words(nil).bytes())
	return list, nil
}
