package shell

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/colmena-go/colmena-go/pkg/crash"
)

// Input is one input for many commands, each of which takes it at its own pace. It is
// kept in memory until the end, and nowhere else, as it may be secret.
type Input struct {
	mu   sync.Mutex
	data []byte
	err  error         // after the data: io.EOF, or what went wrong
	more chan struct{} // closed, and made anew, with each change
}

// Share begins to read an input of at most limit bytes. A longer one is an error for
// those who read it.
func Share(from io.Reader, limit int) *Input {
	in := &Input{more: make(chan struct{})}
	go func() { // ends with the input
		defer crash.Guard()
		piece := make([]byte, pieceSize)
		for {
			n, err := from.Read(piece)
			if !in.grow(piece[:n], err, limit) {
				return
			}
		}
	}()
	return in
}

func (in *Input) grow(piece []byte, err error, limit int) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if err == nil && len(in.data)+len(piece) > limit {
		piece, err = nil, fmt.Errorf("the input is larger than %d MiB, which are kept in memory for all hosts: copy it to them first", limit>>20)
	}
	in.data, in.err = append(in.data, piece...), err
	close(in.more)
	in.more = make(chan struct{})
	return err == nil
}

// Reader reads the input from its beginning, and ends when ctx is done.
func (in *Input) Reader(ctx context.Context) io.Reader { return &reader{ctx: ctx, in: in} }

type reader struct {
	ctx context.Context
	in  *Input
	at  int
}

func (r *reader) Read(p []byte) (int, error) {
	for {
		r.in.mu.Lock()
		n, err, more := copy(p, r.in.data[r.at:]), r.in.err, r.in.more
		r.in.mu.Unlock()
		r.at += n
		switch {
		case n > 0:
			return n, nil
		case err != nil:
			return 0, err
		}
		select {
		case <-more:
		case <-r.ctx.Done():
			return 0, context.Cause(r.ctx)
		}
	}
}
