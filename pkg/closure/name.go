package closure

import (
	"regexp"
	"strconv"
	"strings"
)

// pack is all of a package that a system needs.
type pack struct {
	versions map[string]bool
	paths    map[string]bool
	bytes    int64
}

// packages are those of a closure, by name.
func packages(sizes map[string]int64) map[string]pack {
	all := map[string]pack{}
	for path, size := range sizes {
		name, version := split(path)
		if version == "" {
			continue
		}
		p, met := all[name]
		if !met {
			p = pack{versions: map[string]bool{}, paths: map[string]bool{}}
		}
		p.versions[version], p.paths[path] = true, true
		p.bytes += size
		all[name] = p
	}
	return all
}

// hashLength is how many characters of a store path's last part come before its name,
// and a dash.
const hashLength = 32

// nameOf is a store path's name: without the store and the hash.
func nameOf(path string) string {
	base := path[strings.LastIndexByte(path, '/')+1:]
	if len(base) > hashLength && base[hashLength] == '-' {
		return base[hashLength+1:]
	}
	return base
}

// suffix is what may stand behind a version: names of outputs, as nixpkgs has them (that
// of the first is not part of a name), and of what is made around a package.
var suffix = regexp.MustCompile(`-(?:bin|data|debug|dev|devdoc|devman|dist|doc|docs|env|etc|firmware|fish-completions|info|lib|lib32|lib64|libgcc|locale|man|modules|modules-shrunk|out|private|py|share|static|terminfo|tools|unwrapped|wrapped|wrapper|zstd|xz|zoneinfo)$`)

// ours are names of what NixOS puts together for one system, with a version or not: it
// differs with every change and says nothing itself.
var ours = regexp.MustCompile(`^(?:nixos-system-|unit-|system-path|etc-|initrd-linux|stage-[12]-init)`)

// beginning of a version: the first dash that no letter follows (nix-env(1)).
var beginning = regexp.MustCompile(`-[^A-Za-z]`)

// split takes a store path's name apart. What has no version, or is a system's own, has
// the version "".
func split(path string) (name, version string) {
	whole := nameOf(path)
	if ours.MatchString(whole) {
		return whole, ""
	}
	at := beginning.FindStringIndex(whole)
	if at == nil || at[0] == 0 || !strings.ContainsAny(whole[at[0]:], "0123456789") {
		return whole, ""
	}
	name, version = whole[:at[0]], whole[at[0]+1:]
	for {
		shorter := suffix.ReplaceAllString(version, "")
		if shorter == version {
			return name, version
		}
		version = shorter
	}
}

// release is a NixOS version at the end of a name: 25.05.1. What stands before it, a
// host's name and tags, may hold dashes and numbers, too.
var release = regexp.MustCompile(`^nixos-system-.*?-([0-9]{2}\.[0-9]{2}(?:[^0-9-].*)?)$`)

// versionInName is the version in the name of a system's toplevel, "" for none.
func versionInName(path string) string {
	if found := release.FindStringSubmatch(nameOf(path)); found != nil {
		return found[1]
	}
	return ""
}

// compareVersions orders as Nix does, as far as that matters to who reads: parts that
// are numbers by their value.
func compareVersions(a, b string) int {
	for a != "" && b != "" {
		var x, y string
		x, a = component(a)
		y, b = component(b)
		m, errX := strconv.ParseUint(x, 10, 64)
		n, errY := strconv.ParseUint(y, 10, 64)
		switch {
		case x == y:
		case errX == nil && errY == nil && m != n:
			if m < n {
				return -1
			}
			return 1
		case errX == nil && errY == nil:
		case errX == nil:
			return 1 // 1.1 is newer than 1.rc
		case errY == nil:
			return -1
		default:
			return strings.Compare(x, y)
		}
	}
	return len(a) - len(b)
}

// component is the first part of a version: digits, or all that are none, without dots
// and dashes before.
func component(version string) (first, rest string) {
	version = strings.TrimLeft(version, ".-")
	digit := func(i int) bool { return version[i] >= '0' && version[i] <= '9' }
	end := 0
	for end < len(version) && digit(end) == digit(0) && version[end] != '.' && version[end] != '-' {
		end++
	}
	return version[:end], version[end:]
}

// storePath is the path in the store that a file is in, wherever the store is; the file's
// own where there is none.
func storePath(file string) string {
	end := 0
	for part := range strings.SplitSeq(file, "/") {
		end += len(part)
		if len(part) > hashLength && part[hashLength] == '-' {
			return file[:end]
		}
		end++
	}
	return file
}
