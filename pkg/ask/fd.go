package ask

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// fdLimit is how long an answer may take to come through a file descriptor.
var fdLimit = 30 * time.Second

// FromFD reads an answer that a program gives beforehand: the first line of an open
// file descriptor, which is closed then and passed on to nobody. It fails with
// [ErrNoAnswer] or the cause of ctx.
func FromFD(ctx context.Context, fd int) (answer secret.Secret, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, fdLimit, fmt.Errorf("%w: nothing comes through file descriptor %d within %s", ErrNoAnswer, fd, fdLimit))
	defer cancel()
	var info syscall.Stat_t
	if err := syscall.Fstat(fd, &info); err != nil {
		return answer, fmt.Errorf("%w: file descriptor %d is not open", ErrNoAnswer, fd)
	}
	syscall.CloseOnExec(fd)
	type read struct {
		answer secret.Secret
		err    error
	}
	done := make(chan read, 1)
	go func() {
		defer crash.Guard()
		file := os.NewFile(uintptr(fd), "file descriptor")
		defer file.Close()
		answer, err := firstLine(file)
		done <- read{answer, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return answer, fmt.Errorf("file descriptor %d: %w", fd, r.err)
		}
		return r.answer, nil
	case <-ctx.Done():
		return answer, context.Cause(ctx)
	}
}

// firstLine reads to the end of a line, or of all.
func firstLine(from io.Reader) (answer secret.Secret, err error) {
	var text [maxAnswer]byte
	defer clear(text[:])
	n := 0
	for n < len(text) {
		got, err := from.Read(text[n:])
		n += got
		if end := bytes.IndexByte(text[:n], '\n'); end >= 0 {
			return secret.New(bytes.Clone(text[:end])), nil
		}
		switch {
		case err == io.EOF && n > 0:
			return secret.New(bytes.Clone(text[:n])), nil
		case err == io.EOF:
			return answer, fmt.Errorf("%w: it is empty", ErrNoAnswer)
		case err != nil:
			return answer, fmt.Errorf("%w: it cannot be read: %w", ErrNoAnswer, err)
		}
	}
	return answer, errTooLong
}
