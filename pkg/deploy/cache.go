package deploy

import (
	"context"
	"fmt"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// toCache brings the node's closure to the cache that hosts fetch from.
func (n *nodeRun) toCache(ctx context.Context, step plan.Step) error {
	n.begin("copying " + n.node.Toplevel.OutPath + " to " + step.To)
	return n.tools.ToCache(ctx, n.node, n.output)
}

// fromCache has the host fetch what it lacks, and tells what it lacks still: that is
// copied directly. Only an interrupt, or a host that no longer answers, is a failure.
func (n *nodeRun) fromCache(ctx context.Context, sizes map[string]int64, lacked []string) (lacks []string, err error) {
	n.begin("the host fetches from " + n.opts.CacheFrom)
	why := n.tools.FromCache(ctx, n.host, n.node, n.output)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if lacks, err = n.tools.Lacks(ctx, n.host, nil, lacked); err != nil {
		return nil, err
	}
	if fetched := len(lacked) - len(lacks); fetched > 0 {
		n.note(fmt.Sprintf("the host fetched %s in %s", event.Size(sum(sizes, lacked)-sum(sizes, lacks)), paths(fetched)))
	}
	if len(lacks) > 0 {
		n.warn(fmt.Sprintf("the host could not fetch %s from %s; copying directly: %v", paths(len(lacks)), n.opts.CacheFrom, why))
		n.begin("copying " + n.node.Toplevel.OutPath)
	}
	return lacks, nil
}
