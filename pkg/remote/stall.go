package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// ErrStalled: a program on the host took or gave nothing for too long.
var ErrStalled = errors.New("nothing moves any more")

// How long nothing may move between us and a program on the host: until its
// first answer, and later, when it may be busy with what it got.
var (
	answerWithin = 30 * time.Second
	moveWithin   = 5 * time.Minute
)

// flow counts what moves, so that a host which stands still is noticed.
type flow struct {
	begun    atomic.Bool // the program runs: what is to go in is read
	answered atomic.Bool
	moves    atomic.Int64
	traffic  *traffic
}

// traffic counts bytes in both directions.
type traffic struct{ sent, received atomic.Int64 }

// watch ends what goes through when it stands still, until ctx is done. It
// counts looks and not time, so that to be stopped (^Z) is not to stand still.
func (f *flow) watch(ctx context.Context, end context.CancelCauseFunc) {
	const looks = 10
	seen, still := int64(-1), 0
	for {
		limit := moveWithin
		if !f.answered.Load() {
			limit = answerWithin
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(limit / looks):
		}
		if now := f.moves.Load(); now != seen || !f.begun.Load() {
			seen, still = now, 0
		} else if still++; still >= looks {
			end(fmt.Errorf("%w: the host neither takes nor sends anything for %s", ErrStalled, limit))
			return
		}
	}
}

// in is what goes to the host: a Read says that the bytes before were taken.
func (f *flow) in(r io.Reader) io.Reader { return flowReader{f, r} }

type flowReader struct {
	*flow
	next io.Reader
}

func (r flowReader) Read(p []byte) (int, error) {
	r.begun.Store(true)
	n, err := r.next.Read(p)
	r.traffic.sent.Add(int64(n))
	r.moves.Add(1)
	return n, err
}

// out is what comes from the host.
func (f *flow) out(w io.Writer) io.Writer { return flowWriter{f, w} }

type flowWriter struct {
	*flow
	next io.Writer
}

func (w flowWriter) Write(p []byte) (int, error) {
	w.answered.Store(true)
	n, err := w.next.Write(p)
	w.traffic.received.Add(int64(n))
	w.moves.Add(1)
	return n, err
}
