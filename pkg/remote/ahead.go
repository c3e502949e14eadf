package remote

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/colmena-go/colmena-go/pkg/crash"
)

// Ahead holds connections that are made before they are needed, one for each
// node. The zero value is ready for use.
type Ahead struct {
	mu       sync.Mutex
	closed   bool
	attempts map[string]*attempt // by node
	places   chan struct{}       // for those that are under way
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

// errNotWanted ends the attempts that nobody has taken.
var errNotWanted = errors.New("the connection is not needed after all")

// target tells connections apart.
func (cfg Config) target() string {
	return fmt.Sprintf("%q %d %q %q %q", cfg.Host, cfg.Port, cfg.User, cfg.Escalate, cfg.SSHConfigFile)
}

// Dial begins to connect for a node and returns at once. Nothing is run on the
// host. What there is to note is told at once, whether or not the connection is
// taken later.
func (a *Ahead) Dial(ctx context.Context, node string, cfg Config) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || a.attempts[node] != nil {
		return
	}
	ctx, cancel := context.WithCancelCause(ctx)
	t := &attempt{target: cfg.target(), cancel: cancel, needed: make(chan struct{}), done: make(chan struct{})}
	if a.attempts == nil {
		a.attempts = map[string]*attempt{}
		a.places = make(chan struct{}, aheadLimit)
	}
	a.attempts[node] = t
	go func() {
		defer crash.Guard()
		defer close(t.done)
		defer cancel(nil)
		select {
		case a.places <- struct{}{}:
			defer func() { <-a.places }()
		case <-t.needed:
		case <-ctx.Done(): // connect says so
		}
		t.host, t.err = connect(ctx, cfg)
		t.at = time.Now()
	}()
}

// Take returns the connection that was begun for the node, if its target is the
// same still and the host answers; it is then the caller's to close. Otherwise
// it connects anew, also where the first attempt did not reach the host, which
// may be back, or nobody saw that the agent waited. It fails like the function [Dial].
func (a *Ahead) Take(ctx context.Context, node string, cfg Config) (*Host, error) {
	t := a.claim(node, cfg.target())
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
func (a *Ahead) claim(node, target string) *attempt {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.attempts[node]
	if t == nil || t.target != target {
		return nil
	}
	delete(a.attempts, node)
	return t
}

// Close ends the connections that nobody has taken, and waits for that.
func (a *Ahead) Close() {
	a.mu.Lock()
	a.closed = true
	attempts := a.attempts
	a.attempts = nil
	a.mu.Unlock()
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
		_, _, err := h.client.SendRequest("keepalive@openssh.com", true, nil)
		answered <- err
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
