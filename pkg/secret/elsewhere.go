package secret

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

// elsewhere is content that is not kept in memory.
type elsewhere struct {
	size   int64
	digest Digest
	open   func(ctx context.Context) (io.ReadCloser, error)
}

// ErrChanged: the content is not what it was when its digest was taken.
var ErrChanged = errors.New("it is not what it was when the upload began: run again")

// SourceError is why content that lies elsewhere could not be sent as it was.
type SourceError struct{ Err error }

func (e *SourceError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *SourceError) Unwrap() error { return e.Err }

// Measure reads all of a content that is to stay where it is, and returns its size in
// bytes and its digest.
func Measure(from io.Reader) (size int64, digest Digest, err error) {
	h := sha256.New()
	size, err = io.Copy(h, from)
	return size, digestOf(h), err
}

func digestOf(h hash.Hash) Digest { return newDigest([sha256.Size]byte(h.Sum(nil))) }

// Elsewhere is a secret that is read each time it is sent, by the reader that open
// returns, and never held whole. It cannot be revealed, only sent.
func Elsewhere(size int64, digest Digest, open func(ctx context.Context) (io.ReadCloser, error)) Secret {
	return Secret{away: func() *elsewhere { return &elsewhere{size, digest, open} }}
}

// Send writes the content to its destination. It fails as w does, or, for content that
// lies elsewhere, with a [*SourceError]: the source cannot be read, or with [ErrChanged] is
// another one now; what was written then is not the secret.
func (s Secret) Send(ctx context.Context, w io.Writer) error {
	if s.away == nil {
		_, err := io.Copy(w, bytes.NewReader(s.Reveal()))
		return err
	}
	away := s.away()
	from, err := away.open(ctx)
	if err != nil {
		return &SourceError{err}
	}
	defer from.Close()
	h := sha256.New()
	// One byte more than there was: it must not have grown, either.
	source := &sourceReader{from: io.LimitReader(from, away.size+1)}
	n, err := io.Copy(&exactly{w: io.MultiWriter(h, w), left: away.size}, source)
	switch {
	case source.err != nil:
		return &SourceError{source.err}
	case errors.Is(err, ErrChanged), err == nil && (n != away.size || !digestOf(h).Equal(away.digest)):
		return &SourceError{ErrChanged}
	case err != nil:
		return fmt.Errorf("sending: %w", err)
	}
	return nil
}

// sourceReader remembers that reading failed, which io.Copy does not tell from writing.
type sourceReader struct {
	from io.Reader
	err  error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// exactly fails with ErrChanged at the first byte too many, without writing it.
type exactly struct {
	w    io.Writer
	left int64
}

func (e *exactly) Write(p []byte) (int, error) {
	if int64(len(p)) > e.left {
		return 0, ErrChanged
	}
	e.left -= int64(len(p))
	return e.w.Write(p)
}
