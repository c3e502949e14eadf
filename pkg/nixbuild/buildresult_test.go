package nixbuild

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/nix"
	"github.com/colmena-go/colmena-go/tests/nixenv"
)

func TestWhatIsThereIsNotBuilt(t *testing.T) {
	b := building(t, nil, `{ a = drv "a" ": >$out" [ ]; b = drv "b" ": >$out" [ ]; new = drv "new" "read x <${DIR}/gate; : >$out" [ ]; }`)
	for node, err := range b.together("a", "b") {
		if err != nil {
			t.Errorf("%s: %v", node, err)
		}
	}
	if err := os.Remove(b.calls); err != nil {
		t.Fatal(err)
	}
	// Who is ready does not wait for who is not.
	open := b.gate("gate")
	slow := b.start(t.Context(), "new")
	for node, err := range b.together("a", "b") {
		if err != nil {
			t.Errorf("%s: %v", node, err)
		}
	}
	open()
	if err := <-slow; err != nil {
		t.Error(err)
	}
	if n := b.called("--realise"); n != 1 {
		t.Errorf("%d processes", n)
	}
	if b.heard("building a") != 1 {
		t.Errorf("a was built again: %q", b.said)
	}
}

func TestADerivationThatIsNotThereIsNamed(t *testing.T) {
	nixenv.Use(t)
	b := New(nix.Tool{}, BuilderOptions{})
	defer b.Close()
	err := b.Build(t.Context(), Build{DrvPath: unbuilt + ".drv", OutPath: unbuilt})
	if err == nil || !strings.Contains(err.Error(), "none.drv") {
		t.Errorf("a derivation that is not there was built: %v", err)
	}
}

func TestNoResultIsGarbageBeforeTheDeploymentIsOver(t *testing.T) {
	b := building(t, nil, `{ a = drv "a" ": >$out" [ ]; }`)
	collect := func() error { return exec.Command("nix-store", "--delete", b.systems["a"].OutPath).Run() }
	for range 2 { // when it was built, and when it was there
		if err := b.together("a")["a"]; err != nil {
			t.Fatal(err)
		}
		if collect() == nil {
			t.Error("it was deleted")
		}
	}
	b.Close()
	if err := collect(); err != nil {
		t.Error("it is kept after the end: ", err)
	}
}

func TestAStoreThatWentAwayIsAskedAgain(t *testing.T) {
	b := building(t, nil, `{ a = drv "a" ": >$out" [ ]; }`)
	if err := b.together("a")["a"]; err != nil {
		t.Fatal(err)
	}
	b.store.nix.in.Close() // it ends
	if err := <-b.store.nix.ended; err != nil {
		t.Fatal(err)
	}
	b.store.nix.ended <- errors.New("it went away")
	if err := b.together("a")["a"]; err == nil || err.Error() != "looking for what is built: it went away" {
		t.Errorf("%v", err)
	}
	if err := b.together("a")["a"]; err != nil {
		t.Error(err)
	}
}

func TestResultsAreKeptEachUnderItsName(t *testing.T) {
	b := building(t, nil, `{ a = drv "a" ": >$out" [ ]; b = drv "b" ": >$out" [ ]; bad = drv "bad" "exit 1" [ ]; }`)
	links := map[string]string{}
	for name, system := range b.systems {
		links[name] = filepath.Join(b.dir, ".gcroots", "node-"+name)
		system.GCRoot = links[name]
		b.systems[name] = system
	}
	errs := b.together("a", "b", "bad")
	for _, name := range []string{"a", "b"} {
		if target, err := os.Readlink(links[name]); errs[name] != nil || err != nil || target != b.systems[name].OutPath {
			t.Errorf("%s: %v; the link to %q: %v", name, errs[name], target, err)
		}
		roots, err := exec.Command("nix-store", "--query", "--roots", b.systems[name].OutPath).Output()
		if err != nil || !strings.Contains(string(roots), links[name]) {
			t.Errorf("%s: the roots are %q: %v", name, roots, err)
		}
	}
	if _, err := os.Lstat(links["bad"]); errs["bad"] == nil || err == nil {
		t.Errorf("bad: %v; its link: %v", errs["bad"], err)
	}
}

func TestSystemsAreFetchedWhereTheyCanBe(t *testing.T) {
	b := building(t, nil, `{ a = drv "a" "echo built >>${DIR}/built; : >$out" [ ]; b = drv "b" "echo built >>${DIR}/built; : >$out" [ ]; }`)
	if errs := b.together("a", "b"); errs["a"] != nil || errs["b"] != nil {
		t.Fatal(errs)
	}
	b.Close() // or they could not be deleted
	cache := "file://" + b.dir + "/cache"
	a, bb := b.systems["a"].OutPath, b.systems["b"].OutPath
	if out, err := exec.Command("sh", "-ec", `nix copy --to "$1" "$2" "$3"; nix-store --delete "$2" "$3"`, "sh", cache, a, bb).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	fetching := New(nix.Tool{Options: [][2]string{{"substituters", cache}, {"require-sigs", "false"}}}, BuilderOptions{Nodes: 2})
	defer fetching.Close()
	b.Builder = fetching
	if errs := b.together("a", "b"); errs["a"] != nil || errs["b"] != nil {
		t.Fatal(errs)
	}
	b.is("a")
	b.is("b")
	if text, err := os.ReadFile(b.dir + "/built"); err != nil || string(text) != "built\nbuilt\n" {
		t.Errorf("built: %q, %v", text, err)
	}
	if b.heard("fetching a") == 0 || b.heard("fetching b") == 0 {
		t.Errorf("nobody heard of it: %q", b.said)
	}
}
