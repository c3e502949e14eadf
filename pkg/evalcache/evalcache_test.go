package evalcache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nixeval"
	"github.com/colmena-go/colmena-go/pkg/ownfolder"
)

// double stands in for Nix, and counts. tests/cli has the real one.
type double struct {
	identity  string
	later     string // the identity from the second time on, if it is not ""
	drv       string // of every node; "" without one
	builds    string // what its key needs: DRV!OUTPUT
	text      string // of a key
	evaluated []string
	key       string // the rest of its key; "" has it with a text that comes later
	impure    bool
	says      []nixeval.Word // in each evaluation
	fails     error          // after all that

	mu    sync.Mutex
	asked int
	said  []string // again
}

func (d *double) Identity(context.Context) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.asked++; d.asked > 1 && d.later != "" {
		return d.later
	}
	return d.identity
}

func (d *double) Say(word nixeval.Word) { d.said = append(d.said, word.Node+": "+word.Text) }

func (d *double) Run(_ context.Context, part nixeval.Part, hooks nixeval.Hooks) error {
	nodes := part.Only
	if nodes == nil {
		nodes = []string{"a", "b"}
	}
	if hooks.Head != nil {
		hooks.Head(fmt.Appendf(nil, `{"names":["a","b"],"selected":["a","b"],"pure":%t}`, !d.impure))
	}
	if hooks.Said != nil {
		for _, word := range d.says {
			hooks.Said(word)
		}
	}
	for _, name := range nodes[:min(len(nodes), part.Most)] {
		d.evaluated = append(d.evaluated, name)
		key := `"textLater":true`
		if d.key != "" {
			key = d.key
		}
		if d.text != "" {
			key = fmt.Sprintf(`"text":%q`, d.text)
		}
		if d.builds != "" {
			key += fmt.Sprintf(`,"builds":[%q]`, d.builds)
		}
		hooks.Done(fmt.Appendf(nil, `{"name":%q,"toplevel":{"drvPath":%q,"outputPath":"/nix/store/x"},"deployment":{"targetHost":"h","keys":{"k":{"name":"k","destDir":"/run/keys","user":"root","group":"root","permissions":"0600","uploadAt":"pre-activation",%s}}}}`, name, d.drv, key))
	}
	return d.fails
}

// run evaluates all nodes, as a command of its own would, and returns what was told.
func run(t *testing.T, d *double, dir string, part nixeval.Part) (told []string) {
	t.Helper()
	c := New(d, dir, zerolog.Nop())
	part.Most = 10
	err := c.Run(t.Context(), part, nixeval.Hooks{
		Head:      func([]byte) { told = append(told, "head") },
		Announced: func(text []byte) { name, _, _ := hive.DecodeTarget(text); told = append(told, "way to "+name) },
		Done: func(text []byte) {
			node, err := hive.DecodeNode(text)
			if err != nil {
				t.Error(err)
			}
			told = append(told, node.Name)
		},
	})
	if !errors.Is(err, d.fails) {
		t.Fatal(err)
	}
	return told
}

// drv is a derivation that is there.
func drv(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.drv")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhatIsKnownIsNotEvaluatedAgain(t *testing.T) {
	dir, d := filepath.Join(t.TempDir(), "cache"), &double{identity: "one", drv: drv(t)}
	if told := run(t, d, dir, nixeval.Part{}); !slices.Equal(told, []string{"head", "a", "b"}) || len(d.evaluated) != 2 {
		t.Fatalf("told %q, evaluated %q", told, d.evaluated)
	}
	d.evaluated = nil
	if told := run(t, d, dir, nixeval.Part{}); !slices.Equal(told, []string{"head", "way to a", "way to b", "a", "b"}) || d.evaluated != nil {
		t.Errorf("told %q, evaluated %q", told, d.evaluated)
	}
	for name, change := range map[string]func(*double, *nixeval.Part){
		"another content":         func(d *double, _ *nixeval.Part) { d.identity = "two" },
		"nothing that is sure":    func(d *double, _ *nixeval.Part) { d.identity = "" },
		"another request":         func(_ *double, p *nixeval.Part) { p.Keys = true },
		"systems are wanted, too": func(_ *double, p *nixeval.Part) { p.Toplevel = true },
		"another tag":             func(_ *double, p *nixeval.Part) { p.Selector.Patterns = []hive.Pattern{{Kind: hive.ByTag}} },
		"a drv that is gone":      func(d *double, _ *nixeval.Part) { os.Remove(d.drv) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, changed, part := filepath.Join(t.TempDir(), "cache"), &double{identity: "one", drv: drv(t)}, nixeval.Part{}
			run(t, changed, dir, part)
			changed.evaluated = nil
			change(changed, &part)
			if run(t, changed, dir, part); len(changed.evaluated) == 0 {
				t.Error("nothing was evaluated")
			}
		})
	}
}

