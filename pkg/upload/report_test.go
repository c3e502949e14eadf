package upload

import (
	"bufio"
	"errors"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/plan"
)

func read(text string, items ...Item) (plan.Observed, error) {
	wanted, _, _ := contents(items)
	return readLook(&lines{bufio.NewReader(strings.NewReader(text))}, byDirectory(wanted), nil, nil, nil)
}

func TestAReportIsReadAsItIsMeant(t *testing.T) {
	digest := item("k", "v").Content.Digest()
	seen, err := read("passwd 12 a b\ngroup 7 keys\ndir ramfs 0:5 0 750\nfile 1 81a0 12 7 1 -\nsums\n\\"+digest.Reveal()+"  ./k\nend\nobserved\n", item("k", "v"))
	if err != nil {
		t.Fatal(err)
	}
	file := seen.Files["/run/keys/k"]
	if seen.Users["a b"] != 12 || seen.Groups["keys"] != 7 || !seen.Dirs["/run/keys"].RootOnly || !seen.Dirs["/run/keys"].Volatile ||
		!file.Present || file.Mode != 0o640 || file.UID != 12 || file.GID != 7 || !file.Digest.Equal(digest) {
		t.Errorf("%+v", seen)
	}
}

// A host may say anything; what makes no sense is an error, and is not quoted.
func TestAReportThatMakesNoSenseIsRefused(t *testing.T) {
	for _, text := range []string{
		"", "observed\n", "dir ramfs 0:5 0 750\n", "hunter2\n", "dir ramfs 0:5 0 hunter2\nobserved\n",
		"dir ramfs 0:5 0 750\nfile 2 81a0 0 0 1 -\nobserved\n", "dir ramfs 0:5 0 750\nfile 1 41a0 0 0 1 -\nobserved\n",
		"dir ramfs 0:5 0 750\nfile 1 81a0 0 0 1 -\nsums\nhunter2  ./k\nend\nobserved\n",
		"dir ramfs 0:5 0 750\nfile 1 81a0 0 0 1 -\nsums\nend\nobserved\n",
		"dir x 0:5 0 750\ndir x 0:6 0 750\nobserved\n", "absent tmpfs\nobserved\n", "fixed 0\n", "absent x /a b\nfixed 2\nobserved\n", "dir x 0:5 0 750\nfixed hunter2\nobserved\n", "file 1 81a0 0 0 1 -\n", "blocked 1\n", "memory 1 3\nabc", "memory 1 -1\nobserved\n", "memory 2 1\nxobserved\n", "memory 1 9999999999\nx", "memory 0 100\nhunter2\n", "memory 1\n", "fail\n", "fail x\n", "passwd 4294967296 x\n",
	} {
		_, err := read(text, item("k", "v"))
		if !errors.Is(err, errProtocol) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzReport(f *testing.F) {
	f.Add("dir ramfs 0:5 0 750\nfile 1 81a0 12 7 1 -\nsums\nend\nobserved\n")
	f.Add("fail dir 1 x\n")
	f.Add("memory 1 20\ncolmena-go keys 1\nxyunread 0 why\nobserved\n")
	f.Add("busy a b\nabsent ramfs /run/keys/a b\nfixed 0\nfixed 1\nobserved\n")
	f.Fuzz(func(t *testing.T, text string) {
		_, err := read(text, item("k", "v"), item("l", "w", in("/srv")))
		var refused *refusal
		if errors.As(err, &refused) {
			refused.explain(byDirectory(nil), text)
		}
	})
}
