package upload

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/colmena-go/colmena-go/pkg/memory"
)

// inbox holds what the host has said until it is read, so that a host that
// speaks while we still send never blocks both sides.
type inbox struct {
	mu    sync.Mutex
	grown *sync.Cond
	text  bytes.Buffer
	total int // bytes so far
	ended bool
}

// inboxSize is far more than all that is to say of 10,000 keys, beside two whole books of
// what the host remembers; a host that sends more lies.
const inboxSize = 16<<20 + 2*memory.MaxSize

func newInbox() *inbox {
	b := &inbox{}
	b.grown = sync.NewCond(&b.mu)
	return b
}

func (b *inbox) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.total += len(p); b.total > inboxSize {
		return 0, errors.New("the host says too much")
	}
	b.text.Write(p)
	b.grown.Broadcast()
	return len(p), nil
}

// Read waits for text, or for end.
func (b *inbox) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.text.Len() == 0 {
		if b.ended {
			return 0, io.EOF
		}
		b.grown.Wait()
	}
	return b.text.Read(p)
}

// end says that no more will be written.
func (b *inbox) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	b.grown.Broadcast()
}
