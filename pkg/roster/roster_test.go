package roster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestWhatIsKeptOfAHiveIsFoundAgain(t *testing.T) {
	s := Store{filepath.Join(t.TempDir(), "a", "b")}
	if got := s.Nodes("/hive.nix"); got != nil {
		t.Errorf("of a hive that was never seen: %v", got)
	}
	first := []Node{{"web", []string{"prod", "a \"tag\""}}, {"line\nbreak", nil}}
	second := []Node{{"web", nil}}
	for _, nodes := range [][]Node{first, second, first} {
		if err := s.Keep("/hive.nix", nodes); err != nil {
			t.Fatal(err)
		}
		if got := s.Nodes("/hive.nix"); !reflect.DeepEqual(got, nodes) {
			t.Errorf("got %v, kept was %v", got, nodes)
		}
	}
	if got := s.Nodes("/other/hive.nix"); got != nil {
		t.Errorf("of another hive: %v", got)
	}
	for path, want := range map[string]os.FileMode{s.Dir: 0o700, filepath.Join(s.Dir, fileOf("/hive.nix")): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
}

func TestWhatIsTheSameIsNotWrittenAgain(t *testing.T) {
	s := Store{filepath.Join(t.TempDir(), "names")}
	keep := func() os.FileInfo {
		t.Helper()
		if err := s.Keep("h", []Node{{"a", nil}}); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(s.Dir, fileOf("h")))
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	if before := keep(); !os.SameFile(before, keep()) {
		t.Error("the file was replaced")
	}
}

func TestOldHivesAreForgotten(t *testing.T) {
	s := Store{filepath.Join(t.TempDir(), "names")}
	for i := range mostHives + 5 {
		hive := fmt.Sprint(i)
		if err := s.Keep(hive, []Node{{"a", nil}}); err != nil {
			t.Fatal(err)
		}
		age := time.Now().Add(time.Duration(i-100) * time.Minute)
		if err := os.Chtimes(filepath.Join(s.Dir, fileOf(hive)), age, age); err != nil {
			t.Fatal(err)
		}
	}
	left, young := filepath.Join(s.Dir, "new-killed"), filepath.Join(s.Dir, "new-begun")
	if err := errors.Join(os.WriteFile(left, nil, 0o600), os.WriteFile(young, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(left, old, old); err != nil {
		t.Fatal(err)
	}
	if err := s.Keep("last", nil); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(s.Dir)
	if err != nil || len(entries) > mostHives {
		t.Errorf("%d files are kept, %v", len(entries), err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Error("what another run writes is taken from it:", err)
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("what a killed run left stays")
	}
	if s.Nodes("0") != nil || s.Nodes(fmt.Sprint(mostHives)) == nil {
		t.Error("not the oldest were forgotten")
	}
}

// The folder above may be another user's, who leads us where files of others are.
func TestNothingElsewhereIsRemoved(t *testing.T) {
	precious := filepath.Join(t.TempDir(), "precious")
	link := filepath.Join(t.TempDir(), "names")
	old := time.Now().Add(-2 * time.Hour)
	err := errors.Join(os.WriteFile(precious, nil, 0o600), os.Chtimes(precious, old, old), os.Chmod(filepath.Dir(precious), 0o700), os.Symlink(filepath.Dir(precious), link))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{link, filepath.Dir(precious)} {
		err := Store{dir}.Keep("/hive.nix", []Node{{"web", nil}})
		if _, lost := os.Stat(precious); lost != nil || (err == nil) != (dir != link) {
			t.Errorf("%s: %v, %v", dir, lost, err)
		}
	}
}

func TestADamagedFileIsNothing(t *testing.T) {
	s := Store{filepath.Join(t.TempDir(), "names")}
	err := errors.Join(os.Mkdir(s.Dir, 0o700), os.WriteFile(filepath.Join(s.Dir, fileOf("h")), []byte(`[{"name":`), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Nodes("h"); got != nil {
		t.Errorf("got %v", got)
	}
	if err := s.Keep("h", []Node{{"a", nil}}); err != nil || len(s.Nodes("h")) != 1 {
		t.Error("it cannot be replaced:", err)
	}
}

func TestWhatIsTooMuchIsNotKept(t *testing.T) {
	s := Store{filepath.Join(t.TempDir(), "names")}
	err := s.Keep("h", []Node{{Name: strings.Repeat("x", largestFile)}})
	if _, there := os.Stat(s.Dir); err == nil || !errors.Is(there, os.ErrNotExist) || s.Nodes("h") != nil {
		t.Errorf("%v, %v", err, there)
	}
}
