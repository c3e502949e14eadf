package nixbuild

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// errTooMuch ends what says more than can be an answer.
var errTooMuch = errors.New("the host says more than it was asked")

// inbox keeps what comes until it is read, up to so many bytes. Unlike a pipe it never has
// the writer wait: a host that answers before it has read the question, or ends, would
// hold up the end of its own connection.
type inbox struct {
	mu    sync.Mutex
	came  sync.Cond
	kept  bytes.Buffer
	room  int // bytes that may still come
	ended error
}

func newInbox(room int) *inbox {
	b := &inbox{room: room}
	b.came.L = &b.mu
	return b
}

// allow has so many bytes more come.
func (b *inbox) allow(bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.room += bytes
}

// Write fails with [errTooMuch], or when the inbox was closed.
func (b *inbox) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.ended != nil:
		return 0, io.ErrClosedPipe
	case len(p) > b.room:
		return 0, errTooMuch
	}
	b.room -= len(p)
	b.came.Broadcast()
	return b.kept.Write(p)
}

// Read waits for what comes. At the end it fails with what the inbox was closed with.
func (b *inbox) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.kept.Len() == 0 && b.ended == nil {
		b.came.Wait()
	}
	if b.kept.Len() == 0 {
		return 0, b.ended
	}
	return b.kept.Read(p)
}

// close has nothing more come.
func (b *inbox) close(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended == nil {
		b.ended = err
	}
	b.came.Broadcast()
}