func TestWhatWasEvaluatedForMoreServesForLess(t *testing.T) {
	for _, c := range []struct {
		before, then nixeval.Request
		serves       bool
	}{
		{nixeval.Request{Toplevel: true, Keys: true}, nixeval.Request{}, true},
		{nixeval.Request{Toplevel: true, Keys: true}, nixeval.Request{Toplevel: true}, true},
		{nixeval.Request{Keys: true}, nixeval.Request{}, true},
		{nixeval.Request{Toplevel: true}, nixeval.Request{Keys: true}, false},
		{nixeval.Request{}, nixeval.Request{Toplevel: true}, false},
		{nixeval.Request{Keys: true}, nixeval.Request{Toplevel: true}, false},
	} {
		dir, d := filepath.Join(t.TempDir(), "cache"), &double{identity: "one", drv: drv(t)}
		run(t, d, dir, nixeval.Part{Request: c.before})
		d.evaluated = nil
		if run(t, d, dir, nixeval.Part{Request: c.then}); (d.evaluated == nil) != c.serves {
			t.Errorf("%+v after %+v: evaluated %q", c.then, c.before, d.evaluated)
		}
	}
}

// So that `apply` after `build` evaluates nothing, where that is sure.
func TestANodeWithoutTextsIsTheSameForWhoWantsThem(t *testing.T) {
	for key, serves := range map[string]bool{
		`"textLeftOut":true,"noText":true,"keyFile":"/f"`: true,
		`"textLeftOut":true,"keyFile":"/f"`:               false, // beside which there may be a text, which is an error
		`"textLeftOut":true`:                              false,
		`"text":null,"keyCommand":["c"]`:                  true,
	} {
		dir, d := filepath.Join(t.TempDir(), "cache"), &double{identity: "one", drv: drv(t), key: key}
		run(t, d, dir, nixeval.Part{Request: nixeval.Request{Toplevel: true}})
		d.evaluated = nil
		if run(t, d, dir, nixeval.Part{Request: nixeval.Request{Toplevel: true, Keys: true}}); (d.evaluated == nil) != serves {
			t.Errorf("%s: evaluated %q", key, d.evaluated)
		}
	}
}

// A user who mends a warning must not think that it is gone.
func TestWhatTheHiveSaidIsSaidAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	d := &double{identity: "one", drv: drv(t), says: []nixeval.Word{
		{Text: "of the hive"}, {Node: "b", Warning: true, Text: "old"}, {Node: "a", Text: "here"}, {Node: "not selected", Text: "a tag"},
	}}
	run(t, d, dir, nixeval.Part{})
	if d.said != nil {
		t.Errorf("said twice: %q", d.said)
	}
	run(t, d, dir, nixeval.Part{})
	if want := []string{": of the hive", "not selected: a tag", "a: here", "b: old"}; !slices.Equal(d.said, want) {
		t.Errorf("said %q, want %q", d.said, want)
	}
	d.says = []nixeval.Word{{Node: "b", Text: strings.Repeat("x", longestWords+1)}}
	d.identity, d.evaluated = "two", nil
	run(t, d, dir, nixeval.Part{})
	run(t, d, dir, nixeval.Part{})
	if want := []string{"a", "b", "b"}; !slices.Equal(d.evaluated, want) {
		t.Errorf("of one that says much: evaluated %q, want %q", d.evaluated, want)
	}
}

func TestNothingIsKeptOfWhatIsNotPure(t *testing.T) {
	dir, d := filepath.Join(t.TempDir(), "cache"), &double{identity: "one", drv: drv(t), impure: true}
	run(t, d, dir, nixeval.Part{})
	if files, _ := filepath.Glob(dir + "/*"); len(files) != 0 {
		t.Errorf("kept: %q", files)
	}
}

func TestNodesAreKeptThatWereDoneBeforeAFailure(t *testing.T) {
	dir, d := filepath.Join(t.TempDir(), "cache"), &double{identity: "one", drv: drv(t), fails: errors.New("c is broken")}
	run(t, d, dir, nixeval.Part{})
	d.evaluated, d.fails = nil, nil
	if run(t, d, dir, nixeval.Part{}); d.evaluated != nil {
		t.Errorf("evaluated %q", d.evaluated)
	}
}

// Each has read the file before the other has written it.
func TestTwoAtOnceKeepWhatBothFind(t *testing.T) {
	dir, d := filepath.Join(t.TempDir(), "cache"), &double{identity: "one", drv: drv(t)}
	one, two := New(d, dir, zerolog.Nop()), New(d, dir, zerolog.Nop())
	for _, part := range []struct {
		*Cache
		node string
	}{{one, "none"}, {two, "none"}, {one, "a"}, {two, "b"}} {
		if err := part.Run(t.Context(), nixeval.Part{Only: []string{part.node}, Most: 1}, nixeval.Hooks{Head: func([]byte) {}}); err != nil {
			t.Fatal(err)
		}
	}
	d.evaluated = nil
	if run(t, d, dir, nixeval.Part{Only: []string{"a", "b"}}); d.evaluated != nil {
		t.Errorf("evaluated %q", d.evaluated)
	}
}

