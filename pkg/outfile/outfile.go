// Package outfile writes files that a user names for what a program has to tell at its
// end. That they can be written is seen at the beginning; each is replaced as a whole.
package outfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// File is a file that can be written, as far as could be seen.
type File struct {
	path string
	mode fs.FileMode
}

// New sees whether a file can be written, and leaves none. mode is that of a new file,
// whatever the umask; one that is there already, and this user's, keeps its own.
func New(path string, mode fs.FileMode) (*File, error) {
	switch info, err := os.Stat(path); {
	case path == "":
		return nil, errors.New("the file name is empty")
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("%s is a folder: name a file in it", path)
	case err == nil && !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file, and cannot be replaced as a whole: name another one", path)
	}
	path, err := filepath.Abs(path) // whatever becomes of the working directory
	if err != nil {
		return nil, err
	}
	f := &File{path, mode}
	begun, err := f.begin()
	if err != nil {
		return nil, err
	}
	begun.Close()
	return f, os.Remove(begun.Name())
}

// Path is absolute.
func (f *File) Path() string { return f.path }

// Write puts the text in the place of what was there. A link is replaced itself: what
// it leads to is not touched.
func (f *File) Write(text []byte) error {
	mode, group := f.kept()
	begun, err := f.begin()
	if err != nil {
		return err
	}
	if group >= 0 && begun.Chown(-1, group) != nil {
		mode &^= 0o070 // which were for another group
	}
	_, err = begun.Write(text)
	err = errors.Join(err, begun.Chmod(mode), begun.Close())
	if err == nil {
		err = os.Rename(begun.Name(), f.path)
	}
	if err != nil {
		os.Remove(begun.Name())
		return fmt.Errorf("%s cannot be written: %w", f.path, reason(err))
	}
	return nil
}

// begin makes the file that takes the place of the other; nobody else can read it.
func (f *File) begin() (*os.File, error) {
	begun, err := os.CreateTemp(filepath.Dir(f.path), "."+filepath.Base(f.path)+".")
	dir, missing := os.Stat(filepath.Dir(f.path))
	switch {
	case err != nil && errors.Is(missing, fs.ErrNotExist):
		return nil, fmt.Errorf("the folder %s is not there: make it first", filepath.Dir(f.path))
	case err != nil && missing == nil && !dir.IsDir():
		return nil, fmt.Errorf("%s is not a directory", filepath.Dir(f.path))
	case err != nil:
		return nil, fmt.Errorf("%s cannot be written: no file can be made in its folder: %w", f.path, reason(err))
	}
	return begun, nil
}

// kept is the mode that the file shall have, and its group, -1 for that of new files.
func (f *File) kept() (mode fs.FileMode, group int) {
	info, err := os.Lstat(f.path)
	if err != nil || !info.Mode().IsRegular() {
		return f.mode, -1
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) != os.Geteuid() {
		return f.mode, -1
	}
	return info.Mode().Perm(), int(stat.Gid)
}

// reason is an error without the name of the file that nobody has named.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
