package keysource

import (
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/colmena-go/colmena-go/pkg/secret"
)

// readFile reads a regular file, or what a symlink to one leads to. It waits
// for nothing: a FIFO opened without O_NONBLOCK would hang (open(2)).
func readFile(path string) (secret.Secret, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return secret.Secret{}, fmt.Errorf("%w: %w", ErrFile, err)
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return secret.Secret{}, fmt.Errorf("%w: %w", ErrFile, err)
	case !info.Mode().IsRegular():
		return secret.Secret{}, fmt.Errorf("%w: %s is a %s, and only a regular file is read", ErrFile, path, kind(info.Mode()))
	case info.Size() > MaxSize:
		return secret.Secret{}, fmt.Errorf("%s is %w: it has %d bytes, and at most %d are sent", path, ErrTooLarge, info.Size(), int64(MaxSize))
	}
	content, err := io.ReadAll(io.LimitReader(file, MaxSize+1))
	if err != nil {
		return secret.Secret{}, fmt.Errorf("%w: %w", ErrFile, err)
	}
	if len(content) > MaxSize {
		return secret.Secret{}, fmt.Errorf("%s is %w: at most %d bytes are sent", path, ErrTooLarge, int64(MaxSize))
	}
	return secret.New(content), nil
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
