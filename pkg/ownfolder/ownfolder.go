// Package ownfolder opens folders in which programs keep what is their user's alone. Whoever
// owns a folder above may put another in its place at any time, and root may have the HOME
// of somebody: so all is done through what was opened, and nothing is made among another's.
package ownfolder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ErrForeign: others may have put something there, or could not use what would be made.
var ErrForeign = errors.New("it is not this user's alone")

// Open opens a folder that is this user's, and into which nobody else can reach. It fails
// with [ErrForeign] for another one, and for a link.
func Open(dir string) (*os.Root, error) {
	named, err := os.Lstat(dir)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	opened, err := root.Stat(".")
	if err == nil && (!os.SameFile(named, opened) || !opened.IsDir() || !Private(opened)) {
		err = fmt.Errorf("%s: %w", dir, ErrForeign)
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return root, nil
}

// Make is Open of a folder that need not be there, nor those above it. It makes none among
// what is another user's, but for root's.
func Make(dir string) (*os.Root, error) {
	at := dir
	info, err := os.Stat(at)
	for errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at) {
		at = filepath.Dir(at)
		info, err = os.Stat(at)
	}
	if err != nil {
		return nil, err
	}
	if owner := ownerOf(info); owner != 0 && owner != os.Geteuid() {
		return nil, fmt.Errorf("%s: %w", at, ErrForeign)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return Open(dir)
}

// Private reports whether a file or folder is this user's, and nobody else can reach into it.
func Private(info fs.FileInfo) bool {
	return ownerOf(info) == os.Geteuid() && info.Mode().Perm()&0o077 == 0
}

// ownerOf is whose a file is, -1 if that is not known.
func ownerOf(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}
