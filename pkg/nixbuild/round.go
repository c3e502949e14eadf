package nixbuild

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hive"
)

// round is one Nix process that builds for several requests.
type round struct {
	builder  *Builder
	ctx      context.Context
	cancel   context.CancelFunc
	requests []*request
	jobs     int
	moved    chan struct{} // a path may have become valid

	mu    sync.Mutex
	log   buildLog
	begun map[*request]bool // Nix was at its own path: the next to be over
	needs *graph            // nil: not known
	asked bool              // the graph is there, or will never be
	held  []toldLine        // output while it is not known whom it concerns
	whom  map[string][]*request

	doomed map[*request]string // the derivation that they need, which has failed
	built  []string            // derivations whose builds began, the first of them
}

// toldLine is a line about a path.
type toldLine struct{ path, text string }

// mostHeld is how many lines are held.
const mostHeld = 500

// build builds for the requests. A process that ends because of one derivation
// says nothing about who does not need that: for those another one is run. jobs
// are how many builds it may do at a time.
func (b *Builder) build(requests []*request, jobs int) {
	built := map[*request]int{} // by the round before
	for len(requests) > 0 {
		r := &round{builder: b, requests: requests, jobs: jobs, moved: make(chan struct{}, 1), begun: map[*request]bool{}, whom: map[string][]*request{}, doomed: map[*request]string{}}
		r.ctx, r.cancel = context.WithCancel(b.ctx)
		b.mu.Lock()
		for _, request := range requests {
			request.earlier, request.round = request.earlier+built[request], r
		}
		b.mu.Unlock()
		r.someoneLeft() // before it could be told
		over := b.watch.begin(&b.all, r)
		requests = r.run()
		for _, request := range requests {
			built[request] = r.builtFor(request)
		}
		over()
		r.cancel()
	}
}

// someoneLeft ends the process when nobody waits for it.
func (r *round) someoneLeft() {
	if len(r.waiting()) == 0 {
		r.cancel()
	}
}

func (r *round) waiting() (list []*request) {
	for _, request := range r.requests {
		if request.waits() {
			list = append(list, request)
		}
	}
	return list
}

// run finishes each request, or returns it for another try.
func (r *round) run() (again []*request) {
	var others sync.WaitGroup
	ended := make(chan struct{})
	others.Go(func() {
		defer crash.Guard()
		safely(r.requests, func() {
			r.learnNeeds()
			r.letGo(ended)
		})
		r.someoneLeft()
	})
	err := r.builder.realise(r.ctx, drvPaths(r.requests), r.jobs, r.line)
	close(ended)
	others.Wait()

	if err == nil {
		finishAll(r.requests, nil)
		return nil
	}
	missing := r.waiting()
	if r.ctx.Err() == nil {
		var unknown error
		if missing, unknown = r.builder.finishValid(missing); unknown != nil {
			err = unknown
		}
	}
	if r.ctx.Err() != nil {
		finishAll(missing, context.Cause(r.ctx))
		return nil
	}
	return r.blame(missing, err)
}

func finishAll(requests []*request, err error) {
	for _, request := range requests {
		request.finish(err)
	}
}

func drvPaths(requests []*request) (paths []string) {
	for _, request := range requests {
		if !slices.Contains(paths, request.DrvPath) {
			paths = append(paths, request.DrvPath)
		}
	}
	return paths
}

// blame finishes those that need what failed, and returns the others. When nobody
// does, all failed for one reason.
func (r *round) blame(missing []*request, err error) (again []*request) {
	reasons := map[*request]*BuildError{}
	for _, f := range r.log.failures {
		for _, request := range r.concerned(f.path) {
			if reasons[request] == nil {
				reasons[request] = &BuildError{}
			}
			reasons[request].failures = append(reasons[request].failures, f)
		}
	}
	for _, request := range missing {
		if reason := reasons[request]; reason != nil {
			request.finish(reason)
		} else {
			again = append(again, request)
		}
	}
	if len(again) < len(missing) {
		return again
	}
	err = r.log.whole(err)
	if len(r.log.failures) > 0 {
		err = &BuildError{failures: r.log.failures}
	}
	finishAll(missing, err)
	return nil
}

