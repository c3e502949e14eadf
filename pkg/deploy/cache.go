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

// fromCache has the host fetch what it lacks, and returns that. What it lacks still is
// copied directly, once told has been told of it. Only an interrupt, or a host that no
// longer answers, is a failure.
func (p *pushing) fromCache(ctx context.Context, paths []string) (lacked []string, told func(lacks []string), err error) {
	store := p.tools.Store(ctx, p.host, p.roots, p.output)
	lacked, err = store.Lacks(paths)
	store.Close()
	if err != nil || len(lacked) == 0 {
		return nil, nil, err
	}
	p.begin("the host fetches from " + p.opts.CacheFrom)
	why := p.tools.FromCache(ctx, p.host, p.node, p.output)
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	return lacked, func(lacks []string) { p.tellCached(lacked, lacks, why) }, nil
}

// tellCached tells what became of what the host lacked.
func (p *pushing) tellCached(lacked, lacks []string, why error) {
	if fetched := len(lacked) - len(lacks); fetched > 0 {
		p.note(fmt.Sprintf("the host fetched %s in %s", event.Size(p.bytes(lacked)-p.bytes(lacks)), paths(fetched)))
	}
	if len(lacks) > 0 {
		p.warn(fmt.Sprintf("the host could not fetch %s from %s; copying directly: %v", paths(len(lacks)), p.opts.CacheFrom, why))
		p.begin("copying " + p.node.Toplevel.OutPath)
	}
}
