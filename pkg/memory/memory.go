// Package memory is what a host remembers of the keys that were brought to it: which files
// they are, whether a file still is what was brought, and which units wait to be restarted
// for them. It is pure: pkg/upload carries the text, which no host reads itself.
//
// A host has two books, root's alone. What concerns files in memory is in memory too
// (/run), so that of a secret that was never to be on a disk not even a salted digest is,
// and goes with the boot, as the files do. The other one is on the disk (/var/lib).
package memory

import (
	"slices"

	"github.com/colmena-go/colmena-go/pkg/secret"
)

// Entry is a file that a host may have. It holds no secret.
type Entry struct {
	Path        string // destDir and name, as the hive spelled them
	Node, Attr  string // whose key it was
	Size        int64  // bytes
	Record      secret.Salted
	Fingerprint string // of what the content was made from; "" for none
	// Placed: an upload put this content there. Otherwise it was found to be there.
	Placed   bool
	Volatile bool // in memory, which a reboot empties
}

// Is reports whether a file of that size and digest is what the entry is about.
func (e Entry) Is(size int64, digest secret.Digest) bool {
	return e.Size == size && e.Record.Of(digest)
}

// same reports whether both would be one line.
func (e Entry) same(other Entry) bool {
	return e.Volatile == other.Volatile && line(is, e) == line(is, other)
}

// Job is what is owed to a unit whose key changed, until it is done. A reboot pays all.
type Job struct {
	Unit   string
	Reload bool // or restart
	Node   string
}

// Memory is both books. The zero value remembers nothing.
type Memory struct {
	books [2]book
}

// book is what one file says.
type book struct {
	there   bool    // the file is, and can be added to
	lines   int     // of it
	size    int     // bytes
	entries []Entry // oldest first; those of one path are all possible
	places  map[string][]Entry
	owed    []Job
}

func (m *Memory) book(volatile bool) *book {
	if volatile {
		return &m.books[0]
	}
	return &m.books[1]
}

// Of is what may be at a path, oldest first: one entry, or several where an upload was cut
// off while it changed the file.
func (m *Memory) Of(path string) []Entry {
	return slices.Concat(m.books[0].places[path], m.books[1].places[path])
}

// Recognise finds the entry of a file that is at a path now.
func (m *Memory) Recognise(path string, size int64, digest secret.Digest) (Entry, bool) {
	for _, e := range slices.Backward(m.Of(path)) {
		if e.Is(size, digest) {
			return e, true
		}
	}
	return Entry{}, false
}

// Stale lists what uploads placed for a node and no longer is at a path that it declares.
// A file may have several entries; and two paths may be one file, which the host alone can
// tell.
func (m *Memory) Stale(node string, declared func(path string) bool) []Entry {
	var list []Entry
	for _, b := range m.books {
		for _, e := range b.entries {
			if e.Node == node && e.Placed && !declared(e.Path) {
				list = append(list, e)
			}
		}
	}
	return list
}

// Owed lists the jobs that are still to be done, oldest first.
func (m *Memory) Owed() []Job { return slices.Clone(m.book(true).owed) }
