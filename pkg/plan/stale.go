package plan

import (
	"path"
	"slices"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/memory"
)

// Prunes reports whether files of keys that the node no longer declares are to be removed
// from its host. After test, and boot without a reboot, the system before is to come back,
// and wants them.
func (w Want) Prunes(n hive.Node) bool {
	stays := w.Goal == hive.Switch || w.Goal == hive.Keys || w.Goal == hive.Boot && w.Reboot == Always
	return stays && !w.NoKeys && n.Target != nil && (w.PruneKeys || n.RemoveStaleKeys)
}

// StaleFile is one that an upload placed for a key that its node no longer declares.
type StaleFile struct {
	Path, Attr string
	Volatile   bool
	Gone       bool   // it is not there, or is now another key's
	Kept       string // why it is not removed, though it is there; "" where it is
}

// Remove reports whether the file is to be removed.
func (f StaleFile) Remove() bool { return !f.Gone && f.Kept == "" }

// Candidates are the paths of what a host remembers to have got for a node, and which none of
// its keys has, each with what may be there, in order. What is no path of a key is left out.
func Candidates(m *memory.Memory, node string, declared []hive.Key) map[string][]memory.Entry {
	paths := map[string]bool{}
	for _, key := range declared {
		paths[key.Path()] = true
	}
	list := map[string][]memory.Entry{}
	for _, entry := range m.Stale(node, func(p string) bool { return paths[p] }) {
		if keyPath(entry.Path) {
			list[entry.Path] = append(list[entry.Path], entry)
		}
	}
	return list
}

// keyPath reports whether a key can have the path: a host that remembers another one is
// not to be believed.
func keyPath(p string) bool {
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	return !strings.Contains(p, "/.colmena-go.") && !strings.ContainsFunc(p, control)
}

// JudgeStale decides about the entries of one path: what is there, as far as the host was asked,
// is removed only if it is what was placed there. declared are the places of the node's keys.
func JudgeStale(entries []memory.Entry, seen Observed, declared map[string]bool) StaleFile {
	at := entries[len(entries)-1].Path
	file := StaleFile{Path: at, Attr: entries[len(entries)-1].Attr, Volatile: entries[len(entries)-1].Volatile}
	dir, there := seen.Dirs[path.Dir(at)], seen.Files[at]
	is := func(e memory.Entry) bool { return e.Is(there.Size, there.Digest) }
	switch {
	case declared[dir.ID+"/"+path.Base(at)]:
		file.Gone = true
	case there.Obstacle != "":
		file.Kept = "it is " + there.Obstacle + " now"
	case !there.Present:
		file.Gone = true
	case !slices.ContainsFunc(entries, is):
		file.Kept = "it is no longer what was put there"
	case dir.Fixed != "":
		file.Kept = dir.Fixed
	}
	return file
}
