// Package nixbuild builds systems: here, many with one Nix, or each on its host. It
// asks this machine's store and those of hosts what they have, and what is to be kept
// from their garbage collectors.
package nixbuild

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/nix"
	"github.com/colmena-go/colmena-go/pkg/printable"
)

// BuilderOptions are those of all builds of a deployment.
type BuilderOptions struct {
	Nodes        int               // how many builds to expect; when all have come, none is waited for
	MachinesFile string            // for Nix's `builders`, "" to leave them
	Jobs         string            // for Nix's `max-jobs`, "" to leave it
	Note         func(text string) // told what is worth telling of all builds; may be nil
	// Watch is told how far all builds are, a few times a second while that changes; it
	// may be nil.
	Watch func(Building)
}

// Build is one node's system.
type Build struct {
	Node             string // its name, for people
	DrvPath, OutPath string
	GCRoot           string            // a link to make to the result, "" for none
	Output           func(line string) // not called any more when the build is over; may be nil
}

// Builder builds the systems of a deployment, those that are asked for together
// with one Nix process, so that what they share is built once and nobody waits
// for another's lock. The garbage collector leaves the systems alone until Close;
// a GCRoot keeps one longer.
type Builder struct {
	tool  nix.Tool
	opts  BuilderOptions
	ctx   context.Context // that of the processes
	stop  context.CancelFunc
	all   sync.WaitGroup // every goroutine of the Builder
	more  chan struct{}  // another build waits for the next process
	store *keeper
	jobs  *jobs
	watch watch

	unseen together[*request] // their validity is not known yet

	mu     sync.Mutex
	nodes  map[string]*request // the last of each node
	there  map[string]*hostLog // the same, for what hosts build
	asked  int
	wanted []*request // not valid: for the next process
}

// New returns a Builder, which is to be closed.
func New(tool nix.Tool, opts BuilderOptions) *Builder {
	if opts.Note == nil {
		opts.Note = func(string) {}
	}
	if opts.Jobs != "" {
		tool.Options = append(slices.Clone(tool.Options), [2]string{"max-jobs", opts.Jobs})
	}
	b := &Builder{tool: tool, opts: opts, more: make(chan struct{}, 1), nodes: map[string]*request{}, there: map[string]*hostLog{}}
	b.ctx, b.stop = context.WithCancel(context.Background())
	b.store = &keeper{tool: tool, ctx: b.ctx, all: &b.all}
	b.jobs = newJobs()
	b.watch = watch{tell: opts.Watch, rest: b.queued}
	return b
}

// Close ends what is still being built, and returns when no process is left.
func (b *Builder) Close() {
	b.store.close()
	b.stop()
	b.all.Wait()
}

// request is a build that somebody waits for.
type request struct {
	Build
	done chan error // gets its one result
	mu   sync.Mutex // held while Output is called
	over bool       // nobody waits any more

	// Guarded by the Builder's mu:
	round   *round // nil while none builds it
	earlier int    // derivations that rounds before it built
}

// Build returns when the system is there, although others may still be being
// built. It fails with [nix.ErrNoNix], with a [*BuildError] or with what Nix said.
// Cancelling ctx ends the wait at once; Nix is ended when nobody waits for it.
func (b *Builder) Build(ctx context.Context, build Build) error {
	r := &request{Build: build, done: make(chan error, 1)}
	b.ask(r)
	select {
	case err := <-r.done:
		if err == nil && build.GCRoot != "" {
			err = b.tool.Keep(ctx, build.OutPath, build.GCRoot)
		}
		return err
	case <-ctx.Done():
		r.leave()
		b.mu.Lock()
		defer b.mu.Unlock()
		if r.round != nil {
			r.round.someoneLeft()
		}
		return context.Cause(ctx)
	}
}

// Keep has the garbage collector leave a path and what it needs alone from soon on,
// until Close: what nodes' derivations are, say, which are not built at once.
func (b *Builder) Keep(path string) {
	b.all.Go(crash.Guarded(func() {
		// Who needs the path hears of it if that cannot be done.
		_, _ = b.store.invalid([]string{path})
	}))
}

// Closure is every path that a valid one needs, itself among them, with the size
// of each in bytes. None of them is garbage before Close. A path may be what a host says,
// if it is one of this store's folder.
func (b *Builder) Closure(ctx context.Context, path string) (map[string]int64, error) {
	if !storePathName.MatchString(storeBase(path)) { // Nix would end, and keep nothing any more
		return nil, fmt.Errorf("%q is no store path", printable.Said(path, mostShown))
	}
	type answer struct {
		sizes map[string]int64
		err   error
	}
	answered := make(chan answer, 1)
	b.all.Go(crash.Guarded(func() {
		var a answer
		defer func() { answered <- a }()
		defer crash.Recover(&a.err)
		if _, a.err = b.store.invalid([]string{path}); a.err == nil {
			a.sizes, a.err = b.store.closure(path)
		}
	}))
	select {
	case a := <-answered:
		return a.sizes, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// WaitsFor says for people what the build of a node waits for now, "" if that is
// not known.
func (b *Builder) WaitsFor(node string) string {
	b.mu.Lock()
	request, there := b.nodes[node], b.there[node]
	var round *round
	if request != nil {
		round = request.round
	}
	wanted := slices.Contains(b.wanted, request)
	b.mu.Unlock()
	switch {
	case there != nil:
		return there.waitsFor()
	case round == nil && wanted:
		return "other nodes' builds, as many at a time as max-jobs says"
	case round == nil:
		return ""
	}
	return round.waitsFor(request)
}

// leave makes sure that nothing is told to the request any more.
func (r *request) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
}

func (r *request) waits() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.over
}

