//go:build linux

package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// A script cut short must not run its shorter self: every prefix of it is
// a syntax error. The shell itself cuts and tries, to have 10,000 tries cheaply.
func TestATruncatedScriptRunsNothing(t *testing.T) {
	const tries = `
script=$(cat) n=0
while [ -n "$script" ]; do
	script=${script%?}
	case $script in *[![:space:]]*) ;; *) break ;; esac
	(eval "$script") </dev/null >&2 && { echo "ran: ${#script}"; exit 1; }
	n=$((n + 1))
done 2>/dev/null
echo $n`
	for _, shell := range shells {
		t.Run(shell, func(t *testing.T) {
			fresh(t)
			t.Parallel()
			cmd := exec.Command(shell, "-c", tries)
			cmd.Env = append(os.Environ(), "LC_ALL=C")
			cmd.Stdin = bytes.NewReader(hostScript)
			out, err := cmd.Output()
			if want := fmt.Sprintf("%d\n", len(hostScript)-2); err != nil || string(out) != want {
				t.Errorf("%v: %q, want %q prefixes tried, none of which ran", err, out, want)
			}
			if _, err := os.Stat("/run/colmena-go"); !errors.Is(err, os.ErrNotExist) {
				t.Error("a truncated script left /run/colmena-go")
			}
		})
	}
}

// cutAfter ends the input after n bytes, as a dropped connection does.
func cutAfter(n int64) func(io.Reader) io.Reader {
	return func(r io.Reader) io.Reader { return io.LimitReader(r, n) }
}

// thirty is a set of keys, all of one generation, large enough that an upload
// takes a while.
func thirty(generation byte) []Item {
	var items []Item
	for i := range 30 {
		dir := "/run/keys"
		if i%3 == 0 {
			dir = "/srv/keys"
		}
		items = append(items, item(fmt.Sprintf("k%d", i), strings.Repeat(string(generation), 300_000), in(dir)))
	}
	return items
}

// generation reads the set on the host; it fails on torn files and mixed sets.
func generation(t *testing.T) byte {
	t.Helper()
	var set byte
	for i, it := range thirty('?') {
		got, err := os.ReadFile(it.Key.Path())
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 300_000 || bytes.Count(got, got[:1]) != len(got) {
			t.Fatalf("%s is torn", it.Key.Path())
		}
		if i > 0 && got[0] != set {
			t.Fatalf("%s is of set %c, others are of set %c", it.Key.Path(), got[0], set)
		}
		set = got[0]
	}
	return set
}

func TestAConnectionCutAtAnyByteLeavesAllOldOrAllNewKeys(t *testing.T) {
	fresh(t)
	mustUpload(t, local{}, thirty('a')...)
	var total atomic.Int64
	measure := local{stdin: func(r io.Reader) io.Reader { return counter{r, &total} }}
	mustUpload(t, measure, thirty('b')...)
	all := total.Load()
	random := rand.New(rand.NewPCG(1, 2))
	script := int64(len(hostscript.Proving("0123456789abcdef", hostScript)))
	cuts := []int64{0, 1, script - 1, script, script + 11, all - 1}
	for len(cuts) < 50 {
		cuts = append(cuts, random.Int64N(all))
	}
	for _, cut := range cuts {
		if _, err := upload(t, local{stdin: cutAfter(cut)}, thirty('c')...); err == nil {
			t.Errorf("cut after %d of %d bytes: no error", cut, all)
		}
		if got := generation(t); got != 'b' {
			t.Fatalf("cut after %d of %d bytes: set %c is in place", cut, all, got)
		}
		tidy(t, "/srv/keys")
	}
	mustUpload(t, local{}, thirty('c')...)
	if generation(t) != 'c' {
		t.Error("the next run did not finish the job")
	}
}

type counter struct {
	io.Reader
	n *atomic.Int64
}

