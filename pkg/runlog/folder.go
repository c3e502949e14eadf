package runlog

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/colmena-go/colmena-go/pkg/ownfolder"
)

// How much is kept of all runs; those that go on are kept in any case.
const (
	mostRuns  = 20 // of each command, so that many looks do not push out a deployment
	mostBytes = 256 << 20
)

// folder is that of one run. Whoever has it holds a lock on it (flock(2)), which ends with
// the process however that ends: nobody removes it meanwhile.
type folder struct {
	path string
	root *os.Root
	lock *os.File
}

// newFolder makes a folder for a run in dir.
func newFolder(dir, name string) (*folder, error) {
	above, err := ownfolder.Make(dir)
	if err != nil {
		return nil, err
	}
	defer above.Close()
	prune(above, name)
	for i := range 1000 {
		unique := fmt.Sprintf("%s-%d", name, os.Getpid())
		if i > 0 {
			unique += fmt.Sprintf(".%d", i)
		}
		err := above.Mkdir(unique, 0o700)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return hold(above, dir, unique)
	}
	return nil, fmt.Errorf("%s has a thousand logs of this second", dir)
}

// hold opens and locks a folder.
func hold(above *os.Root, dir, name string) (*folder, error) {
	root, err := above.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	lock, err := root.Open(".")
	if err != nil {
		root.Close()
		return nil, err
	}
	// A file system without locks: nobody can tell there whether the run goes on.
	_ = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	return &folder{filepath.Join(dir, name), root, lock}, nil
}

// append adds to a file. Of one that is full what came before stays under another name,
// and what came before that goes.
func (f *folder) append(name string, text []byte) error {
	if info, err := f.root.Stat(name); err == nil && info.Size()+int64(len(text)) > mostPerFile {
		f.root.Rename(name, strings.TrimSuffix(name, ".log")+".before.log")
	}
	file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text[max(0, len(text)-mostPerFile):])
	return errors.Join(err, file.Close())
}

func (f *folder) close() {
	f.root.Close()
	f.lock.Close()
}

// nameOfRun is how folders of runs are called.
var nameOfRun = regexp.MustCompile(`^[0-9]{8}-[0-9]{6}-(.*)-[0-9]+(\.[0-9]+)?$`)

// prune removes the oldest runs until the next one has room. What cannot be removed stays.
func prune(above *os.Root, next string) {
	dir, err := above.Open(".")
	if err != nil {
		return
	}
	defer dir.Close()
	entries, _ := dir.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return -cmp.Compare(a.Name(), b.Name()) })
	runs := []ownfolder.Item{{Kind: nameOfRun.FindStringSubmatch(next + "-0")[1]}}
	for _, entry := range entries {
		if name := nameOfRun.FindStringSubmatch(entry.Name()); entry.IsDir() && name != nil {
			runs = append(runs, ownfolder.Item{Name: entry.Name(), Kind: name[1], Bytes: size(above, entry.Name())})
		}
	}
	for _, name := range ownfolder.Excess(runs, mostRuns, mostBytes-mostPerRun) {
		remove(above, name)
	}
}

// size of the files of a run.
func size(above *os.Root, name string) (bytes int64) {
	dir, err := above.Open(name)
	if err != nil {
		return 0
	}
	defer dir.Close()
	infos, _ := dir.Readdir(-1)
	for _, info := range infos {
		bytes += info.Size()
	}
	return bytes
}

// remove removes a run that nobody holds.
func remove(above *os.Root, name string) {
	lock, err := above.Open(name)
	if err != nil {
		return
	}
	defer lock.Close()
	if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		above.RemoveAll(name)
	}
}

func sum(text string) []byte {
	s := sha256.Sum256([]byte(text))
	return s[:8]
}
