package nixbuild

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// moves counts what moves between us and a program on a host, so that a host which
// stands still is noticed.
type moves struct{ n atomic.Int64 }

func (m *moves) add() { m.n.Add(1) }

// watch ends what goes on when nothing moves for so long, until ctx is done. It counts
// looks and not time, so that to be stopped (^Z) is not to stand still.
func (m *moves) watch(ctx context.Context, end context.CancelCauseFunc, limit time.Duration) {
	const looks = 10
	tick := time.NewTicker(limit / looks)
	defer tick.Stop()
	for seen, still := m.n.Load(), 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if now := m.n.Load(); now != seen {
			seen, still = now, 0
		} else if still++; still >= looks {
			end(fmt.Errorf("%w: the host neither takes nor says anything for %s", ErrStalled, limit))
			return
		}
	}
}

// through is w, and what is written to it moves.
func (m *moves) through(w io.Writer) io.Writer { return moving{m, w} }

type moving struct {
	*moves
	next io.Writer
}

func (m moving) Write(p []byte) (int, error) {
	n, err := m.next.Write(p)
	m.add()
	return n, err
}
