package evalcache

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// store is a folder of files that this user alone can read. Several processes may
// use it at once: a file is replaced as a whole.
type store struct{ dir string }

// How much is kept.
const (
	mostFiles   = 64
	mostBytes   = 64 << 20 // of all files
	largestFile = 16 << 20
)

var errForeign = errors.New("it is not this user's alone")

// mine fails unless a file or folder is this user's, and nobody else can reach
// into it.
func mine(info os.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) != os.Getuid() || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s: %w", info.Name(), errForeign)
	}
	return nil
}

func (s store) read(name string) ([]byte, error) {
	if err := s.look(); err != nil {
		return nil, err
	}
	file := filepath.Join(s.dir, name)
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := mine(info); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, largestFile))
	if err == nil {
		now := time.Now()
		os.Chtimes(file, now, now) // the oldest go first
	}
	return text, err
}

// look fails unless the folder is there and mine.
func (s store) look() error {
	info, err := os.Lstat(s.dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is no folder", s.dir)
	}
	return mine(info)
}

func (s store) write(name string, text []byte) error {
	if len(text) > largestFile {
		return fmt.Errorf("it would take %d bytes", len(text))
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	if err := s.look(); err != nil {
		return err
	}
	f, err := os.CreateTemp(s.dir, "new-") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(s.dir, name))
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	s.prune(mostFiles, mostBytes)
	return nil
}

// prune removes the oldest files beyond a number and a size, and what killed
// processes have left.
func (s store) prune(files int, bytes int64) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return
	}
	var list []os.FileInfo
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			list = append(list, info)
		}
	}
	slices.SortFunc(list, func(a, b os.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	for i, info := range list {
		bytes -= info.Size()
		torn := filepath.Ext(info.Name()) != ".json" && time.Since(info.ModTime()) > time.Hour
		if i >= files || bytes < 0 || torn {
			os.Remove(filepath.Join(s.dir, info.Name()))
		}
	}
}
