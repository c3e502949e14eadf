package ownfolder

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/colmena-go/colmena-go/tests/lacking"
)

func TestAFolderIsMadeForThisUserAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	for range 2 {
		root, err := Make(dir)
		if err != nil {
			t.Fatal(err)
		}
		root.Close()
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestNoFolderIsOpenedThatOthersReachInto(t *testing.T) {
	dir := t.TempDir()
	open, link, file := filepath.Join(dir, "open"), filepath.Join(dir, "link"), filepath.Join(dir, "file")
	err := errors.Join(os.Mkdir(open, 0o700), os.Chmod(open, 0o755), os.Symlink(t.TempDir(), link), os.WriteFile(file, nil, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{open: ErrForeign, link: ErrForeign, file: nil, filepath.Join(dir, "none"): os.ErrNotExist} {
		root, err := Open(path)
		if err == nil {
			root.Close()
			t.Errorf("%s is opened", path)
		} else if want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// As with a sudo that keeps HOME: what root makes there, its owner could not use.
func TestRootMakesNothingAmongWhatIsSomebodyElses(t *testing.T) {
	if os.Geteuid() != 0 {
		lacking.Skip(t, errors.New("not root"))
	}
	home := filepath.Join(t.TempDir(), "home")
	if err := errors.Join(os.Mkdir(home, 0o755), os.Chown(home, 1000, 1000)); err != nil {
		t.Fatal(err)
	}
	if root, err := Make(filepath.Join(home, ".local", "state")); !errors.Is(err, ErrForeign) {
		root.Close()
		t.Errorf("%v", err)
	}
	if entries, err := os.ReadDir(home); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
}
