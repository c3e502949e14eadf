package runlog

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, dir string) *Log {
	t.Helper()
	l, err := Open(dir, "apply", noon)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(time.Minute) })
	return l
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAllThatANodeSaysIsKeptButWhatMayBeSecret(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "state/runs"))
	for _, e := range []event.Event{
		{Node: "web", Step: plan.Build, Kind: event.Begin, Text: "building"},
		{Node: "web", Step: plan.Build, Kind: event.Output, Text: "\x1b[31mgcc\x1b[0m\tfails\x07"},
		{Node: "web", Step: plan.Resolve, Kind: event.Private, Text: "hunter2"},
		{Node: "web", Step: plan.Build, Kind: event.Progress, Text: "waits"},
		{Node: "web", Step: plan.Exec, Kind: event.Output, Text: "hunter3"},
		{Node: "db", Step: plan.Push, Kind: event.Note, Text: "copied"},
		{Node: "web", Step: plan.Build, Kind: event.End, Text: "failed: one\ntwo"},
		{Kind: event.Diagnostic, Text: `{"message":"evaluating"}` + "\n"},
	} {
		e.Time = noon.Add(1500 * time.Millisecond)
		l.Emit(e)
	}
	l.Close(time.Minute)
	for node, want := range map[string]string{
		"web": "12:00:01.500 build begin building\n12:00:01.500 build | gcc fails\n12:00:01.500 build end failed: one\n  two\n",
		"db":  "12:00:01.500 push note copied\n",
		"":    "12:00:01.500 {\"message\":\"evaluating\"}\n",
	} {
		if got := read(t, l.Path(node)); got != want {
			t.Errorf("%q:\n%s\nwant\n%s", node, got, want)
		}
	}
}

// A path is told to people who then look there for what was said a moment ago.
func TestAFileIsNamedOnlyWithAllInIt(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "runs"))
	say := func() {
		l.Emit(event.Event{Time: noon, Node: "web", Step: plan.Build, Kind: event.Note, Text: "said"})
	}
	say()
	path := l.Path("web")
	if got := read(t, path); got != "12:00:00.000 build note said\n" {
		t.Errorf("%q is not all of it", got)
	}
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil { // as good as a full disk
		t.Fatal(err)
	}
	say()
	if got := l.Path("web"); got != "" {
		t.Errorf("%s cannot be written, and is named", got)
	}
	l.Close(time.Minute)
	if got := l.Path("web"); got != "" {
		t.Errorf("%s could not be written, and is named at the end", got)
	}
}

func TestNobodyElseCanReadIt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state/runs")
	l := open(t, dir)
	l.Emit(event.Event{Node: "web", Kind: event.Note, Text: "x"})
	l.Close(time.Minute)
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, failed error) error {
		info, err := d.Info()
		if failed != nil || err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
		return nil
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if l, err := Open(dir, "apply", noon); err == nil {
		l.Close(time.Minute)
		t.Error("a folder that others can enter is used")
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if l, err := Open(link, "apply", noon); err == nil {
		l.Close(time.Minute)
		t.Error("a link that somebody has put there is followed")
	}
}

func TestNoNameOfANodeLeadsElsewhereOrToAnothersFile(t *testing.T) {
	names := []string{"web", "../web", "a/b", "a_2fb", ".", "..", "a\nb", "ü", strings.Repeat("x", 300), strings.Repeat("x", 301), strings.Repeat("/", 300), "", "run"}
	seen := map[string]string{}
	for _, name := range names {
		file := fileOf(name)
		if other, taken := seen[file]; taken || strings.ContainsAny(file, "/\n") || len(file) > 240 {
			t.Errorf("%q: %q, as %q", name, file, other)
		}
		seen[file] = name
	}
}

func TestAFileIsBoundedAndHasWhatCameLast(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "runs"))
	line := strings.Repeat("x", 1000)
	for i := range 3000 {
		l.Emit(event.Event{Node: "web", Kind: event.Output, Text: fmt.Sprint(i, line)})
		if i%200 == 0 {
			l.flush()
		}
	}
	l.Close(time.Minute)
	entries, _ := os.ReadDir(filepath.Dir(l.Path("web")))
	var size int64
	for _, entry := range entries {
		info, _ := entry.Info()
		size += info.Size()
	}
	if len(entries) != 2 || size > 2*mostPerFile || !strings.Contains(read(t, l.Path("web")), "2999xxx") {
		t.Errorf("%d files, %d bytes", len(entries), size)
	}
}

