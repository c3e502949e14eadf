package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/colmena-go/colmena-go/pkg/activation"
	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// pushing is a closure on its way to a host.
type pushing struct {
	*nodeRun
	sizes map[string]int64 // of every path of the closure, in bytes

	asked []string // what the host lacked at first

	mu     sync.Mutex
	lacks  []string // what the host lacks of it
	copied []string // what was copied
}

// push copies what the host lacks of a closure through its one connection. What
// arrives stays until the node is done with.
func (n *nodeRun) push(ctx context.Context, step plan.Step) error {
	path, roots := n.node.Toplevel.OutPath, []string{n.node.Toplevel.OutPath}
	if step.Recipe {
		path = n.node.Toplevel.DrvPath
		roots = append(roots, path)
	}
	n.begin("copying " + path)
	sizes, err := n.tools.Closure(ctx, path)
	if err != nil {
		return err
	}
	n.roots = roots
	lacks, err := n.tools.Lacks(ctx, n.host, roots, slices.Sorted(maps.Keys(sizes)))
	if err == nil && len(lacks) > 0 && n.opts.Cache != "" && !step.Recipe {
		lacks, err = n.fromCache(ctx, sizes, lacks)
	}
	if err != nil || len(lacks) == 0 {
		return err
	}
	p := &pushing{nodeRun: n, sizes: sizes, asked: lacks, lacks: lacks}
	store, stop, err := n.host.Store(ctx)
	if err != nil {
		return err
	}
	done := p.follow()
	err = n.tools.Copy(ctx, Copy{Path: path, Store: store, Recipe: step.Recipe, Output: n.output,
		Left: func(left int) { p.recount(ctx, left) }, Copying: p.copying})
	done(err)
	if onHost := stop(); err != nil {
		// What went wrong there is why Nix here lost its connection. One that has all
		// it wanted may leave while the host still says something.
		return errors.Join(onHost, err)
	}
	return nil
}

func (p *pushing) copying(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.copied = append(p.copied, path)
}

// recount asks anew what the host lacks, once it has fetched by itself what it
// could, so that no more than left is still to be copied.
func (p *pushing) recount(ctx context.Context, left int) {
	if left == len(p.asked) {
		return
	}
	// Without an answer, what is told is too much, and no reason to fail.
	if lacks, err := p.tools.Lacks(ctx, p.host, nil, p.asked); err == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.lacks = lacks
	}
}

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

// follow tells how far the copy is until done is called with how it ended.
func (p *pushing) follow() (done func(error)) {
	before, _ := p.host.Traffic()
	tell := func() {
		sent, _ := p.host.Traffic()
		p.mu.Lock()
		e := event.Event{Kind: event.Progress, Total: p.bytes(p.lacks), Paths: len(p.lacks)}
		p.mu.Unlock()
		// What is said besides the content makes it a little more.
		e.Done = min(sent-before, e.Total)
		p.send(e)
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
	return func(err error) {
		close(ended)
		ticking.Wait()
		if err == nil {
			p.tellSum()
		}
	}
}

// tellSum tells what was copied.
func (p *pushing) tellSum() {
	e := event.Event{Kind: event.Note, Total: p.bytes(p.copied), Paths: len(p.copied)}
	e.Done = e.Total
	e.Text = fmt.Sprintf("copied %s in %s", event.Size(e.Total), paths(e.Paths))
	if fetched := len(p.asked) - e.Paths; fetched > 0 {
		e.Text += fmt.Sprintf("; the host fetched %s by itself", paths(fetched))
	}
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