func TestAFileOfAKeyInTheStoreMustBeThereStill(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	d := &double{identity: "one", drv: drv(t), key: `"text":null,"builds":[],"keyFile":"/nix/store/00000000000000000000000000000000-source/secret"`}
	run(t, d, dir, nixeval.Part{})
	d.evaluated = nil
	if run(t, d, dir, nixeval.Part{}); len(d.evaluated) != 2 {
		t.Errorf("evaluated %q", d.evaluated)
	}
}

// The others are for another process.
func TestNoMoreIsToldThanThePartWants(t *testing.T) {
	c := New(&double{identity: "one", drv: drv(t)}, filepath.Join(t.TempDir(), "cache"), zerolog.Nop())
	for range 2 {
		told := 0
		if err := c.Run(t.Context(), nixeval.Part{Most: 1}, nixeval.Hooks{Done: func([]byte) { told++ }}); err != nil || told != 1 {
			t.Errorf("%d nodes, %v", told, err)
		}
	}
}

// What a keyCommand's program or a keyFile is built from may have been collected
// although the system's derivation was not.
func TestWhatAKeyNeedsMustBeThereStill(t *testing.T) {
	dir, needed := filepath.Join(t.TempDir(), "cache"), drv(t)
	d := &double{identity: "one", drv: drv(t), builds: needed + "!out"}
	run(t, d, dir, nixeval.Part{})
	d.evaluated = nil
	if run(t, d, dir, nixeval.Part{}); d.evaluated != nil {
		t.Errorf("evaluated %q", d.evaluated)
	}
	if err := os.Remove(needed); err != nil {
		t.Fatal(err)
	}
	if run(t, d, dir, nixeval.Part{}); len(d.evaluated) != 2 {
		t.Errorf("evaluated %q", d.evaluated)
	}
}

// A head says who is selected, which depends on more than the patterns.
func TestAHeadIsThatOfTheSameQuestion(t *testing.T) {
	parts := map[string]nixeval.Part{
		"all": {}, "guarded": {Request: nixeval.Request{Guarded: true}}, "without a": {Without: []string{"a"}},
	}
	words := map[string]string{}
	for name, part := range parts {
		if other, same := words[selection(part)]; same {
			t.Errorf("%s has the head of %s", name, other)
		}
		words[selection(part)] = name
	}
}

func TestAHeadServesWhoeverMayDeployToAll(t *testing.T) {
	for head, serves := range map[string]bool{
		`{"selected":["a"],"meta":{"allowApplyAll":true}}`:  true,
		`{"selected":["a"],"meta":{"allowApplyAll":false}}`: false,
	} {
		guarded, free := nixeval.Part{Request: nixeval.Request{Guarded: true}}, nixeval.Part{}
		k := kept{Heads: map[string]told{selection(free): {Text: []byte(head)}}}
		if _, _, known := k.head(guarded); known != serves {
			t.Errorf("%s: %t, want %t", head, known, serves)
		}
		if _, selected, known := k.head(free); !known || len(selected) != 1 {
			t.Errorf("%s is not even its own", head)
		}
	}
}

func TestOnlyWhatIsMissingIsEvaluated(t *testing.T) {
	dir, d := t.TempDir(), &double{identity: "one", drv: drv(t)}
	os.Chmod(dir, 0o700)
	run(t, d, dir, nixeval.Part{Only: []string{"a"}})
	d.evaluated = nil
	run(t, d, dir, nixeval.Part{Only: []string{"a", "b"}})
	if !slices.Equal(d.evaluated, []string{"b"}) {
		t.Errorf("evaluated %q", d.evaluated)
	}
}

// Another selection has another head, which costs no node; but tags are what nodes say.
func TestKnownNodesAreNotEvaluatedForAnotherSelection(t *testing.T) {
	d, dir := &double{identity: "x", drv: drv(t)}, filepath.Join(t.TempDir(), "cache")
	run(t, d, dir, nixeval.Part{})
	for text, evaluated := range map[string]int{"a,b": 0, "@t": 2} {
		d.evaluated = nil
		on, err := hive.ParseSelector(text)
		if err != nil {
			t.Fatal(err)
		}
		told := run(t, d, dir, nixeval.Part{Request: nixeval.Request{Selector: on}})
		if len(d.evaluated) != evaluated || len(told) < 3 || told[0] != "head" {
			t.Errorf("%s: %v evaluated, %v told", text, d.evaluated, told)
		}
	}
}

