package plan

import (
	"maps"
	"path"
	"slices"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/memory"
)

// Standing is how a host has a key.
type Standing string

// The ways. All but InPlace are drift.
const (
	InPlace    Standing = "in place"
	Missing    Standing = "missing"
	Differs    Standing = "differs" // another content, or what is no regular file
	WrongOwner Standing = "wrong owner or mode"
	Stale      Standing = "stale" // an upload put it there, and the node no longer declares it
)

// Standings are all, in the order in which they are counted.
var Standings = []Standing{InPlace, Missing, Differs, WrongOwner, Stale}

// Compared is with what a key's content was compared.
type Compared string

// The answers.
const (
	WithNothing Compared = ""         // there is no file, or the host has no record of it
	WithRecord  Compared = "record"   // what the host remembers of the upload
	WithSource  Compared = "resolved" // what its source gives now
)

// KeyStanding is how a host has one key. It holds no content and no digest.
type KeyStanding struct {
	Name     string // attribute name
	Path     string
	Is       Standing
	Wrong    []string // owner, group, mode, access list
	Compared Compared
	Note     string // what else is to be said
	InMemory bool   // which a reboot empties
}

// Drifts reports whether the host has not what the hive says.
func (s KeyStanding) Drifts() bool { return s.Is != InPlace }

// StandingOf is how a host that was looked at has wanted keys: against their contents where
// these are resolved, and otherwise against what the host remembers.
func StandingOf(wanted []WantedKey, resolved bool, seen Observed) []KeyStanding {
	list := make([]KeyStanding, len(wanted))
	for i, want := range wanted {
		list[i] = standing(want, resolved, seen)
	}
	return list
}

func standing(want WantedKey, resolved bool, seen Observed) KeyStanding {
	key := want.Key
	file := seen.Files[key.Path()]
	s := KeyStanding{Name: key.Attr, Path: key.Path(), Is: InPlace, InMemory: seen.Dirs[key.DestDir].Volatile}
	switch {
	case file.Obstacle != "":
		s.Is, s.Note = Differs, file.Obstacle+" is there, not a regular file"
		return s
	case !file.Present:
		s.Is = Missing
		return s
	}
	s.Wrong = wrong(key, file, seen)
	if len(s.Wrong) > 0 {
		s.Is = WrongOwner
	}
	entries := seen.Memory.Of(key.Path())
	entry, known := seen.Memory.Recognise(key.Path(), file.Size, file.Digest)
	switch {
	case resolved:
		s.Compared = WithSource
		if file.Size != want.Size || !file.Digest.Equal(want.Digest) {
			s.Is, s.Note = Differs, "its content is not what its source gives"
		}
	case len(entries) == 0:
		s.Note = "content not compared: the host has no record of it"
	case !known:
		s.Compared, s.Is, s.Note = WithRecord, Differs, "its content is not what was uploaded"
	default:
		s.Compared = WithRecord
		if key.Fingerprint != "" && entry.Fingerprint != key.Fingerprint {
			s.Is, s.Note = Differs, "it was uploaded with another fingerprint"
		}
	}
	return s
}

// wrong says in what, besides its content, a file is not as its key says.
func wrong(key hive.Key, file FileState, seen Observed) (list []string) {
	uid, user := lookup(key.User, seen.Users)
	gid, group := lookup(key.Group, seen.Groups)
	for _, part := range []struct {
		name  string
		wrong bool
	}{
		{"owner", !user || file.UID != uid}, {"group", !group || file.GID != gid}, {"mode", file.Mode != key.Mode}, {"access list", file.ACL},
	} {
		if part.wrong {
			list = append(list, part.name)
		}
	}
	return list
}

// StaleKeys stand for what uploads placed for the node at paths that it no longer declares,
// to be looked for.
func StaleKeys(node string, keys []hive.Key, m *memory.Memory) []WantedKey {
	candidates := Candidates(m, node, keys)
	var list []WantedKey
	for _, at := range slices.Sorted(maps.Keys(candidates)) {
		newest := candidates[at][len(candidates[at])-1] // of a place, the likely one
		list = append(list, WantedKey{Key: hive.Key{Attr: newest.Attr, Name: path.Base(at), DestDir: path.Dir(at)}, Size: newest.Size})
	}
	return list
}

// StandingOfStale are those of them that are there still, as they were put there. keys is
// how the host was seen for the keys of the node: what is one of their files, by another
// path, is not stale.
func StandingOfStale(stale []WantedKey, keys []hive.Key, declared, seen Observed, m *memory.Memory) []KeyStanding {
	taken := map[string]bool{}
	for _, key := range keys {
		taken[declared.Dirs[key.DestDir].ID+"/"+key.Name] = true
	}
	var list []KeyStanding
	for _, want := range stale {
		dir, file := seen.Dirs[want.Key.DestDir], seen.Files[want.Key.Path()]
		_, known := m.Recognise(want.Key.Path(), file.Size, file.Digest)
		if file.Present && known && !taken[dir.ID+"/"+want.Key.Name] {
			list = append(list, KeyStanding{Name: want.Key.Attr, Path: want.Key.Path(), Is: Stale, Compared: WithRecord,
				Note: "the node no longer declares it", InMemory: dir.Volatile})
		}
	}
	return list
}
