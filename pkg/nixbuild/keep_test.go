package nixbuild

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// temporaryRoot reports whether a running Nix keeps the path (Nix, gc.cc).
func temporaryRoot(path string) bool {
	files, _ := filepath.Glob("/nix/var/nix/temproots/*")
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), path) {
			return true
		}
	}
	return false
}

// collect has the garbage collector take one path, as it would take any garbage.
func collect(path string) (said string, err error) {
	out, err := exec.Command("nix-store", "--delete", path).CombinedOutput()
	return string(out), err
}

func TestDerivationsAndSystemsAreNoGarbageWhileTheDeploymentLasts(t *testing.T) {
	b := building(t, nil, `{ a = drv "a" ": >$out" [ (drv "dep" ": >$out" [ ]) ]; b = drv "b" ": >$out" [ ]; }`)
	a, other := b.systems["a"], b.systems["b"]
	b.Keep(a.DrvPath)
	until(t, "the derivation is kept", func() bool { return temporaryRoot(a.DrvPath) })
	sizes, err := b.Closure(t.Context(), a.DrvPath)
	if err != nil || len(sizes) != 2 {
		t.Fatal(sizes, err)
	}
	if errs := b.together("a"); errs["a"] != nil {
		t.Fatal(errs)
	}
	paths := []string{a.OutPath}
	for path, size := range sizes {
		if paths = append(paths, path); size < 100 {
			t.Errorf("%s has %d bytes", path, size)
		}
	}
	for _, path := range paths {
		if said, err := collect(path); err == nil || !strings.Contains(said, "alive") {
			t.Errorf("%s is garbage: %v, %s", path, err, said)
		}
	}
	if said, err := collect(other.DrvPath); err != nil {
		t.Fatal("nothing can be collected, so this shows nothing: ", said)
	}
	if _, err := b.Closure(t.Context(), other.DrvPath); err == nil || !strings.Contains(err.Error(), "lacks "+other.DrvPath) {
		t.Errorf("%v", err)
	}
	if _, err := collect(a.OutPath); err == nil {
		t.Error("a question that has no answer ends what is kept")
	}
	b.Close()
	if said, err := collect(a.OutPath); err != nil {
		t.Errorf("it is kept for ever: %s", said)
	}
}
