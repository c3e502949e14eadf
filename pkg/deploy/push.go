package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/colmena-go/colmena-go/pkg/activation"
	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// pushing is a closure on its way to a host.
type pushing struct {
	*nodeRun
	sizes map[string]int64 // of every path of the closure, in bytes
	lacks []string         // what is to be copied of it
	sent  atomic.Int64     // bytes
}

// push copies what the host lacks of a closure through its one connection. What
// arrives stays until the node is done with.
func (n *nodeRun) push(ctx context.Context, step plan.Step) error {
	what, roots := n.node.Toplevel.OutPath, []string{n.node.Toplevel.OutPath}
	if step.Recipe {
		what = n.node.Toplevel.DrvPath
		roots = append(roots, what)
	}
	n.begin("copying " + what)
	sizes, err := n.tools.Closure(ctx, what)
	if err != nil {
		return err
	}
	if n.opts.Compare && !step.Recipe {
		n.comparePackages(ctx, sizes)
	}
	n.roots = roots
	p := &pushing{nodeRun: n, sizes: sizes}
	paths := slices.Sorted(maps.Keys(sizes))
	cached := func([]string) {}
	if n.opts.Cache != "" && !step.Recipe {
		if paths, cached, err = p.fromCache(ctx, paths); err != nil || len(paths) == 0 {
			return err
		}
	} else if few := p.fewNew(ctx, paths); len(few) > 0 {
		if err := p.give(ctx, few); err == nil || ctx.Err() != nil || n.lost(err) {
			return err
		}
		// The host has not all that it runs: what it lacks besides, it tells.
	}
	return p.add(ctx, paths, cached)
}

// add copies what the host lacks of the paths; cached is told what that was.
func (p *pushing) add(ctx context.Context, paths []string, cached func(lacked []string)) error {
	store := p.tools.Store(ctx, p.host, p.roots, p.output)
	defer store.Close()
	lacked, err := p.ask(store, paths)
	if err != nil {
		return err
	}
	cached(lacked)
	fetched := len(lacked) - len(p.lacks)
	if len(p.lacks) > 0 {
		done := p.follow()
		err = store.Add(p.lacks, p.copying, p.moved)
		done()
	}
	if err == nil && len(lacked) > 0 {
		p.tellSum(fetched)
	}
	return err
}

// fewBytes are sent rather than asked about: to ask takes a round trip, in which a line
// of 20 Mbit/s carries as many over 50 ms.
const fewBytes = 128 << 10

// fewNew are the paths that the host need not have, as neither the system that it runs
// nor the one that it boots needs them; none if they are many.
func (p *pushing) fewNew(ctx context.Context, paths []string) []string {
	there := map[string]bool{}
	for _, system := range []string{p.had.Current, p.had.Profile} {
		if path.Dir(system) != path.Dir(p.node.Toplevel.OutPath) { // none, or whatever a host may say
			continue
		}
		needed, err := p.tools.Closure(ctx, system)
		if err != nil { // it is not known here
			continue
		}
		for path := range needed {
			there[path] = true
		}
	}
	paths = slices.DeleteFunc(slices.Clone(paths), func(path string) bool { return there[path] })
	if p.bytes(paths) > fewBytes {
		return nil
	}
	return paths
}

// give copies paths without asking first.
func (p *pushing) give(ctx context.Context, paths []string) error {
	store := p.tools.Store(ctx, p.host, p.roots, p.output)
	defer store.Close()
	p.lacks = paths
	done := p.follow()
	lacked, err := store.Give(paths, p.copying, p.moved)
	done()
	if p.lacks = lacked; err == nil && len(lacked) > 0 {
		p.tellSum(0)
	}
	return err
}

func (p *pushing) moved(bytes int) { p.sent.Add(int64(bytes)) }

// ask asks what the host lacks, and has it fetch what it may fetch of that.
func (p *pushing) ask(store Store, paths []string) (lacked []string, err error) {
	if p.opts.Substitute {
		lacked, p.lacks, err = store.Fetch(paths)
		return lacked, err
	}
	p.lacks, err = store.Lacks(paths)
	return p.lacks, err
}

// comparePackages finds out in which packages the system that the host runs and its new
// one differ; sizes has all parts of that, or is nil. What this machine does not know,
// the host is asked. It is no failure if neither knows.
func (n *nodeRun) comparePackages(ctx context.Context, sizes map[string]int64) {
	found, err := n.tools.Compare(ctx, n.host, closure.Pair{
		Old: closure.System{Path: n.had.Current}, New: closure.System{Path: n.node.Toplevel.OutPath, Sizes: sizes}, There: true,
	})
	if err == nil {
		n.result.Packages = found.Packages
	}
}

func (p *pushing) copying(path string) { p.output("copying path " + path) }

// bytes of paths.
func (p *pushing) bytes(paths []string) int64 { return sum(p.sizes, paths) }

func sum(sizes map[string]int64, paths []string) (bytes int64) {
	for _, path := range paths {
		bytes += sizes[path]
	}
	return bytes
}

// progressEvery is how often it is told how far a copy is.
const progressEvery = 250 * time.Millisecond

// follow tells how far the copy is until done is called.
func (p *pushing) follow() (done func()) {
	whole := p.bytes(p.lacks)
	tell := func() {
		p.send(event.Event{Kind: event.Progress, Done: min(p.sent.Load(), whole), Total: whole, Paths: len(p.lacks)})
	}
	ended := make(chan struct{})
	var ticking sync.WaitGroup
	ticking.Go(crash.Guarded(func() {
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			tell()
			select {
			case <-ended:
				return
			case <-tick.C:
			}
		}
	}))
	return func() {
		close(ended)
		ticking.Wait()
	}
}

// tellSum tells what was copied, and how many paths the host fetched.
func (p *pushing) tellSum(fetched int) {
	e := event.Event{Kind: event.Note, Total: p.bytes(p.lacks), Paths: len(p.lacks)}
	e.Done = e.Total
	var parts []string
	if e.Paths > 0 {
		parts = append(parts, fmt.Sprintf("copied %s in %s", event.Size(e.Total), paths(e.Paths)))
	}
	if fetched > 0 {
		parts = append(parts, fmt.Sprintf("the host fetched %s by itself", paths(fetched)))
	}
	e.Text = strings.Join(parts, "; ")
	p.send(e)
}

func paths(n int) string {
	if n == 1 {
		return "1 path"
	}
	return fmt.Sprintf("%d paths", n)
}

// buildThere has the host build the node's system.
func (n *nodeRun) buildThere(ctx context.Context) error {
	n.beginBuild("building " + n.node.Toplevel.OutPath + " on the host")
	err := n.tools.BuildThere(ctx, n.host, n.node, n.output)
	n.tellBuilt()
	if err == nil && n.opts.Compare {
		n.comparePackages(ctx, nil)
	}
	return err
}

// release lets the host's garbage collector have what was brought there, unless an
// activation that goes on may need it still.
func (n *nodeRun) release() {
	for _, f := range n.failures {
		if errors.Is(f.err, activation.ErrGoesOn) {
			return
		}
	}
	if len(n.roots) > 0 {
		// A root that is left goes with a reboot, or with a deployment a day later.
		_ = n.tools.Release(context.Background(), n.host, n.roots)
	}
}