// concerned are the requests that need a path; nil if that is not known. It is
// to be called only when asked is set.
func (r *round) concerned(path string) []*request {
	list, ok := r.whom[path]
	switch {
	case ok:
		return list
	case len(r.requests) == 1:
		return r.requests
	}
	uses := func(string) bool { return false }
	if r.needs != nil {
		uses = r.needs.usedBy(path)
	}
	for _, request := range r.requests {
		if request.DrvPath == path || request.OutPath == path || uses(request.DrvPath) {
			list = append(list, request)
		}
	}
	r.whom[path] = list
	return list
}

// learnNeeds asks who needs what, unless there is one only.
func (r *round) learnNeeds() {
	var needs *graph
	if len(r.requests) > 1 {
		var err error
		if needs, err = askGraph(r.ctx, r.builder.tool, drvPaths(r.requests)); err != nil {
			needs = nil
			r.builder.tool.Log.Debug().Err(err).Msg("it is not known which node needs which derivation")
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.needs, r.asked = needs, true
	for _, line := range r.held {
		r.pass(line)
	}
	r.held = nil
}

// letGo lets those go on whose path has become valid while the process goes on.
func (r *round) letGo(ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			return
		case <-r.moved:
		}
		r.mu.Lock()
		var candidates []*request
		for request := range r.begun {
			if request.waits() {
				candidates = append(candidates, request)
			}
		}
		r.mu.Unlock()
		if len(candidates) > 0 {
			// Who stays is looked at when the process has ended.
			r.builder.finishValid(candidates)
		}
	}
}

// line is told each line of the process's stderr.
func (r *round) line(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	event := r.log.line(text)
	switch event.kind {
	case nixPlans:
		r.builder.opts.Note(event.text + ", for " + names(r.waiting()))
	case workBegan:
		for _, request := range r.requests {
			if event.path == request.DrvPath || event.path == request.OutPath {
				r.begun[request] = true
			}
		}
		if event.build && len(r.built) < mostBuilt {
			r.built = append(r.built, event.path)
		}
		r.hear(toldLine{event.path, event.text})
	case workSaid:
		r.hear(toldLine{event.path, storeName(event.path) + "> " + event.text})
	case nixSaid:
		r.hear(toldLine{"", event.text})
	case workFailed:
		r.tellOfFailure(event.path)
	}
	if event.kind == workMoved {
		select {
		case r.moved <- struct{}{}:
		default:
		}
	}
}

// hear passes a line on when it is known whom it concerns.
func (r *round) hear(line toldLine) {
	if !r.asked {
		r.held = append(r.held, line)
		r.held = r.held[max(0, len(r.held)-mostHeld):]
		return
	}
	r.pass(line)
}

// pass gives a line to the first who needs its path and still waits; if that is
// not known, to the first who waits.
func (r *round) pass(line toldLine) {
	concerned := r.concerned(line.path)
	if concerned == nil {
		concerned = r.requests
	}
	for _, request := range concerned {
		if request.tell(line.text) {
			return
		}
	}
	r.builder.tool.Log.Debug().Msg(line.text)
}

// tellOfFailure says at once what the nodes' errors say when all is over, as long
// as there are others to wait for.
func (r *round) tellOfFailure(path string) {
	if !r.asked {
		return
	}
	var need []*request
	for _, request := range r.concerned(path) {
		if request.waits() {
			need = append(need, request)
			r.doomed[request] = path
		}
	}
	hopeful := slices.ContainsFunc(r.waiting(), func(request *request) bool { return r.doomed[request] == "" })
	if len(need) > 0 && hopeful {
		r.builder.opts.Note(fmt.Sprintf("%s failed to build, needed by %s: the other builds continue", storeName(path), names(need)))
	}
}

// names of the nodes, the first few of many.
func names(requests []*request) string {
	var list []string
	for _, request := range requests {
		list = append(list, request.Node)
	}
	return hive.FirstFew(list)
}

// waitsFor says what a request waits for now.
func (r *round) waitsFor(request *request) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.asked {
		return "" // not yet
	}
	return r.log.waits(func(path string) bool {
		concerned := r.concerned(path)
		return concerned == nil || slices.Contains(concerned, request)
	})
}
