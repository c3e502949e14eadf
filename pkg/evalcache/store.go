package evalcache

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
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

// mine fails unless a file is this user's, and nobody else can reach into it.
func mine(info os.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) != os.Getuid() || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s: %w", info.Name(), ownfolder.ErrForeign)
	}
	return nil
}

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
	if err := mine(info); err != nil {
		return nil, err
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
	begun := begunPrefix + rand.Text()
	f, err := root.OpenFile(begun, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = root.Rename(begun, name)
	}
	if err != nil {
		root.Remove(begun)
		return err
	}
	prune(root, mostFiles, mostBytes)
	return nil
}

// How the names of files of ours begin or end.
const (
	begunPrefix = "new-" // of one that is not yet written
	keptSuffix  = ".json"
)

// prune removes the oldest files beyond a number and a size, and what killed
// processes have left.
func prune(root *os.Root, files int, bytes int64) {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return
	}
	var list []os.FileInfo
	for _, entry := range entries {
		ours := strings.HasPrefix(entry.Name(), begunPrefix) || strings.HasSuffix(entry.Name(), keptSuffix)
		if info, err := entry.Info(); err == nil && ours && info.Mode().IsRegular() {
			list = append(list, info)
		}
	}
	slices.SortFunc(list, func(a, b os.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	for i, info := range list {
		bytes -= info.Size()
		torn := !strings.HasSuffix(info.Name(), keptSuffix) && time.Since(info.ModTime()) > time.Hour
		if i >= files || bytes < 0 || torn {
			root.Remove(info.Name())
		}
	}
}
