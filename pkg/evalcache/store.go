package evalcache

import (
	"fmt"
	"io"
	"time"

	"github.com/colmena-go/colmena-go/pkg/ownfolder"
)

// store is a folder of files that this user alone can read. Several processes may
// use it at once: a file is replaced as a whole.
type store struct{ dir string }

// How much is kept.
const (
	mostFiles   = 64
	mostBytes   = 128 << 20 // of all files
	largestFile = 32 << 20
)

func (s store) read(name string) ([]byte, error) {
	root, err := ownfolder.Open(s.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", name)
	}
	if !ownfolder.Private(info) {
		return nil, fmt.Errorf("%s: %w", name, ownfolder.ErrForeign)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, largestFile))
	if err == nil {
		now := time.Now()
		root.Chtimes(name, now, now) // the oldest go first
	}
	return text, err
}

func (s store) write(name string, text []byte) error {
	if len(text) > largestFile {
		return fmt.Errorf("it would take %d bytes", len(text))
	}
	root, err := ownfolder.Make(s.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := ownfolder.Replace(root, name, text); err != nil {
		return err
	}
	_ = ownfolder.Prune(root, mostFiles, mostBytes) // or next time
	return nil
}
