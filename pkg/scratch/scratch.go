// Package scratch makes folders that last no longer than this process: what a
// killed one left behind goes with the next.
package scratch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
)

// prefix of a folder's name. Whoever has it holds a lock on it (flock(2)), which
// ends with the process however that ends.
const prefix = "colmena-go-run-"

var sweepOnce sync.Once

// Dir makes an empty folder for temporary files that nobody else can enter, and
// returns what removes it. The first call also sweeps away those of this user
// whose process is dead.
func Dir() (path string, remove func(), err error) {
	at := base()
	sweepOnce.Do(func() { sweep(at) })
	for range 100 {
		path, lock, err := locked(at)
		if err != nil {
			return "", nil, err
		}
		if lock != nil {
			return path, func() {
				os.RemoveAll(path)
				lock.Close()
			}, nil
		}
	}
	return "", nil, fmt.Errorf("every new folder in %s is taken away at once", at)
}

// uri is what Nix takes as it is in the URI of a store, unix://PATH.
var uri = regexp.MustCompile(`^[A-Za-z0-9/._+~-]+$`)

// base is the folder for temporary files, unless its name is of no use to Nix.
func base() string {
	if dir := os.TempDir(); uri.MatchString(dir) {
		return dir
	}
	return "/tmp"
}

// locked makes a folder and locks it. The lock is nil if somebody who sweeps was
// faster.
func locked(base string) (string, *os.File, error) {
	path, err := os.MkdirTemp(base, prefix) // 0700
	if err != nil {
		return "", nil, err
	}
	lock, err := os.Open(path)
	if err != nil {
		return "", nil, orSwept(err)
	}
	if err := flock(lock); errors.Is(err, syscall.EWOULDBLOCK) {
		lock.Close()
		return "", nil, nil
	} // a file system without locks: nobody can sweep there either
	ours, err := lock.Stat()
	if err == nil {
		var there fs.FileInfo
		if there, err = os.Lstat(path); err == nil && os.SameFile(ours, there) {
			return path, lock, nil
		}
	}
	lock.Close()
	return "", nil, orSwept(err)
}

// orSwept takes for no error that the folder is gone.
func orSwept(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func flock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// sweep removes this user's folders that nobody holds. What cannot be removed
// stays.
func sweep(base string) {
	root, err := os.OpenRoot(base)
	if err != nil {
		return
	}
	defer root.Close()
	found, _ := filepath.Glob(filepath.Join(base, prefix+"*"))
	for _, path := range found {
		sweepDir(root, filepath.Base(path))
	}
}

// sweepDir looks before and after it enters, and removes only through what it
// entered: others may swap names in the folder for temporary files.
func sweepDir(root *os.Root, name string) {
	before, err := root.Lstat(name)
	if err != nil || !mine(before) {
		return
	}
	dir, err := root.OpenRoot(name)
	if err != nil {
		return
	}
	defer dir.Close()
	lock, err := dir.Open(".")
	if err != nil {
		return
	}
	defer lock.Close()
	entered, err := lock.Stat()
	if err != nil || !os.SameFile(before, entered) || flock(lock) != nil {
		return
	}
	entries, _ := lock.Readdirnames(-1)
	for _, entry := range entries {
		dir.RemoveAll(entry)
	}
	root.Remove(name)
}

// mine: a folder that this user made as [os.MkdirTemp] does.
func mine(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.IsDir() && info.Mode().Perm() == 0o700 && int(stat.Uid) == os.Geteuid()
}