// Its nodes may be those of the hive as it was, or as it is.
func TestNothingIsKeptOfAHiveThatChangesMeanwhile(t *testing.T) {
	dir, d := filepath.Join(t.TempDir(), "cache"), &double{identity: "one", drv: drv(t)}
	d.later = "two"
	run(t, d, dir, nixeval.Part{})
	if files, _ := filepath.Glob(dir + "/*"); len(files) != 0 {
		t.Errorf("kept: %q", files)
	}
}

func TestTextsOfKeysAreNeverKept(t *testing.T) {
	dir, d := filepath.Join(t.TempDir(), "cache"), &double{identity: "one", drv: drv(t), text: "plantedS3cret"}
	run(t, d, dir, nixeval.Part{Texts: true})
	run(t, d, dir, nixeval.Part{})
	files, _ := filepath.Glob(dir + "/*")
	if len(files) != 1 {
		t.Fatalf("%q", files)
	}
	if text, _ := os.ReadFile(files[0]); strings.Contains(string(text), "S3cret") || !strings.Contains(string(text), "names") {
		t.Errorf("%s", text)
	}
}

func TestFilesOfOthersAndTornOnesAreNotBelieved(t *testing.T) {
	for name, spoil := range map[string]func(dir, file string) error{
		"torn":                func(_, file string) error { return os.Truncate(file, 40) },
		"open to others":      func(_, file string) error { return os.Chmod(file, 0o644) },
		"a folder for others": func(dir, _ string) error { return os.Chmod(dir, 0o777) },
		"of another user":     func(_, file string) error { return os.Chown(file, 1234, 1234) },
		"a link": func(dir, file string) error {
			return rename(file, dir+"/elsewhere", func() error { return os.Symlink(dir+"/elsewhere", file) })
		},
		"a pipe": func(_, file string) error {
			return rename(file, file+".old", func() error { return mkfifo(file) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, d := filepath.Join(t.TempDir(), "cache"), &double{identity: "one", drv: drv(t)}
			run(t, d, dir, nixeval.Part{})
			files, _ := filepath.Glob(dir + "/*")
			if err := spoil(dir, files[0]); err != nil {
				t.Skip(err) // who is not root gives nothing away
			}
			d.evaluated = nil
			if run(t, d, dir, nixeval.Part{}); len(d.evaluated) != 2 {
				t.Errorf("evaluated %q", d.evaluated)
			}
		})
	}
}

// As with sudo that leaves HOME alone: others could lead us elsewhere, or find
// their own cache closed to them.
func TestNothingIsKeptAmongAnotherUsersFiles(t *testing.T) {
	home := t.TempDir()
	if err := os.Chown(home, 1234, 1234); err != nil {
		t.Skip(err) // who is not root gives nothing away
	}
	if err := (store{filepath.Join(home, "cache/evaluations")}).write("a.json", nil); err == nil {
		t.Error("it is kept there")
	}
	if entries, _ := os.ReadDir(home); len(entries) != 0 {
		t.Errorf("%s is made there", entries[0].Name())
	}
	link := filepath.Join(t.TempDir(), "evaluations")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if err := (store{link}).write("a.json", nil); err == nil {
		t.Error("a link is followed")
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	s := store{filepath.Join(t.TempDir(), "cache")}
	for i := range 10 {
		if err := s.write(fmt.Sprintf("%d.json", i), make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(time.Duration(i-100) * time.Minute)
		os.Chtimes(filepath.Join(s.dir, fmt.Sprintf("%d.json", i)), old, old)
	}
	os.WriteFile(filepath.Join(s.dir, "new-123"), nil, 0o600)
	old := time.Now().Add(-2 * time.Hour)
	os.Chtimes(filepath.Join(s.dir, "new-123"), old, old)
	os.WriteFile(filepath.Join(s.dir, "of somebody else"), nil, 0o600)
	os.Chtimes(filepath.Join(s.dir, "of somebody else"), old, old)
	root, err := ownfolder.Open(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	ownfolder.Prune(root, 6, 450)
	entries, _ := os.ReadDir(s.dir)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"6.json", "7.json", "8.json", "9.json", "of somebody else"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
	if err := s.write("large.json", make([]byte, largestFile+1)); err == nil {
		t.Error("a file of any size is kept")
	}
}

func rename(from, to string, then func() error) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return then()
}

func TestWhatIsReadIsNotTheOldestAnyMore(t *testing.T) {
	s := store{filepath.Join(t.TempDir(), "cache")}
	old := time.Now().Add(-time.Hour)
	if err := s.write("a.json", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	os.Chtimes(filepath.Join(s.dir, "a.json"), old, old)
	if _, err := s.read("a.json"); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(s.dir, "a.json")); err != nil || time.Since(info.ModTime()) > time.Minute {
		t.Errorf("it is as old as before, %v", err)
	}
}