// finish ends the request with a result.
func (r *request) finish(err error) {
	r.leave()
	select {
	case r.done <- err:
	default:
	}
}

// tell gives the request a line, and reports whether somebody is there to hear it.
func (r *request) tell(line string) bool {
	safely([]*request{r}, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.over && r.Output != nil {
			r.Output(line)
		}
	})
	return r.waits()
}

// safely calls f; a panic in it is the result of those requests.
func safely(requests []*request, f func()) {
	var err error
	defer func() {
		if err != nil {
			finishAll(requests, err)
		}
	}()
	defer crash.Recover(&err)
	f()
}

// ask has somebody look at whether the path is valid. Who asks meanwhile is
// looked at together afterwards.
func (b *Builder) ask(r *request) {
	b.mu.Lock()
	b.nodes[r.Node] = r
	b.mu.Unlock()
	b.unseen.ask(r, &b.all, b.look)
}

// look lets those go on whose path is valid, and has the others built.
func (b *Builder) look(requests []*request) {
	safely(requests, func() {
		missing, err := b.finishValid(requests)
		if err != nil {
			finishAll(missing, err)
			missing = nil
		}
		b.want(missing, len(requests))
	})
}

// want adds to what the next process builds; asked more have been looked at.
func (b *Builder) want(missing []*request, asked int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked += asked
	first := len(b.wanted) == 0
	b.wanted = append(b.wanted, missing...)
	switch {
	case len(b.wanted) == 0:
		return
	case first:
		b.all.Go(crash.Guarded(b.next))
	}
	select {
	case b.more <- struct{}{}:
	default:
	}
}

// How long the first of a process waits for others: a pause is enough, unless
// all have asked.
const (
	pause       = 100 * time.Millisecond
	longestWait = time.Second
)

// next collects for one process and then runs it.
func (b *Builder) next() {
	b.jobs.ask.Do(func() {
		b.all.Go(crash.Guarded(func() { b.jobs.limit(maxJobs(b.ctx, b.tool)) }))
	})
	longest := time.After(longestWait)
	for waiting := true; waiting; {
		select {
		case <-b.ctx.Done():
			waiting = false
		case <-longest:
			waiting = false
		case <-time.After(pause):
			waiting = false
		case <-b.more:
			b.mu.Lock()
			waiting = b.asked < b.opts.Nodes
			b.mu.Unlock()
		}
	}
	jobs, err := b.jobs.take(b.ctx, b.haveAllAsked)
	b.mu.Lock()
	requests := b.wanted
	b.wanted = nil
	b.mu.Unlock()
	if err != nil {
		finishAll(requests, err)
		return
	}
	slices.SortFunc(requests, func(x, y *request) int { return strings.Compare(x.Node, y.Node) })
	var batches sync.WaitGroup
	for len(requests) > 0 {
		n := min(len(requests), mostPaths)
		batch := requests[:n:n]
		requests = requests[n:]
		batches.Go(crash.Guarded(func() { safely(batch, func() { b.build(batch, jobs) }) }))
	}
	batches.Wait()
	b.jobs.give(jobs)
}

func (b *Builder) haveAllAsked() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked >= b.opts.Nodes
}

// mostPaths is how many store paths one command line has room for: Linux gives
// it 2 MiB, unless the stack is small.
const mostPaths = 5000

// finishValid ends the requests whose path is valid and returns the others. With
// an error it returns all.
func (b *Builder) finishValid(requests []*request) (missing []*request, err error) {
	if len(requests) == 0 {
		return nil, nil
	}
	invalid, err := b.store.invalid(outPaths(requests))
	if err != nil {
		return requests, err
	}
	for _, r := range requests {
		if invalid[r.OutPath] {
			missing = append(missing, r)
		} else {
			r.finish(nil)
		}
	}
	return missing, nil
}

func outPaths(requests []*request) (paths []string) {
	for _, r := range requests {
		paths = append(paths, r.OutPath)
	}
	return paths
}

// realise builds derivations, so many at a time (0: as many as Nix likes), and as
// many as it can whatever else fails; log gets each line of what Nix says in its
// internal-json.
func (b *Builder) realise(ctx context.Context, drvPaths []string, jobs int, log func(string)) error {
	args := []string{"--realise", "--keep-going", "--log-format", "internal-json", "--no-gc-warning"}
	args = append(args, b.tool.BuildArgs()...)
	if b.opts.MachinesFile != "" {
		args = append(args, "--option", "builders", "@"+b.opts.MachinesFile)
	}
	if jobs > 0 {
		args = append(args, "--option", "max-jobs", strconv.Itoa(jobs))
	}
	// nix-store takes a plain .drv path in every version; `nix build` wants
	// drv^* since 2.13 and does not know it before.
	return b.tool.Run(ctx, b.tool.Command(ctx, "nix-store", append(args, drvPaths...)...), log)
}
