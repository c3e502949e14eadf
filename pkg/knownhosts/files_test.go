package knownhosts

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh/knownhosts"
)

// A file is read anew each time, whatever became of it since the last.
func TestAFileIsKnownAsItIsNow(t *testing.T) {
	one, two := newIdentity(t), newIdentity(t)
	file := filepath.Join(t.TempDir(), "known_hosts")
	var files Files
	var text strings.Builder
	see := func(name string, lines string, host string, want Kind, number int) {
		t.Helper()
		if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
			t.Fatal(err)
		}
		k, err := files.Read(file, file+".none")
		if err != nil {
			t.Fatal(err)
		}
		v := k.Judge(Host{host, 22}, one.PublicKey())
		entries := k.Keys(Host{host, 22})
		if v.Kind != want || number != 0 && (len(entries) == 0 || entries[0].Line != number || entries[0].File != file) {
			t.Errorf("%s: %v, %+v, want %v in line %d", name, v.Kind, entries, want, number)
		}
	}
	see("an empty one", "", "a", Unknown, 0)
	for i := 1; i <= 3*mostParts; i++ { // as hosts are learnt one after the other
		fmt.Fprintf(&text, "h%d %s\n", i, one.line)
		see("a line more", text.String(), fmt.Sprint("h", i), Trusted, i)
		see("the first of them", text.String(), "h1", Trusted, 1)
	}
	see("without the end of its last line", text.String()+"a "+one.line, "a", Trusted, 3*mostParts+1)
	see("which then comes", text.String()+"a "+one.line+"\nb "+one.line+"\n", "b", Trusted, 3*mostParts+2)
	see("a line that is gone", "# none\n", "h1", Unknown, 0)
	see("another in its place", "h1 "+two.line+"\n", "h1", Changed, 1)
	see("patterns and names in their order", "h* "+two.line+"\nh1 "+one.line+"\n*,!h2 "+two.line+"\n", "h1", Trusted, 1)
	see("a revoked one behind", "h1 "+one.line+"\n@revoked H1,h1 "+one.line+"\n", "h1", Revoked, 1)
}

// A thousand hosts read the same file a thousand times.
func TestAFileThatIsAsBeforeIsNotTakenApartAgain(t *testing.T) {
	one := newIdentity(t)
	file := filepath.Join(t.TempDir(), "known_hosts")
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "h%d %s\n", i, one.line)
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var files Files
	read := func() {
		if _, err := files.Read(file); err != nil {
			t.Fatal(err)
		}
	}
	read()
	if n := testing.AllocsPerRun(10, read); n > 20 {
		t.Errorf("%v allocations", n)
	}
}

func TestWhomAHashMeansIsFoundOutOnce(t *testing.T) {
	one := newIdentity(t)
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "%s %s\n", knownhosts.HashHostname(fmt.Sprint("h", i)), one.line)
	}
	var k Known
	k.Add("known_hosts", text.String())
	ask := func() {
		if v := k.Judge(Host{"h7", 22}, one.PublicKey()); v.Kind != Trusted {
			t.Fatal(v)
		}
	}
	ask()
	if n := testing.AllocsPerRun(10, ask); n > 200 {
		t.Errorf("%v allocations", n)
	}
}