func TestARunThatSaysTooMuchKeepsItsFailures(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "runs"))
	l.kept = mostPerRun + 1
	for range 3 {
		l.Emit(event.Event{Node: "web", Kind: event.Output, Text: "noise"})
	}
	l.Emit(event.Event{Node: "web", Kind: event.End, Text: "failed"})
	l.Close(time.Minute)
	if got := read(t, l.Path("web")); strings.Contains(got, "noise") || !strings.Contains(got, "(3 lines of output") || !strings.Contains(got, "failed") {
		t.Error(got)
	}
}

func TestTheOldestRunsGoButNoneThatGoesOn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs")
	first := open(t, dir) // goes on
	foreign := filepath.Join(dir, "20200101-not-ours")
	if err := os.Mkdir(foreign, 0o700); err != nil {
		t.Fatal(err)
	}
	for range mostRuns + 5 {
		open(t, dir).Close(time.Minute)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != mostRuns+2 {
		t.Errorf("%d are kept, want %d", len(entries), mostRuns+2)
	}
	for _, path := range []string{foreign, filepath.Dir(first.Path(""))} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

func TestManyLooksDoNotPushOutADeployment(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs")
	deployment := open(t, dir)
	deployment.Close(time.Minute)
	for range mostRuns + 5 {
		l, err := Open(dir, "status", noon)
		if err != nil {
			t.Fatal(err)
		}
		l.Close(time.Minute)
	}
	if _, err := os.Stat(filepath.Dir(deployment.Path(""))); err != nil {
		t.Error(err)
	}
}

// Of a slow disk it is written later what is not dropped; and then there is room again.
func TestWhatWaitsForTheDiskIsBounded(t *testing.T) {
	f, err := newFolder(filepath.Join(t.TempDir(), "runs"), "20260501-120000-apply")
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	l := &Log{folder: f, waiting: map[string]*bytes.Buffer{}, size: mostWaiting}
	l.Emit(event.Event{Node: "web", Kind: event.Output, Text: "noise"})
	l.Emit(event.Event{Node: "web", Kind: event.Warn, Text: "matters"})
	l.flush()
	l.Emit(event.Event{Node: "web", Kind: event.Output, Text: "later"})
	l.flush()
	got := read(t, filepath.Join(f.path, fileOf("web")))
	if strings.Contains(got, "noise") || !strings.Contains(got, "(1 lines of output") || !strings.Contains(got, "matters") || !strings.Contains(got, "later") {
		t.Error(got)
	}
}

func TestLargeRunsGoBeforeTheyAreMany(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs")
	for name, size := range map[string]int64{"20260101-000000-apply-1": 100 << 20, "20260102-000000-apply-1": 100 << 20, "20260103-000000-apply-1": 90 << 20} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		file, err := os.Create(filepath.Join(dir, name, "run.log"))
		if err == nil {
			err = errors.Join(file.Truncate(size), file.Close()) // takes no room
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	open(t, dir)
	entries, _ := os.ReadDir(dir)
	if len(entries) != 3 || entries[0].Name() != "20260102-000000-apply-1" {
		t.Errorf("kept: %v", entries)
	}
}

func TestManyDeployersKeepTheirLogsApart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs")
	var all sync.WaitGroup
	for i := range 15 {
		all.Go(func() {
			l, err := Open(dir, "apply", noon)
			if err != nil {
				t.Error(err)
				return
			}
			l.Emit(event.Event{Node: "web", Kind: event.Note, Text: fmt.Sprintf("deployer %d;", i)})
			l.Close(time.Minute)
			text, err := os.ReadFile(l.Path("web"))
			if err != nil || !strings.HasSuffix(string(text), fmt.Sprintf("deployer %d;\n", i)) || strings.Count(string(text), "\n") != 1 {
				t.Errorf("%d: %q %v", i, text, err)
			}
		})
	}
	all.Wait()
}

func TestThePlaceIsWhereTheUserWantsStateToBe(t *testing.T) {
	home := t.TempDir()
	for name, c := range map[string]struct {
		env  map[string]string
		want string
	}{
		"as the variable says":     {map[string]string{"XDG_STATE_HOME": "/state", "HOME": home}, "/state/colmena-go/runs"},
		"one that is not absolute": {map[string]string{"XDG_STATE_HOME": "state", "HOME": home}, home + "/.local/state/colmena-go/runs"},
		"by default":               {map[string]string{"HOME": home}, home + "/.local/state/colmena-go/runs"},
		"without a home":           {map[string]string{}, ""},
		"a home that is not there": {map[string]string{"HOME": home + "/none"}, ""},
	} {
		if got := Dir(func(key string) string { return c.env[key] }); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
