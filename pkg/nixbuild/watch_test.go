package nixbuild

import (
	"maps"
	"slices"
	"testing"
	"time"
)

func TestHowFarBuildsAreIsToldWhileItChanges(t *testing.T) {
	b := building(t, nil, `let s = drv "shared" "read x <${DIR}/gate; : >$out" [ ]; in { a = drv "a" ": >$out" [ s ]; b = drv "b" ": >$out" [ s ]; }`)
	told := make(chan Building, 100)
	b.watch.tell = func(now Building) { told <- now }
	open := b.gate("gate")
	results := []<-chan error{b.start(t.Context(), "a"), b.start(t.Context(), "b")}
	await := func(want Building) {
		t.Helper()
		late := time.After(20 * time.Second)
		for {
			select {
			case got := <-told:
				if got.Done == want.Done && got.Expected == want.Expected && slices.Equal(workNames(got), workNames(want)) && maps.Equal(got.Nodes, want.Nodes) {
					return
				}
			case <-late:
				t.Fatalf("never told: %+v", want)
			}
		}
	}
	await(Building{Expected: 3, Running: []Work{{Name: "shared"}}, Nodes: map[string]string{"a": "waits for shared", "b": "waits for shared"}})
	open()
	for _, result := range results {
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
	await(Building{Done: 3, Expected: 3})
}

// Nix says why only when all is over.
func TestWhatFailedIsToldOfItsNodesWhileOthersAreBuilt(t *testing.T) {
	b := building(t, [][2]string{{"max-jobs", "3"}}, `{ a = drv "a" ": >$out" [ (drv "bad" "read x <${DIR}/bad; exit 1" [ ]) ]; slow = drv "slow" "read x <${DIR}/slow; : >$out" [ ]; }`)
	told := make(chan Building, 100)
	b.watch.tell = func(now Building) { told <- now }
	fail, open := b.gate("bad"), b.gate("slow")
	results := map[string]<-chan error{"a": b.start(t.Context(), "a"), "slow": b.start(t.Context(), "slow")}
	fail()
	want := map[string]string{"a": "failed: bad failed to build", "slow": "slow"}
	for late := time.After(20 * time.Second); ; {
		select {
		case got := <-told:
			if !maps.Equal(got.Nodes, want) {
				continue
			}
		case <-late:
			t.Fatalf("never told: %v", want)
		}
		break
	}
	open()
	if err := <-results["slow"]; err != nil {
		t.Error(err)
	}
	if err := <-results["a"]; err == nil {
		t.Error("what needs what failed is built")
	}
}

// Nix says of what it was asked for that it is being built until it ends itself.
func TestWhatIsBuiltIsNoMoreToldWhileOthersAre(t *testing.T) {
	b := building(t, [][2]string{{"max-jobs", "3"}}, `{ a = drv "a" "read x <${DIR}/a; : >$out" [ ]; slow = drv "slow" "read x <${DIR}/slow; : >$out" [ ]; }`)
	told := make(chan Building, 100)
	b.watch.tell = func(now Building) { told <- now }
	first, second := b.gate("a"), b.gate("slow")
	await := func(want ...string) {
		t.Helper()
		late := time.After(20 * time.Second)
		for {
			select {
			case got := <-told:
				if names := workNames(got); slices.Equal(slices.Sorted(slices.Values(names)), want) {
					return
				}
			case <-late:
				t.Fatalf("never told: %v", want)
			}
		}
	}
	results := []<-chan error{b.start(t.Context(), "a"), b.start(t.Context(), "slow")}
	await("a", "slow")
	first()
	await("slow")
	second()
	for _, result := range results {
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
}

func workNames(b Building) (names []string) {
	for _, w := range b.Running {
		names = append(names, w.Name)
	}
	return names
}

func TestANodeIsAtWhatItWaitsFor(t *testing.T) {
	at := func(names ...string) (list []*work) {
		for _, name := range names {
			list = append(list, &work{path: "/nix/store/00000000000000000000000000000000-" + name + ".drv"})
		}
		return list
	}
	for want, got := range map[string]string{
		"own":                        doing(at("linux", "own"), nil, at("own")[0].path),
		"waits for linux, zlib":      doing(at("linux", "zlib"), at("linux", "zlib")),
		"waits for its turn after x": doing(nil, at("x", "y")),
		"waits for its turn":         doing(nil, nil),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
