package remote

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Ahead holds connections that are made before anybody needs them. The zero
// value is ready for use.
type Ahead struct {
	mu       sync.Mutex
	closed   bool
	attempts map[string][]*attempt // by what they connect to
}

// attempt is one Dial on its way. What it holds may be read once done is closed.
type attempt struct {
	cancel context.CancelCauseFunc
	done   chan struct{}
	host   *Host
	err    error
	notes  []string
}

// errNotWanted ends the attempts that nobody has taken.
var errNotWanted = errors.New("the connection is not needed after all")

// target tells connections apart.
func (cfg Config) target() string {
	return fmt.Sprintf("%q %d %q %q %q", cfg.Host, cfg.Port, cfg.User, cfg.Escalate, cfg.SSHConfigFile)
}

// Dial begins to connect and returns at once. cfg.Note is not used.
func (a *Ahead) Dial(ctx context.Context, cfg Config) {
	ctx, cancel := context.WithCancelCause(ctx)
	t := &attempt{cancel: cancel, done: make(chan struct{})}
	cfg.Note = func(text string) { t.notes = append(t.notes, text) }
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		cancel(nil)
		return
	}
	if a.attempts == nil {
		a.attempts = map[string][]*attempt{}
	}
	a.attempts[cfg.target()] = append(a.attempts[cfg.target()], t)
	go func() {
		defer close(t.done)
		defer cancel(nil)
		t.host, t.err = Dial(ctx, cfg)
	}()
}

// Take returns the connection that was begun to the same host in the same way,
// which is then the caller's to close. It makes one when none was begun, and
// when that failed or was lost meanwhile: the host may be back. It fails like
// the function [Dial].
func (a *Ahead) Take(ctx context.Context, cfg Config) (*Host, error) {
	t := a.next(cfg.target())
	if t == nil {
		return Dial(ctx, cfg)
	}
	select {
	case <-t.done: // long ago, perhaps
		if t.err != nil {
			return Dial(ctx, cfg)
		}
	default:
		stop := context.AfterFunc(ctx, func() { t.cancel(context.Cause(ctx)) })
		<-t.done
		stop()
		if t.err != nil {
			return nil, t.err
		}
	}
	if t.host.lost() {
		t.host.Close()
		return Dial(ctx, cfg)
	}
	if cfg.Note != nil {
		for _, note := range t.notes {
			cfg.Note(note)
		}
	}
	return t.host, nil
}

func (a *Ahead) next(target string) *attempt {
	a.mu.Lock()
	defer a.mu.Unlock()
	waiting := a.attempts[target]
	if len(waiting) == 0 {
		return nil
	}
	a.attempts[target] = waiting[1:]
	return waiting[0]
}

// Close ends the connections that nobody has taken, and waits for that.
func (a *Ahead) Close() {
	a.mu.Lock()
	a.closed = true
	attempts := a.attempts
	a.attempts = nil
	a.mu.Unlock()
	for _, waiting := range attempts {
		for _, t := range waiting {
			t.cancel(errNotWanted)
		}
	}
	for _, waiting := range attempts {
		for _, t := range waiting {
			<-t.done
			if t.host != nil {
				t.host.Close()
			}
		}
	}
}

// lost reports whether the connection is gone.
func (h *Host) lost() bool {
	select {
	case <-h.ended:
		return true
	default:
		return false
	}
}