func (c counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// The host's half killed at any moment leaves whole files, and the next run
// removes its stage. The kill reaches every process of the job.
func TestAKilledHostProcessLeavesWholeFilesAndTheNextRunTidiesUp(t *testing.T) {
	fresh(t)
	mustUpload(t, local{}, thirty('a')...)
	begin := time.Now()
	mustUpload(t, local{}, thirty('b')...)
	usual := time.Since(begin)
	for i := range 20 {
		next := byte('c' + i%2)
		killer := local{started: func(p *os.Process) {
			time.AfterFunc(usual*time.Duration(i)/16, func() { killTree(p.Pid) })
		}}
		upload(t, killer, thirty(next)...)
		for _, it := range thirty('?') {
			got, err := os.ReadFile(it.Key.Path())
			if err != nil || len(got) != 300_000 || bytes.Count(got, got[:1]) != len(got) {
				t.Fatalf("kill %d: %s is torn: %v", i, it.Key.Path(), err)
			}
			if knows(t, Item{Key: it.Key, Content: secret.New(got)}) != "placed" {
				t.Errorf("kill %d: the host does not know %s", i, it.Key.Path())
			}
		}
		// Elsewhere: the record tells the next run where to look.
		mustUpload(t, local{}, item("other", "x", in("/srv/other")))
		tidy(t, "/srv/keys", "/srv/other")
		mustUpload(t, local{}, thirty(next)...)
		if generation(t) != next {
			t.Fatal("the next run did not finish the job")
		}
	}
}

// killTree kills a process group and the groups of its descendants (timeout
// makes one), found by parent.
func killTree(pid int) {
	out, _ := exec.Command("ps", "-eo", "pid=,ppid=").Output()
	children := map[int][]int{}
	for _, line := range strings.Split(string(out), "\n") {
		var p, pp int
		if n, _ := fmt.Sscan(line, &p, &pp); n == 2 {
			children[pp] = append(children[pp], p)
		}
	}
	for queue := []int{pid}; len(queue) > 0; queue = queue[1:] {
		syscall.Kill(queue[0], syscall.SIGKILL)
		queue = append(queue, children[queue[0]]...)
	}
}

// A rename that fails in the middle of the set is undone. mv here is a stand-in
// that renames all but the last file and then fails, once.
func TestAFailedRenameIsUndone(t *testing.T) {
	for _, shell := range shells {
		t.Run(shell, func(t *testing.T) {
			fresh(t)
			mustUpload(t, local{}, append(thirty('a'), item("mended", "m"))...)
			before := tree(t)
			dir, err := withSh(shell)
			if err != nil {
				t.Fatal(err)
			}
			fake := filepath.Join(dir, "mv")
			const script = `#!/bin/bash
[ -e /run/failed ] && exec /bin/mv "$@"
[ "$#" -gt 6 ] && [ -e /run/once ] && { >/run/failed; /bin/mv "${@:1:$#-1}"; echo "mv: no luck" >&2; exit 1; }
>/run/once
exec /bin/mv "$@"
`
			if err := os.WriteFile(fake, []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			defer os.Remove(fake)
			defer os.Remove("/run/failed")
			defer os.Remove("/run/once")
			items := append(thirty('b'), item("new1", "n"), item("new2", "n", in("/srv/keys")),
				item("mended", "m", owned("1000", "1000", 0o640)))
			_, err = upload(t, local{shell: shell}, items...)
			if err == nil || !strings.Contains(err.Error(), "everything is as it was") {
				t.Errorf("error: %v", err)
			}
			if _, err := os.Stat("/run/failed"); err != nil {
				t.Fatal("the stand-in for mv did not fail: nothing was tested")
			}
			if after := tree(t); after != before {
				t.Errorf("not undone:\nbefore:\n%s\nafter:\n%s", before, after)
			}
			tidy(t, "/srv/keys")
		})
	}
}

func TestTwoDeployersTakeTurns(t *testing.T) {
	fresh(t)
	release, holding := make(chan struct{}), make(chan struct{})
	hold := local{stdin: func(r io.Reader) io.Reader {
		return &gate{Reader: r, after: 4_000_000, reached: holding, release: release}
	}}
	var first error
	var wg sync.WaitGroup
	wg.Go(func() {
		_, first = Run(context.Background(), hold, Request{Keys: thirty('a'), Who: "alice@desk"})
	})
	<-holding
	_, err := Run(context.Background(), local{}, Request{Keys: thirty('b'), Who: "bob@desk", LockWait: time.Second})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "alice@desk") {
		t.Errorf("error %v, want ErrLocked naming the holder", err)
	}
	var notes []string
	var second error
	wg.Go(func() {
		_, second = Run(context.Background(), local{}, Request{Keys: thirty('b'), Who: "bob@desk", Note: func(s string) {
			notes = append(notes, s)
			close(release)
		}})
	})
	wg.Wait()
	if first != nil || second != nil {
		t.Fatal(first, second)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "alice@desk") {
		t.Errorf("notes %q, want one naming the holder", notes)
	}
	if generation(t) != 'b' {
		t.Error("the second deployer's keys are not in place")
	}
	tidy(t, "/srv/keys")
}

// gate stops a stream after some bytes until it is released.
type gate struct {
	io.Reader
	after            int64
	reached, release chan struct{}
	once             sync.Once
}

func (g *gate) Read(p []byte) (int, error) {
	if g.after <= 0 {
		g.once.Do(func() {
			time.Sleep(200 * time.Millisecond) // the host takes the lock
			close(g.reached)
			<-g.release
		})
	} else if int64(len(p)) > g.after {
		p = p[:g.after]
	}
	n, err := g.Reader.Read(p)
	g.after -= int64(n)
	return n, err
}

func TestACancelledUploadEndsAndChangesNothing(t *testing.T) {
	fresh(t)
	mustUpload(t, local{}, thirty('a')...)
	ctx, cancel := context.WithCancel(context.Background())
	reached, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	hold := local{stdin: func(r io.Reader) io.Reader {
		return &gate{Reader: r, after: 4_000_000, reached: reached, release: release}
	}}
	go func() {
		<-reached
		cancel()
	}()
	if _, err := Run(ctx, hold, Request{Keys: thirty('b'), Who: "test"}); err == nil {
		t.Error("no error")
	}
	time.Sleep(100 * time.Millisecond)
	if generation(t) != 'a' {
		t.Error("a cancelled upload took effect")
	}
}

// A cut cable tells the host nothing: its half ends by a deadline of its own,
// and takes its stage along.
func TestTheHostsHalfEndsByItself(t *testing.T) {
	fresh(t)
	mustUpload(t, local{}, thirty('a')...)
	if err := os.Chmod("/run/keys", 0o770); err != nil { // so that a stage is needed to look
		t.Fatal(err)
	}
	req := Request{Keys: thirty('b'), Who: "test", LockWait: time.Second}
	wanted, _, _ := contents(req.Keys)
	dirs := byDirectory(wanted)
	c := start(t.Context(), local{}, time.Second)
	c.send(lookList(req, hostscript.ID(), dirs).bytes())
	if _, err := readLook(c.out, dirs, nil, nil, nil); err != nil {
		t.Fatal(err)
	}
	if list, _ := filepath.Glob("/run/keys/.colmena-go*"); len(list) == 0 {
		t.Error("there is no stage: nothing is tested")
	}
	select {
	case <-c.ended:
	case <-time.After(10 * time.Second):
		t.Error("it does not end")
	}
	tidy(t, "/srv/keys")
	if generation(t) != 'a' {
		t.Error("something changed")
	}
	c.finish()
}
