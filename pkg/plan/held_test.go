package plan

import (
	"errors"
	"slices"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/memory"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// Each case changes what the host remembers or has of a key with the fingerprint v1.
func TestAKeyIsHeldWhereTheFileIsWhatTheFingerprintWasRememberedWith(t *testing.T) {
	right, other := secret.New([]byte("right")).Digest(), secret.New([]byte("other")).Digest()
	for name, c := range map[string]struct {
		entry func(*memory.Entry)
		file  func(*FileState)
		key   func(*hive.Key)
		held  bool
	}{
		"all as it was":            {held: true},
		"another owner and mode":   {file: func(f *FileState) { f.UID, f.Mode = 7, 0o644 }, held: true},
		"only found to be there":   {entry: func(e *memory.Entry) { e.Placed = false }, held: true},
		"of another node's time":   {entry: func(e *memory.Entry) { e.Node, e.Attr = "old", "old" }, held: true},
		"another content":          {file: func(f *FileState) { f.Digest = other }},
		"a content that is unread": {file: func(f *FileState) { f.Digest = secret.Digest{} }},
		"another size":             {file: func(f *FileState) { f.Size = 6 }},
		"gone":                     {file: func(f *FileState) { *f = FileState{} }},
		"something in its place":   {file: func(f *FileState) { *f = FileState{Obstacle: "a directory"} }},
		"another fingerprint":      {key: func(k *hive.Key) { k.Fingerprint = "v2" }},
		"none any more":            {key: func(k *hive.Key) { k.Fingerprint = "" }, entry: func(e *memory.Entry) { e.Fingerprint = "" }},
		"another path":             {entry: func(e *memory.Entry) { e.Path = "/d/l" }},
	} {
		entry := memory.Entry{Path: "/d/k", Node: "web", Attr: "k", Size: 5, Record: right.Salted(), Fingerprint: "v1", Placed: true}
		file := FileState{Present: true, Mode: 0o600, Size: 5, Digest: right}
		key := hive.Key{Attr: "k", Name: "k", DestDir: "/d", User: "root", Group: "root", Mode: 0o600, Fingerprint: "v1"}
		if c.entry != nil {
			c.entry(&entry)
		}
		if c.file != nil {
			c.file(&file)
		}
		if c.key != nil {
			c.key(&key)
		}
		var m memory.Memory
		edit := m.Edit()
		edit.Set(entry, false)
		if err := m.Read(false, []byte(edit.Texts()[0].Last)); err != nil {
			t.Fatal(err)
		}
		wanted, err := Held([]WantedKey{{Key: key, Size: 5, Held: true}}, Observed{Memory: m, Files: map[string]FileState{"/d/k": file}})
		var gone *NotHeldError
		if c.held != (err == nil) || !c.held && (!errors.As(err, &gone) || !slices.Equal(gone.Keys, []string{"k"})) {
			t.Errorf("%s: %v", name, err)
		}
		if c.held && (!wanted[0].Digest.Equal(right) || wanted[0].Size != 5) {
			t.Errorf("%s: %+v", name, wanted)
		}
	}
}

func TestAKeyThatIsHeldAndMustBeSentNeedsItsContent(t *testing.T) {
	steps := KeyPlan{
		{WantedKey: WantedKey{Key: hive.Key{Attr: "a"}, Held: true}, Send: true},
		{WantedKey: WantedKey{Key: hive.Key{Attr: "b"}, Held: true}},
		{WantedKey: WantedKey{Key: hive.Key{Attr: "c"}}, Send: true},
	}
	var gone *NotHeldError
	if err := steps.NeedsContent(); !errors.As(err, &gone) || !slices.Equal(gone.Keys, []string{"a"}) {
		t.Errorf("%v", err)
	}
	if err := steps[1:].NeedsContent(); err != nil {
		t.Error(err)
	}
}
