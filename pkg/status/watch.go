package status

import (
	"context"
	"errors"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
)

// Host is a connection to one; pkg/remote's Host is one.
type Host interface {
	hostscript.Runner
	Close() error
}

// Watcher asks hosts again and again, each over one connection, which is made anew when
// it was lost. Its fields are not changed while it is used.
type Watcher struct {
	Every time.Duration // between an answer and the next question
	// Open connects to a node's host.
	Open func(ctx context.Context, node hive.Node) (Host, error)
	// Vain reports whether an error of Open is one that further attempts do not mend, or
	// that may lock an account with them. It may be nil.
	Vain func(err error) bool
	// Slots has room for as many as are asked or connected to at once; nil: all.
	Slots chan struct{}
	// Tell is told of each answer, and of each failure, from many goroutines.
	Tell func(Answer)
}

// Answer is what became of one question.
type Answer struct {
	Node      hive.Node
	State     *State // nil with an Err
	Err       error
	Connected bool // the Err is one of the host's that we are connected to
	Last      bool // it is not tried again
}

// Watch asks one node's host until ctx is done, or it is in vain.
func (w *Watcher) Watch(ctx context.Context, node hive.Node) {
	var host Host
	defer func() {
		if host != nil {
			host.Close()
		}
	}()
	for {
		a := w.once(ctx, node, &host)
		if ctx.Err() != nil {
			return
		}
		w.Tell(a)
		if a.Last {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(w.Every):
		}
	}
}

// once asks a host, to which it connects if need be.
func (w *Watcher) once(ctx context.Context, node hive.Node, host *Host) Answer {
	a := Answer{Node: node}
	if w.Slots != nil {
		select {
		case w.Slots <- struct{}{}:
			defer func() { <-w.Slots }()
		case <-ctx.Done():
			a.Err = context.Cause(ctx)
			return a
		}
	}
	if *host == nil {
		opened, err := w.Open(ctx, node)
		if err != nil {
			a.Err, a.Last = err, w.Vain != nil && w.Vain(err)
			return a
		}
		*host = opened
	}
	a.Connected = true
	state, err := Ask(ctx, *host, Paths(node.Keys))
	switch {
	case err == nil:
		a.State = &state
	case !errors.Is(err, ErrUnclear): // the connection may be lost, whatever it was
		(*host).Close()
		*host = nil
	}
	a.Err = err
	return a
}
