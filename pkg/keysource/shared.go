package keysource

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hive"
)

// shared are the keyCommands that run once for several keys, by what they have in
// common. What one has printed is kept for keys that come later, each of which gets it once:
// a key that comes again, as after a reboot, wants what is so then.
type shared struct {
	mu   sync.Mutex
	runs map[string]*sharedRun
}

// sharedRun is one run of a command for the keys that have joined it.
type sharedRun struct {
	begun, done chan struct{}
	cancel      context.CancelCauseFunc

	// After done.
	out printed
	err error

	// Under the mutex of shared.
	had     map[user]bool // who has joined
	waiting int           // how many of them have not left
}

// user is a key of a node.
type user struct{ node, key string }

// runError is why a run gave a key nothing. A node tells it once, for all of its keys.
type runError struct {
	run *sharedRun
	err error
}

func (e *runError) Error() string { return e.err.Error() }
func (e *runError) Unwrap() error { return e.err }

// common is what the keys of one run have in common.
func common(key hive.Key) string {
	words := append([]string{key.Timeout.String()}, key.Command...)
	return strings.Join(append(append(words, ""), key.Environment...), "\x00")
}

// sharedCommand is what the key's command has printed, which it was run for once. The
// command ends early only if nobody waits for it any more.
func (r *Resolver) sharedCommand(ctx context.Context, key hive.Key, tell teller, works *working) (*sharedRun, printed, error) {
	run := r.joinRun(ctx, key, tell)
	defer r.leaveRun(ctx, key, run)
	select {
	case <-run.begun:
	case <-run.done:
	case <-ctx.Done():
		return run, printed{}, context.Cause(ctx)
	}
	defer tell.waits(key, works)()
	select {
	case <-run.done:
		return run, run.out, run.err
	case <-ctx.Done():
		return run, printed{}, context.Cause(ctx)
	}
}

// joinRun finds a run that the key has had no part in, or begins one.
func (r *Resolver) joinRun(ctx context.Context, key hive.Key, tell teller) *sharedRun {
	s, id, who := &r.shared, common(key), user{tell.node, tell.key}
	s.mu.Lock()
	defer s.mu.Unlock()
	is := s.runs[id]
	if is == nil || is.had[who] {
		is = &sharedRun{begun: make(chan struct{}), done: make(chan struct{}), had: map[user]bool{}}
		if s.runs == nil {
			s.runs = map[string]*sharedRun{}
		}
		s.runs[id] = is
		ctx, is.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
		go func() {
			defer crash.Guard()
			defer close(is.done)
			defer is.cancel(nil)
			is.out, is.err = r.execute(ctx, key, tell, func() func() {
				close(is.begun)
				return func() {}
			})
		}()
	}
	is.had[who] = true
	is.waiting++
	return is
}

// leaveRun ends the run, and waits for its end, if nobody else wants it. Where nothing is
// kept, it is forgotten.
func (r *Resolver) leaveRun(ctx context.Context, key hive.Key, is *sharedRun) {
	s, id := &r.shared, common(key)
	s.mu.Lock()
	is.waiting--
	last, over := is.waiting == 0, false
	select {
	case <-is.done:
		over = true
	default:
	}
	if last && (!over || r.KeepNothing) && s.runs[id] == is {
		delete(s.runs, id)
	}
	s.mu.Unlock()
	if last && !over {
		is.cancel(context.Cause(ctx))
		<-is.done
	}
}

// repeats reports whether the node has told already why a run gave nothing.
func repeats(errs []error, err error) bool {
	var of, other *runError
	if !errors.As(err, &of) {
		return false
	}
	for _, before := range errs {
		if errors.As(before, &other) && other.run == of.run {
			return true
		}
	}
	return false
}
