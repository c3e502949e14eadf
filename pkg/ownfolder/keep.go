package ownfolder

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// KeptSuffix ends the names of the files that are kept.
const KeptSuffix = ".json"

// begunPrefix begins the names of files that are not yet written.
const begunPrefix = "new-"

// Replace puts a file in the place of the one of that name, or nothing does.
func Replace(root *os.Root, name string, text []byte) error {
	begun := begunPrefix + rand.Text()
	file, err := root.OpenFile(begun, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err == nil {
		err = root.Rename(begun, name)
	}
	if err != nil {
		return errors.Join(err, root.Remove(begun))
	}
	return nil
}

// Prune removes the oldest files of ours beyond a number and a size in bytes, and what
// killed processes have left.
func Prune(root *os.Root, most int, bytes int64) error {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	var files []fs.FileInfo
	for _, entry := range entries {
		ours := strings.HasPrefix(entry.Name(), begunPrefix) || strings.HasSuffix(entry.Name(), KeptSuffix)
		if info, err := entry.Info(); err == nil && ours && info.Mode().IsRegular() {
			files = append(files, info)
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	kept := make([]Item, len(files))
	for i, file := range files {
		kept[i] = Item{Name: file.Name(), Bytes: file.Size()}
	}
	excess := Excess(kept, most, bytes)
	for _, file := range files {
		torn := !strings.HasSuffix(file.Name(), KeptSuffix) && time.Since(file.ModTime()) > time.Hour
		if torn || slices.Contains(excess, file.Name()) {
			err = errors.Join(err, root.Remove(file.Name()))
		}
	}
	return err
}

// Item is something that is kept.
type Item struct {
	Name  string
	Kind  string // of each, so many are kept
	Bytes int64
}

// Excess names those of the items, the newest first, that are beyond a number of each kind,
// or a size in bytes of all.
func Excess(items []Item, most int, bytes int64) (names []string) {
	of := map[string]int{}
	for _, item := range items {
		bytes -= item.Bytes
		if of[item.Kind]++; of[item.Kind] > most || bytes < 0 {
			names = append(names, item.Name)
		}
	}
	return names
}
