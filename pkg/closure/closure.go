// Package closure compares two NixOS systems by what each needs: which packages come,
// go or change their version, how much larger that is, and what waits for a reboot. It
// knows nothing but names and sizes; who asks a store or a host for them, checks them.
package closure

import (
	"maps"
	"slices"
	"strings"
)

// System is a NixOS system, as far as it is known.
type System struct {
	Path    string            // store path of its toplevel; "" for none
	Version string            // what its nixos-version says, "" if that is not known
	Boot    map[string]string // what it has of each of [BootParts]; nil if that is not known
	Sizes   map[string]int64  // all that it needs, by store path, with the size in bytes; nil if that is not known
}

// NixOS is the version of NixOS that the system is: what its file says, or else its name
// (nixos-system-HOST-25.05.1); "" where neither tells.
func (s System) NixOS() string {
	if s.Version != "" {
		return s.Version
	}
	return versionInName(s.Path)
}

// Known reports whether it is known what the system needs.
func (s System) Known() bool { return s.Sizes != nil }

// Bytes is the size of all that the system needs.
func (s System) Bytes() (sum int64) {
	for _, size := range s.Sizes {
		sum += size
	}
	return sum
}

// Change is how one package differs. A package is what bears a version in its name:
// the rest of a system are its own files.
type Change struct {
	Name     string
	Old, New []string // versions in order, without those that both have unless one has only these; empty where it lacks the package
	Bytes    int64    // how much larger the new one is
}

// Diff is how a new system differs from an old one.
type Diff struct {
	OldNixOS, NewNixOS string   // versions; "" where not known
	Changed            []Change // packages that both have, in other versions; these lists are sorted by name
	Added, Removed     []Change
	Rebuilt            int   // packages of the same versions that are other paths
	OldPaths, NewPaths int   // store paths that only the one has
	OldBytes, NewBytes int64 // sizes of all
}

// Compare tells how the new system differs from the old one. Both must be [System.Known].
func Compare(old, new System) Diff {
	d := Diff{OldNixOS: old.NixOS(), NewNixOS: new.NixOS(), OldBytes: old.Bytes(), NewBytes: new.Bytes()}
	for path := range old.Sizes {
		if _, both := new.Sizes[path]; !both {
			d.OldPaths++
		}
	}
	for path := range new.Sizes {
		if _, both := old.Sizes[path]; !both {
			d.NewPaths++
		}
	}
	was, is := packages(old.Sizes), packages(new.Sizes)
	names := maps.Clone(was)
	maps.Copy(names, is)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		d.add(name, was[name], is[name])
	}
	return d
}

// add puts one package where it belongs.
func (d *Diff) add(name string, was, is pack) {
	change := Change{Name: name, Bytes: is.bytes - was.bytes}
	change.Old, change.New = apart(was.versions, is.versions)
	switch {
	case len(was.versions) == 0:
		d.Added = append(d.Added, change)
	case len(is.versions) == 0:
		d.Removed = append(d.Removed, change)
	case len(change.Old)+len(change.New) > 0:
		d.Changed = append(d.Changed, change)
	case !maps.Equal(was.paths, is.paths):
		d.Rebuilt++
	}
}

// Same reports whether the systems need the same paths.
func (d Diff) Same() bool { return d.OldPaths == 0 && d.NewPaths == 0 }

// apart takes out what both have, unless then one of them has nothing left: of 1 and 2
// against 1 and 3 remain 2 and 3, but of 1 against 1 and 2 all.
func apart(was, is map[string]bool) (old, new []string) {
	old, new = versionsSorted(was), versionsSorted(is)
	onlyOld := slices.DeleteFunc(slices.Clone(old), func(v string) bool { return is[v] })
	onlyNew := slices.DeleteFunc(slices.Clone(new), func(v string) bool { return was[v] })
	switch {
	case len(onlyOld) == 0 && len(onlyNew) == 0:
		return nil, nil
	case len(onlyOld) == 0 || len(onlyNew) == 0:
		return old, new
	}
	return onlyOld, onlyNew
}

func versionsSorted(set map[string]bool) []string {
	return slices.SortedFunc(maps.Keys(set), func(a, b string) int {
		if byVersion := compareVersions(a, b); byVersion != 0 {
			return byVersion
		}
		return strings.Compare(a, b)
	})
}
