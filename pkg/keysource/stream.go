package keysource

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

// stream reads a large keyFile once more, piece by piece. A file system that does not
// answer holds a thread until it does, but not the caller, as in [Resolver.file].
type stream struct {
	ctx  context.Context
	r    *Resolver
	key  hive.Key
	file *os.File
	buf  []byte // nobody reads it any more once a read was abandoned
	rest []byte // of the last piece
	end  error  // after rest

	mu      sync.Mutex
	reading bool // by a thread that nobody may be waiting for
	closed  bool
}

// pieceSize is how many bytes are read at once.
const pieceSize = 128 << 10

// openAgain opens a key's file to be sent. It fails as [Resolver.file] does.
func (r *Resolver) openAgain(ctx context.Context, key hive.Key) (io.ReadCloser, error) {
	file, err := unblocked(ctx, r, key, func() (*os.File, error) { return openFile(key.File) })
	if err != nil {
		return nil, err
	}
	return &stream{ctx: ctx, r: r, key: key, file: file, buf: make([]byte, pieceSize)}, nil
}

// Read fails with ErrFile or the cause of its context.
func (s *stream) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		if s.end != nil {
			return 0, s.end
		}
		s.rest, s.end = unblocked(s.ctx, s.r, s.key, s.piece)
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// piece reads on.
func (s *stream) piece() ([]byte, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, os.ErrClosed
	}
	s.reading = true
	s.mu.Unlock()
	defer s.readOn()
	n, err := s.file.Read(s.buf)
	switch {
	case n > 0:
		return s.buf[:n], nil // what is wrong is told the next time
	case err == io.EOF:
		return nil, io.EOF
	}
	return nil, fmt.Errorf("%w: %w", ErrFile, err)
}

// readOn ends a piece, and closes the file if that was asked for meanwhile.
func (s *stream) readOn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reading = false; s.closed {
		s.file.Close()
	}
}

// Close does not wait for what is being read.
func (s *stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	if s.closed = true; s.reading {
		return nil
	}
	return s.file.Close()
}
