package closure

import (
	"maps"
	"path"
	"slices"
)

// Pair is a system and the one that is to take its place on a host. What each needs may be
// known on this machine; the host's store tells the rest.
type Pair struct {
	Old, New System
	There    bool // the host has New, with all that it needs
	Builds   bool // the host is to build New itself
}

// Question is what a host's store is asked; nothing is sent or changed there.
type Question struct {
	Closures []string // paths: what does each need?
	Wanted   []string // paths: which of them are not there?
}

// Empty reports whether nothing is asked.
func (q Question) Empty() bool { return len(q.Closures)+len(q.Wanted) == 0 }

// Answer is what it says.
type Answer struct {
	Closures map[string]map[string]int64 // of each path that is there: all that it needs, with the size in bytes
	Lacks    []string                    // those of Wanted, sorted
}

// Copy is what is to be copied to a host, or fetched by it.
type Copy struct {
	Paths int
	Bytes int64
}

// Found is what came of it.
type Found struct {
	There    bool     // the host has New
	Copy     *Copy    // what the host lacks of New; nil: not known
	Packages *Diff    // nil: not known, or there are no two
	Unknown  []string // what is not known, and why
}

// Question is what the host has to tell of the two.
func (p Pair) Question() (q Question) {
	switch {
	case p.There && p.New.Known():
	case p.There:
		q.Closures = append(q.Closures, p.New.Path)
	case p.New.Known():
		q.Wanted = slices.Sorted(maps.Keys(p.New.Sizes))
	default: // the host is to build it
		q = Question{[]string{p.New.Path}, []string{p.New.Path}}
	}
	// What is elsewhere than in its store, a host's Nix would not answer for.
	if p.Old.Path != p.New.Path && !p.Old.Known() && path.Dir(p.Old.Path) == path.Dir(p.New.Path) {
		q.Closures = append(q.Closures, p.Old.Path)
	}
	return q
}

// Compare compares the two with what the host says.
func (p Pair) Compare(says Answer) Found {
	if !p.New.Known() {
		p.New.Sizes = says.Closures[p.New.Path]
	}
	if !p.Old.Known() {
		p.Old.Sizes = says.Closures[p.Old.Path]
	}
	f := Found{There: p.There || len(says.Lacks) == 0}
	switch {
	case f.There:
		f.Copy = &Copy{}
	case p.Builds:
		f.Unknown = append(f.Unknown, "the host builds the system itself: how much is copied is known only after the build")
	case p.New.Known():
		f.Copy = &Copy{Paths: len(says.Lacks)}
		for _, path := range says.Lacks {
			f.Copy.Bytes += p.New.Sizes[path]
		}
	}
	switch {
	case p.Old.Path == p.New.Path:
	case !p.New.Known() && !f.There:
		f.Unknown = append(f.Unknown, "packages: the system is not built yet (--no-build-on-target builds it here)")
	case p.Old.Path == "":
	case !p.New.Known():
		f.Unknown = append(f.Unknown, "packages: the host does not tell what "+p.New.Path+" needs")
	case !p.Old.Known():
		f.Unknown = append(f.Unknown, "packages: the host does not tell what "+p.Old.Path+" needs")
	default:
		diff := Compare(p.Old, p.New)
		f.Packages = &diff
	}
	return f
}
