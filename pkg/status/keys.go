package status

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// Place says how a key is in its place, as far as that is to be seen without its content.
type Place string

// The ways.
const (
	InPlace Place = "in place" // a file with the right owner and mode; its content was not looked at
	Missing Place = "missing"
	Drifted Place = "drifted" // something else is there, or its owner or mode is another
)

// Key is one key of a node, as its host has it.
type Key struct {
	Name  string // attribute name
	Path  string
	Place Place
	Note  string // what has drifted
}

// Paths are where a node's keys are to be.
func Paths(keys []hive.Key) []string {
	paths := make([]string, len(keys))
	for i, key := range keys {
		paths[i] = key.Path()
	}
	return paths
}

// Keys says of each key how the host has it, if it was asked about [Paths].
func (s State) Keys(keys []hive.Key) []Key {
	list := make([]Key, len(keys))
	for i, key := range keys {
		list[i] = Key{Name: key.Attr, Path: key.Path(), Place: InPlace}
		file, there := s.Files[key.Path()]
		if !there {
			list[i].Place = Missing
		} else if note := drift(key, file); note != "" {
			list[i].Place, list[i].Note = Drifted, note
		}
	}
	return list
}

// Looked says the same of keys whose content was compared, too.
func Looked(keys []plan.KeyOutlook) []Key {
	list := make([]Key, len(keys))
	for i, k := range keys {
		list[i] = Key{Name: k.Name, Path: k.Path, Place: InPlace}
		switch {
		case k.New:
			list[i].Place = Missing
		case k.Change != plan.Unchanged:
			list[i].Place, list[i].Note = Drifted, "another "+strings.Join(k.Differs, ", ")
		case k.Note != "": // its owner does not exist, and root has it
			list[i].Place, list[i].Note = Drifted, k.Note
		}
	}
	return list
}

// drift says what is other than the key wants, "" for nothing.
func drift(key hive.Key, file File) string {
	switch {
	case !file.Regular:
		return "something that is not a regular file is there"
	case !owned(key.User, file.User, file.UID) || !owned(key.Group, file.Group, file.GID):
		return fmt.Sprintf("owned by %s:%s and not %s:%s", called(file.User, file.UID), called(file.Group, file.GID), key.User, key.Group)
	case file.Mode != key.Mode:
		return fmt.Sprintf("mode %04o and not %04o", file.Mode, key.Mode)
	}
	return ""
}

// owned: a number is its own id, unless a user bears it as a name.
func owned(want, name string, id int) bool { return want == name || want == strconv.Itoa(id) }

// unknown is what stat(1) says for an id that has no name.
const unknown = "UNKNOWN"

func called(name string, id int) string {
	if name == unknown {
		return strconv.Itoa(id)
	}
	return name
}

// CountKeys counts the keys in each way of being in their places.
func CountKeys(keys []Key) map[Place]int {
	count := map[Place]int{}
	for _, key := range keys {
		count[key.Place]++
	}
	return count
}
