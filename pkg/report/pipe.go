package report

import (
	"context"
	"io"
	"slices"
	"sync"

	"github.com/colmena-go/colmena-go/pkg/crash"
)

// Pipe is the way to standard output for what must not be lost: unlike [Terminal],
// it makes those who write wait for who reads. A Write is never mixed with others.
type Pipe struct {
	ctx    context.Context
	out    io.Writer
	queue  chan []byte
	over   chan struct{} // closed by Close
	failed chan struct{} // closed once err is set
	ended  chan struct{}
	err    error
	close  sync.Once
}

// NewPipe returns a Pipe to out. When ctx is done, nothing is waited for any more.
func NewPipe(ctx context.Context, out io.Writer) *Pipe {
	p := &Pipe{ctx: ctx, out: out, queue: make(chan []byte, 16),
		over: make(chan struct{}), failed: make(chan struct{}), ended: make(chan struct{})}
	go crash.Guarded(p.print)()
	return p
}

// Write fails when ctx is done, or when out has failed.
func (p *Pipe) Write(text []byte) (int, error) {
	select {
	case <-p.failed:
		return 0, p.err
	default:
	}
	select {
	case p.queue <- slices.Clone(text):
		return len(text), nil
	case <-p.failed:
		return 0, p.err
	case <-p.over:
		return 0, io.ErrClosedPipe
	case <-p.ctx.Done():
		return 0, context.Cause(p.ctx)
	}
}

func (p *Pipe) print() {
	defer close(p.ended)
	for {
		select {
		case text := <-p.queue:
			if !p.write(text) {
				return
			}
			continue
		default:
		}
		select {
		case text := <-p.queue:
			if !p.write(text) {
				return
			}
		case <-p.over:
			return
		}
	}
}

func (p *Pipe) write(text []byte) bool {
	if _, err := p.out.Write(text); err != nil {
		p.err = err
		close(p.failed)
		return false
	}
	return true
}

// Close waits until everything is written. Nobody writes any more.
func (p *Pipe) Close() {
	p.close.Do(func() { close(p.over) })
	select {
	case <-p.ended:
	case <-p.ctx.Done():
	}
}
