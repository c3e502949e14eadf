//go:build linux

package upload

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hostscript"
)

// swapped replaces bytes in a stream by as many others.
type swapped struct {
	io.Reader
	old, new []byte
}

func (s swapped) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	copy(p, bytes.Replace(p[:n], s.old, s.new, 1))
	return n, err
}

func TestContentThatArrivesDamagedChangesNothing(t *testing.T) {
	fresh(t)
	mustUpload(t, local{}, item("k", "an old secret"))
	before := tree(t)
	damage := func(r io.Reader) io.Reader { return swapped{r, []byte("a new secret"), []byte("a new secreT")} }
	_, err := upload(t, local{stdin: damage}, item("k", "a new secret"))
	if err == nil || !strings.Contains(err.Error(), "not the ones that were sent") {
		t.Errorf("error %v", err)
	}
	if after := tree(t); after != before {
		t.Errorf("something changed:\nbefore:\n%s\nafter:\n%s", before, after)
	}
	onHost(t, "/run/keys/k", "an old secret", 0, 0, 0o600)
}

// mv here is a stand-in that first sends every signal a session's end may bring.
func TestASignalDuringTheCommitDoesNotStopIt(t *testing.T) {
	for _, shell := range shells {
		t.Run(shell, func(t *testing.T) {
			fresh(t)
			mustUpload(t, local{}, thirty('a')...)
			dir, err := withSh(shell)
			if err != nil {
				t.Fatal(err)
			}
			fake := filepath.Join(dir, "mv")
			const script = "#!/bin/sh\nkill -HUP $PPID; kill -INT $PPID; kill -TERM $PPID; kill -PIPE $PPID; >/run/signalled\nexec /bin/mv \"$@\"\n"
			if err := os.WriteFile(fake, []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			defer os.Remove(fake)
			defer os.Remove("/run/signalled")
			if _, err := upload(t, local{shell: shell}, thirty('b')...); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat("/run/signalled"); err != nil {
				t.Fatal("no signal was sent: nothing was tested")
			}
			if generation(t) != 'b' {
				t.Error("the new keys are not in place")
			}
			tidy(t, "/srv/keys")
		})
	}
}

// A deployer that reads no more must not leave anything behind on the host.
func TestAReportThatNobodyReadsLeavesNothingBehind(t *testing.T) {
	fresh(t)
	// A user's directory, in which looking alone needs a stage.
	if err := os.MkdirAll("/srv/keys", 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown("/srv/keys", 1000, 1000); err != nil {
		t.Fatal(err)
	}
	items := []Item{item("k", "v", in("/srv/keys"))}
	wanted, _, _ := contents(items)
	input := append(append([]byte{}, hostScript...), lookList(Request{Keys: items, Who: "test"}, hostscript.ID(), byDirectory(wanted)).bytes()...)
	cmd := exec.Command("sh", "-c", hostscript.Eval(hostScript))
	cmd.Stdin = io.MultiReader(bytes.NewReader(input), slow{})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	cmd.Stdout = w
	if err := cmd.Run(); err == nil {
		t.Error("it did not notice")
	}
	w.Close()
	tidy(t, "/srv/keys")
}

// slow is the rest of an input that comes late and is empty.
type slow struct{}

func (slow) Read([]byte) (int, error) {
	time.Sleep(300 * time.Millisecond)
	return 0, io.EOF
}
