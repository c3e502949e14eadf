package remote

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/colmena-go/colmena-go/pkg/crash"
)

// Hosts are the connections of a deployment, one for each node: they can be made
// before they are needed, and again. The zero value is ready for use.
type Hosts struct {
	mu       sync.Mutex
	closed   bool
	attempts map[string]*attempt // by node; nobody has opened them yet
	places   chan struct{}       // for those that are under way
	open     map[string]*Host    // by node; in use
	jumps    jumps
	met      met

	waiting sync.Mutex
	waits   map[string][]*string // by node: for what, beside the host
}

// aheadLimit is how many connections are made at once before they are needed, so
// that the evaluation that goes on meanwhile keeps its processor.
const aheadLimit = 2

// attempt is one Dial on its way; its result may be read once done is closed.
type attempt struct {
	target string
	cancel context.CancelCauseFunc
	needed chan struct{} // closed when somebody waits: it goes on at once
	done   chan struct{}
	at     time.Time // of the end
	host   *Host
	err    error
}

// errNotWanted ends what nobody has opened, and what comes after Close.
var errNotWanted = errors.New("the connection is not needed after all")

// target tells connections apart.
func (cfg Config) target() string {
	return fmt.Sprintf("%q %d %q %q %q %q", cfg.Host, cfg.Port, cfg.User, cfg.Escalate, cfg.SSHOptions, cfg.SSHConfigFile)
}

// own is cfg for a connection of these.
func (all *Hosts) own(node string, cfg Config) Config {
	cfg.jumps, cfg.met = &all.jumps, &all.met
	cfg.Waits = func(what string) (over func()) {
		all.waiting.Lock()
		defer all.waiting.Unlock()
		if all.waits == nil {
			all.waits = map[string][]*string{}
		}
		all.waits[node] = append(all.waits[node], &what)
		return func() {
			all.waiting.Lock()
			defer all.waiting.Unlock()
			all.waits[node] = slices.DeleteFunc(all.waits[node], func(other *string) bool { return other == &what })
		}
	}
	return cfg
}

// WaitsFor is what a node's connection waits for beside the host, such as somebody's
// answer; "" for nothing.
func (all *Hosts) WaitsFor(node string) string {
	all.waiting.Lock()
	defer all.waiting.Unlock()
	if waits := all.waits[node]; len(waits) > 0 {
		return *waits[len(waits)-1]
	}
	return ""
}

// Prepare begins to connect for a node and returns at once. Nothing is run on the
// host. What there is to note is told at once, whether or not the connection is
// opened later.
func (all *Hosts) Prepare(ctx context.Context, node string, cfg Config) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.closed || all.attempts[node] != nil {
		return
	}
	cfg = all.own(node, cfg)
	ctx, cancel := context.WithCancelCause(ctx)
	t := &attempt{target: cfg.target(), cancel: cancel, needed: make(chan struct{}), done: make(chan struct{})}
	if all.attempts == nil {
		all.attempts = map[string]*attempt{}
		all.places = make(chan struct{}, aheadLimit)
	}
	all.attempts[node] = t
	go func() {
		defer crash.Guard()
		defer close(t.done)
		defer cancel(nil)
		select {
		case all.places <- struct{}{}:
			defer func() { <-all.places }()
		case <-t.needed:
		case <-ctx.Done(): // connect says so
		}
		if t.host, t.err = connect(ctx, cfg); t.err == nil {
			t.host.cfg = &cfg
		}
		t.at = time.Now()
	}()
}

// Open returns the connection that was prepared for the node, if its target is the
// same still and the host answers. Otherwise it connects anew, also where the first
// attempt did not reach the host, which may be back, or nobody saw that the agent
// waited. It fails like [Dial]. Who needs the host no more may close it.
func (all *Hosts) Open(ctx context.Context, node string, cfg Config) (*Host, error) {
	cfg = all.own(node, cfg)
	h, err := all.take(ctx, node, cfg)
	return all.keep(node, h, err)
}

// Reopen closes the node's connection, if it has one, and makes it again: the host
// was rebooted, or is to show that it still lets us in. It fails like [Dial].
func (all *Hosts) Reopen(ctx context.Context, node string, cfg Config) (*Host, error) {
	all.mu.Lock()
	old := all.open[node]
	all.mu.Unlock()
	if old != nil {
		old.Close()
	}
	cfg = all.own(node, cfg)
	h, err := Dial(ctx, cfg)
	return all.keep(node, h, err)
}

// keep has Close end a connection that is still open by then.
func (all *Hosts) keep(node string, h *Host, err error) (*Host, error) {
	if err != nil {
		return nil, err
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.closed {
		h.Close()
		return nil, errNotWanted
	}
	if all.open == nil {
		all.open = map[string]*Host{}
	}
	all.open[node] = h
	h.forget = func() {
		all.mu.Lock()
		defer all.mu.Unlock()
		if all.open[node] == h {
			delete(all.open, node)
		}
	}
	return h, nil
}

// take is the connection that was prepared, or else a new one.
func (all *Hosts) take(ctx context.Context, node string, cfg Config) (*Host, error) {
	t := all.claim(node, cfg.target())
	if t == nil {
		return Dial(ctx, cfg)
	}
	select {
	case <-t.done:
		again := errors.Is(t.err, ErrUnreachable) || errors.Is(t.err, ErrAgent)
		if t.err == nil {
			if time.Since(t.at) < fresh && !t.host.lost() || t.host.answers(ctx) {
				return t.host.ready(ctx)
			}
			t.host.Close()
			again = true
		}
		if again {
			return Dial(ctx, cfg)
		}
	default:
		stop := context.AfterFunc(ctx, func() { t.cancel(context.Cause(ctx)) })
		defer stop()
		close(t.needed)
		<-t.done
		// Who does not answer now has had its time, except for the agent.
		if errors.Is(t.err, ErrAgent) && ctx.Err() == nil {
			return Dial(ctx, cfg)
		}
	}
	if t.err != nil {
		return nil, t.err
	}
	return t.host.ready(ctx)
}

// claim takes an attempt out, so that nobody else ends it.
func (all *Hosts) claim(node, target string) *attempt {
	all.mu.Lock()
	defer all.mu.Unlock()
	t := all.attempts[node]
	if t == nil || t.target != target {
		return nil
	}
	delete(all.attempts, node)
	return t
}

// Close ends every connection and waits for that.
func (all *Hosts) Close() {
	defer all.jumps.close() // once nothing goes through them
	all.mu.Lock()
	all.closed = true
	attempts, open := all.attempts, slices.Collect(maps.Values(all.open))
	all.attempts = nil
	all.mu.Unlock()
	for _, h := range open {
		h.Close()
	}
	for _, t := range attempts {
		t.cancel(errNotWanted)
	}
	for _, t := range attempts {
		<-t.done
		if t.host != nil {
			t.host.Close()
		}
	}
}

// fresh is the age of a connection that is used without a question.
var fresh = 2 * time.Second

// answerLimit is how long the host at the other end of a connection that was not
// in use may take to show that it is still there.
var answerLimit = 5 * time.Second

// answers asks the host for a sign of life. Without one only Close is left to do.
func (h *Host) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	answered := make(chan error, 1)
	h.tasks.Go(func() {
		defer crash.Guard()
		answered <- h.conn.Probe()
	})
	select {
	case err := <-answered:
		return err == nil
	case <-ctx.Done():
		return false
	}
}

// lost reports whether the connection is known to be gone.
func (h *Host) lost() bool {
	select {
	case <-h.ended:
		return true
	default:
		return false
	}
}
