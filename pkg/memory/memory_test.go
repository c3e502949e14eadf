package memory

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/secret"
)

func digest(content string) secret.Digest { return secret.New([]byte(content)).Digest() }

func entry(path, content string, change ...func(*Entry)) Entry {
	e := Entry{
		Path: path, Node: "web", Attr: "token", Size: int64(len(content)), Record: digest(content).Salted(),
		Placed: true, Volatile: strings.HasPrefix(path, "/run/"),
	}
	for _, f := range change {
		f(&e)
	}
	return e
}

func of(node string) func(*Entry)   { return func(e *Entry) { e.Node = node } }
func made(from string) func(*Entry) { return func(e *Entry) { e.Fingerprint = from } }
func found(e *Entry)                { e.Placed = false }
func knows(m Memory, path, content string) bool {
	_, ok := m.Recognise(path, int64(len(content)), digest(content))
	return ok
}

// disk is the files of a host that does what it is told, as far as it gets.
type disk map[bool]string

func (d disk) write(list []Written, until int) {
	for pass := range until {
		for _, w := range list {
			text := []string{w.First, w.Last}[pass]
			switch {
			case text == "":
			case w.Whole:
				d[w.Volatile] = text
			default:
				d[w.Volatile] += text
			}
		}
	}
}

func (d disk) read(t *testing.T) (m Memory) {
	t.Helper()
	for volatile, text := range d {
		if err := m.Read(volatile, []byte(text)); err != nil {
			t.Fatalf("%v:\n%.300s", err, text)
		}
	}
	return m
}

func (d disk) upload(t *testing.T, entries ...Entry) Memory {
	t.Helper()
	m := d.read(t)
	edit := m.Edit()
	for _, e := range entries {
		edit.Set(e, true)
	}
	d.write(edit.Texts(), 2)
	return d.read(t)
}

func TestWhatWasBroughtIsRecognisedAndNothingElseIs(t *testing.T) {
	d := disk{}
	m := d.upload(t, entry("/run/keys/token", "one"), entry("/srv/token", "two", made("v3")))
	for _, c := range []struct {
		path, content string
		known         bool
	}{
		{"/run/keys/token", "one", true}, {"/srv/token", "two", true},
		{"/run/keys/token", "two", false}, {"/srv/token", "twO", false}, {"/srv/token", "", false}, {"/srv/other", "two", false},
	} {
		if knows(m, c.path, c.content) != c.known {
			t.Errorf("%q at %s: known is %v", c.content, c.path, !c.known)
		}
	}
	if e := m.Of("/srv/token"); len(e) != 1 || e[0].Fingerprint != "v3" || e[0].Volatile || !m.Of("/run/keys/token")[0].Volatile {
		t.Errorf("%+v", e)
	}
	if strings.Contains(d[true], "/srv/token") || strings.Contains(d[false], "/run/keys") {
		t.Error("what is in memory alone is not remembered in memory alone")
	}
}

func TestABookHoldsNoContentAndNoDigest(t *testing.T) {
	d := disk{}
	d.upload(t, entry("/srv/token", "hunter2"))
	if text := d[false]; strings.Contains(text, "hunter2") || strings.Contains(text, digest("hunter2").Reveal()) {
		t.Error(text)
	}
}

// Until the second writing both contents are known, since either may be there.
func TestACutOffUploadLeavesBothContentsKnown(t *testing.T) {
	for name, first := range map[string]disk{"of a new book": {}, "of an old one": nil} {
		t.Run(name, func(t *testing.T) {
			d := first
			if d == nil {
				d = disk{}
				d.upload(t, entry("/srv/token", "old"))
			}
			m := d.read(t)
			edit := m.Edit()
			edit.Set(entry("/srv/token", "new"), true)
			d.write(edit.Texts(), 1)
			m = d.read(t)
			if !knows(m, "/srv/token", "new") || first == nil && !knows(m, "/srv/token", "old") {
				t.Error("one of them is not known")
			}
			m = d.upload(t, entry("/srv/token", "new"))
			if !knows(m, "/srv/token", "new") || knows(m, "/srv/token", "old") || len(m.Of("/srv/token")) != 1 {
				t.Errorf("the next upload does not settle it: %v", m.Of("/srv/token"))
			}
		})
	}
}

