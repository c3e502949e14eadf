package keysource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// file reads a keyFile. A file system that does not answer (NFS, FUSE) holds a
// thread until it does, but not the caller: for that thread a slot stays taken.
func (r *Resolver) file(ctx context.Context, key hive.Key, tell teller) (secret.Secret, error) {
	defer tell.slow("reading " + key.File)()
	return unblocked(ctx, r, key, func() (secret.Secret, error) { return r.readFile(key) })
}

// unblocked runs what may block for ever, and waits for it no longer than ctx and
// the timeout allow. It fails with the cause of ctx, with ErrTimeout or as f does.
func unblocked[T any](ctx context.Context, r *Resolver, key hive.Key, f func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	var none T
	ctx, cancel := context.WithTimeoutCause(ctx, r.timeout(key), ErrTimeout)
	defer cancel()
	release, err := take(ctx, r.files)
	done := make(chan outcome, 1)
	if err == nil {
		go func() {
			defer crash.Guard()
			defer release()
			value, err := f()
			done <- outcome{value, err}
		}()
		select {
		case got := <-done:
			return got.value, got.err
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	if errors.Is(err, ErrTimeout) {
		err = fmt.Errorf("%w: %s was not read within %s; does its file system answer?", ErrFile, key.File, r.timeout(key))
	}
	return none, err
}

// inMemory is how many bytes of a file are kept. What is larger is read again for each
// host, so that the memory taken does not grow with it.
const inMemory = 16 << 10

// readFile reads a regular file, or what a symlink to one leads to.
func (r *Resolver) readFile(key hive.Key) (secret.Secret, error) {
	file, err := openFile(key.File)
	if err != nil {
		return secret.Secret{}, err
	}
	defer file.Close()
	begin, err := io.ReadAll(io.LimitReader(file, inMemory+1))
	if err != nil {
		return secret.Secret{}, fmt.Errorf("%w: %w", ErrFile, err)
	}
	if len(begin) <= inMemory {
		return secret.New(begin), nil
	}
	rest := io.LimitReader(file, MaxSize+1-int64(len(begin)))
	size, digest, err := secret.Measure(io.MultiReader(bytes.NewReader(begin), rest))
	clear(begin)
	if err != nil {
		return secret.Secret{}, fmt.Errorf("%w: %w", ErrFile, err)
	}
	if size > MaxSize {
		return secret.Secret{}, fmt.Errorf("%s is %w: at most %d bytes are sent", key.File, ErrTooLarge, int64(MaxSize))
	}
	return secret.Elsewhere(size, digest, func(ctx context.Context) (io.ReadCloser, error) {
		return r.openAgain(ctx, key)
	}), nil
}

// openFile opens a regular file that is not too large. It waits for no writer: a
// FIFO opened without O_NONBLOCK would hang (open(2)).
func openFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	info, err := file.Stat()
	switch {
	case err != nil:
		err = fmt.Errorf("%w: %w", ErrFile, err)
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%w: %s is a %s, and only a regular file is read", ErrFile, path, kind(info.Mode()))
	case info.Size() > MaxSize:
		err = fmt.Errorf("%s is %w: it has %d bytes, and at most %d are sent", path, ErrTooLarge, info.Size(), int64(MaxSize))
	default:
		return file, nil
	}
	file.Close()
	return nil, err
}

func kind(mode os.FileMode) string {
	switch {
	case mode.IsDir():
		return "directory"
	case mode&os.ModeNamedPipe != 0:
		return "FIFO"
	case mode&os.ModeDevice != 0:
		return "device"
	}
	return "special file"
}
