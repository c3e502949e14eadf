package remote

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
)

// Sessions of one host share its connection, and sshd opens only so many on each at
// once (MaxSessions of sshd_config(5)): others wait for one to end. Where none ends, as
// the one that is open waits for the next (a switch that waits for a key), the next gets
// a connection of its own.

// sessions counts those that are open.
type sessions struct {
	mu    sync.Mutex
	open  int
	moved time.Time     // when the last one began or ended
	next  chan struct{} // closed when that happens again; nil while nobody waits
}

func (s *sessions) count(by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open += by
	s.moved = time.Now()
	if s.next != nil {
		close(s.next)
		s.next = nil
	}
}

// change is closed when the next one begins or ends.
func (s *sessions) change() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		s.next = make(chan struct{})
	}
	return s.next
}

// still is for how long none has begun or ended, since a moment, and whether any is open.
func (s *sessions) still(since time.Time) (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.moved.After(since) {
		since = s.moved
	}
	return time.Since(since), s.open > 0
}

var (
	// sessionLimit is how long a host may refuse us the only session: sshd counts one as
	// open until some time after it has told us of its end.
	sessionLimit = 10 * time.Second
	// queueLimit is how long none of ours may end before another connection is made.
	queueLimit = 2 * time.Second
)

// How long sshd takes to count a session no more, and how often it is asked meanwhile.
const (
	settled = 300 * time.Millisecond
	again   = 50 * time.Millisecond
)

// place is a session with the connection that it is on.
type place struct {
	Session
	conn Conn
	free func()
}

// session has the host open a session for a command, and waits for that as long as
// others end.
func (h *Host) session(ctx context.Context, command string) (place, error) {
	begin := time.Now()
	for {
		change := h.sessions.change()
		session, err := h.conn.Session(command)
		if err == nil {
			h.sessions.count(1)
			return place{session, h.conn, func() { session.Close(); h.sessions.count(-1) }}, nil
		}
		if errors.Is(err, errRefused) { // what nobody uses makes room
			h.KeepShell(nil)
		}
		still, others := h.sessions.still(begin)
		switch {
		case !errors.Is(err, errRefused):
			return place{}, err
		case others && still > queueLimit && h.cfg != nil:
			return h.apart(ctx, command)
		case !others && still > sessionLimit:
			return place{}, err
		}
		// Who has just been told of an end may be early; others would ask in vain.
		pause := again
		if others && still > settled {
			pause = queueLimit - still
		}
		select {
		case <-ctx.Done():
			return place{}, context.Cause(ctx)
		case <-h.ended:
			return place{}, ErrConnectionLost
		case <-change:
		case <-time.After(max(pause, again)):
		}
	}
}

// apart opens a session on a connection of its own, made as the first was.
func (h *Host) apart(ctx context.Context, command string) (place, error) {
	h.log.Debug().Msg("the host refuses to open another session: connecting once more for this one (see MaxSessions in sshd_config(5))")
	other, err := connect(ctx, *h.cfg)
	if err != nil {
		return place{}, fmt.Errorf("the host refuses to open another session, and for another connection: %w", err)
	}
	session, err := other.conn.Session(command)
	if err != nil {
		other.Close()
		return place{}, err
	}
	// Nothing of it outlives the host's own connection.
	over := make(chan struct{})
	h.tasks.Go(func() {
		defer crash.Guard()
		select {
		case <-h.ended:
		case <-over:
		}
		other.Close()
	})
	return place{session, other.conn, func() { session.Close(); close(over) }}, nil
}

// KeepShell implements [hostscript.Keeper].
func (h *Host) KeepShell(shell *hostscript.Shell) {
	if before := h.shell.Swap(shell); before != nil {
		before.Close()
	}
}

// TakeShell implements [hostscript.Keeper].
func (h *Host) TakeShell() *hostscript.Shell { return h.shell.Swap(nil) }