func TestWhatIsKnownAlreadyIsNotWritten(t *testing.T) {
	d := disk{}
	one := entry("/srv/token", "one", made("v1"))
	m := d.upload(t, one)
	again := m.Edit()
	again.Set(one, false)
	again.Forget("/srv/other")
	again.Settled = []Job{{Unit: "nginx.service"}}
	if list := again.Texts(); len(list) != 0 {
		t.Errorf("written: %+v", list)
	}
	for what, change := range map[string]func(*Entry){
		"fingerprint": made("v2"), "node": of("other"), "origin": found, "file system": func(e *Entry) { e.Volatile = true },
	} {
		other := one
		change(&other)
		edit := m.Edit()
		edit.Set(other, false)
		if len(edit.Texts()) == 0 {
			t.Errorf("another %s is not written", what)
		}
	}
}

func TestAFileIsInOneBook(t *testing.T) {
	d := disk{}
	d.upload(t, entry("/srv/token", "one"))
	m := d.upload(t, entry("/srv/token", "two", func(e *Entry) { e.Volatile = true }))
	if list := m.Of("/srv/token"); len(list) != 1 || !list[0].Volatile {
		t.Errorf("%+v", list)
	}
}

func TestStaleIsWhatANodePlacedAndDeclaresNoMore(t *testing.T) {
	d := disk{}
	m := d.upload(t, entry("/run/keys/a", "1"), entry("/srv/b", "2"), entry("/srv/c", "3", found), entry("/srv/d", "4", of("db")), entry("/srv/e", "5"))
	edit := m.Edit()
	edit.Forget("/srv/e")
	d.write(edit.Texts(), 2)
	m = d.read(t)
	var paths []string
	for _, e := range m.Stale("web", func(path string) bool { return path == "/run/keys/a" }) {
		paths = append(paths, e.Path)
	}
	if want := []string{"/srv/b"}; !slices.Equal(paths, want) {
		t.Errorf("%v, want %v", paths, want)
	}
}

func TestAJobIsOwedUntilItIsDone(t *testing.T) {
	restart, reload := Job{Unit: "nginx.service", Node: "web"}, Job{Unit: "nginx.service", Reload: true, Node: "web"}
	d := disk{}
	edit := (&Memory{}).Edit()
	edit.Set(entry("/srv/token", "one"), true)
	edit.Owe = []Job{restart, reload}
	d.write(edit.Texts(), 1)
	m := d.read(t)
	if got := m.Owed(); !slices.Equal(got, []Job{restart, reload}) {
		t.Fatalf("a killed upload owes %v", got)
	}
	d.write(edit.Texts(), 2)
	m = d.read(t)
	if got := m.Owed(); !slices.Equal(got, []Job{restart, reload}) {
		t.Fatalf("an upload owes %v", got)
	}
	edit = m.Edit()
	edit.Settled = []Job{reload}
	d.write(edit.Texts(), 2)
	m = d.read(t)
	if got := m.Owed(); !slices.Equal(got, []Job{restart}) {
		t.Errorf("after one is done: %v", got)
	}
	if strings.Contains(d[false], "nginx") {
		t.Error("a reboot would not pay it")
	}
}

// Neither the same key again and again nor keys that never come back make it grow for ever.
func TestABookDoesNotGrowForEver(t *testing.T) {
	d := disk{}
	var m Memory
	for i := range 300 {
		m = d.upload(t, entry("/srv/token", fmt.Sprint(i)), entry("/srv/other", "same"))
	}
	if size := len(d[false]); size > 50_000 || !knows(m, "/srv/token", "299") || !knows(m, "/srv/other", "same") {
		t.Errorf("%d bytes", size)
	}
	long := strings.Repeat("x", 2000)
	var many []Entry
	for i := range 2000 {
		many = append(many, entry(fmt.Sprintf("/srv/%s/%d", long, i), "1"))
	}
	for range 4 {
		m = d.upload(t, many...)
		for i := range many {
			many[i].Fingerprint += "x"
		}
	}
	if size := len(d[false]); size > MaxSize || !knows(m, many[0].Path, "1") {
		t.Errorf("%d bytes", size)
	}
}

func TestNamesOfAnyKindSurvive(t *testing.T) {
	d := disk{}
	for _, name := range []string{"a b", `"quoted"`, `back\slash`, "ключ", "\x81\x87", "'", " lead", "$(x)", "%s"} {
		e := entry("/srv/"+name, "1", of(name), made(name))
		e.Attr = name
		m := d.upload(t, e)
		if list := m.Of("/srv/" + name); len(list) != 1 || list[0].Node != name || list[0].Attr != name || list[0].Fingerprint != name {
			t.Errorf("%q: %+v", name, list)
		}
	}
}

// A host may have anything in the place of a book. It then counts as none, and is replaced.
func TestWhatIsNoBookCountsAsNone(t *testing.T) {
	record := digest("x").Salted().Reveal()
	ok := `is placed 1 ` + record + ` "web" "token" "/srv/token" ""`
	if err := new(Memory).Read(false, []byte(header+"\n"+ok+"\n")); err != nil {
		t.Fatal("the good one is not read:", err)
	}
	for _, text := range []string{
		"", "\n", "hunter2\n", header, "colmena-go keys 2\n" + ok + "\n", header + "\n" + ok, header + "\n\n",
		header + "\n" + strings.Replace(ok, "placed", "stolen", 1) + "\n",
		header + "\n" + strings.Replace(ok, " 1 ", " -1 ", 1) + "\n",
		header + "\n" + strings.Replace(ok, " 1 ", " 99999999999999999999 ", 1) + "\n",
		header + "\n" + strings.Replace(ok, record, "hunter2", 1) + "\n",
		header + "\n" + strings.Replace(ok, `/srv/token`, `srv/token`, 1) + "\n",
		header + "\n" + strings.Replace(ok, `/srv/token`, `/srv/../etc/shadow`, 1) + "\n",
		header + "\n" + strings.Replace(ok, `/srv/token`, `/srv/a\nb`, 1) + "\n",
		header + "\n" + strings.Replace(ok, `"web"`, `"we\x00b"`, 1) + "\n",
		header + "\n" + strings.Replace(ok, `"web"`, "`web`", 1) + "\n",
		header + "\n" + strings.Replace(ok, `"web"`, `"`+strings.Repeat("w", 5000)+`"`, 1) + "\n",
		header + "\n" + ok + " \"more\"\n", header + "\nowe start \"x\" \"web\"\n", header + "\nowe restart \"x\"\n", header + "\nnot \"/\"\n",
		header + "\n" + strings.Repeat(ok+"\n", MaxSize/len(ok)),
		header + "\n" + jobs(100_000),
	} {
		var m Memory
		err := m.Read(false, []byte(text))
		if err == nil || strings.Contains(err.Error(), "hunter2") || len(m.Of("/srv/token")) > 0 {
			t.Errorf("%.100q is taken for a book: %v", text, err)
		}
		edit := m.Edit()
		edit.Set(entry("/srv/new", "1"), true)
		if list := edit.Texts(); len(list) != 1 || !list[0].Whole || !strings.HasPrefix(list[0].Last, header+"\n") {
			t.Errorf("%.100q is added to", text)
		}
	}
}

// jobs are many.
func jobs(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "owe restart \"%d\" \"\"\n", i)
	}
	return b.String()
}

func FuzzBook(f *testing.F) {
	f.Add(header + "\nis placed 1 : \"\" \"\" \"/a\" \"\"\n")
	f.Add(header + "\nowe reload \"a\" \"b\"\nnot \"/a\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		var m, again Memory
		if m.Read(true, []byte(text)) != nil {
			return
		}
		if whole := m.book(true).text(maxText); again.Read(true, []byte(whole)) != nil || again.book(true).text(maxText) != whole {
			t.Errorf("%q", whole)
		}
	})
}
