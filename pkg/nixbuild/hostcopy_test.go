package nixbuild

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/tests/hostdouble"
)

// far is a host with a store of its own and a /run of its own; the rest of it is this
// machine.
type far struct {
	t    *testing.T
	root string // of the store
	nix  string // in the place of nix-store; "": Nix
}

func newFar(t *testing.T) *far {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a host of its own mounts needs root")
	}
	return &far{t: t, root: t.TempDir()}
}

func (f *far) Run(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) error {
	bin := f.t.TempDir()
	real, _ := exec.LookPath("nix-store")
	script := "#!/bin/sh\n" + f.nix + "\nexec " + real + " \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "nix-store"), []byte(script), 0o755); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "unshare", "-m", "sh", "-c", "mount -t tmpfs run /run && exec sh -c \"$0\"", command)
	cmd.Env = append(f.env(), "PATH="+bin+":"+os.Getenv("PATH"), "NIX_STATE_DIR="+f.root+"/state")
	cmd.WaitDelay = time.Second
	return hostdouble.Run(ctx, cmd, hostdouble.Streams{In: stdin, Out: stdout, Err: stderr})
}

func (f *far) env() []string { return append(os.Environ(), "NIX_REMOTE=local?root="+f.root) }

// nixSays is what a program of Nix says of the host's store.
func (f *far) nixSays(args ...string) string {
	f.t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = f.env()
	out, err := cmd.CombinedOutput()
	if err != nil {
		f.t.Errorf("%q: %v: %s", args, err, out)
	}
	return string(out)
}

// closureOf builds a system, and returns what it needs.
func closureOf(t *testing.T, b *builds, node string) []string {
	t.Helper()
	if errs := b.together(node); errs[node] != nil {
		t.Fatal(errs)
	}
	sizes, err := b.Closure(t.Context(), b.systems[node].OutPath)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(sizes))
}

const needs = `let
  base = drv "base" "mkdir $out; head -c 300000 /dev/zero >$out/zeros; ln -s $out/zeros $out/self" [ ];
  text = builtins.toFile "text" ")";
  mid = drv "mid" "echo ${base} ${text} >$out" [ ];
in { a = drv "a" "echo ${mid} ${base} >$out" [ ]; b = drv "b" "echo ${mid} new >$out" [ ]; }`

func TestAHostGetsWhatItLacksAndKeepsIt(t *testing.T) {
	b, host := building(t, nil, needs), newFar(t)
	paths := closureOf(t, b, "a")
	if len(paths) != 4 {
		t.Fatalf("%q", paths)
	}
	top := b.systems["a"].OutPath
	store := b.HostStore(t.Context(), host, []string{top}, func(string) {})
	lacks, err := store.Lacks(paths)
	if err != nil || !slices.Equal(lacks, paths) {
		t.Fatalf("%q, %v", lacks, err)
	}
	var begun []string
	sent := 0
	if err := store.Add(lacks, func(path string) { begun = append(begun, path) }, func(bytes int) { sent += bytes }); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(slices.Sorted(slices.Values(begun)), paths) || begun[len(begun)-1] != top || sent < 300_000 {
		t.Errorf("%q, %d bytes", begun, sent)
	}
	// The same session goes on.
	if lacks, err = store.Lacks(paths); err != nil || len(lacks) > 0 {
		t.Errorf("then it lacks %q, %v", lacks, err)
	}
	store.Close()
	host.nixSays("nix-store", "--verify", "--check-contents")
	query := func(env []string, args ...string) string {
		cmd := exec.Command("nix-store", append(args, paths...)...)
		cmd.Env = env
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%q: %v", args, err)
		}
		return string(out)
	}
	for _, of := range []string{"--deriver", "--references", "--hash", "--size"} {
		if here, there := query(os.Environ(), "--query", of), query(host.env(), "--query", of); here != there {
			t.Errorf("%s: here %s there %s", of, here, there)
		}
	}
	// Another closure shares most of it.
	paths = closureOf(t, b, "b")
	store = b.HostStore(t.Context(), host, nil, func(string) {})
	defer store.Close()
	lacked, lacks, err := store.Fetch(paths)
	if err != nil || !slices.Equal(lacks, []string{b.systems["b"].OutPath}) || !slices.Equal(lacked, lacks) {
		t.Errorf("%q, %q, %v", lacked, lacks, err)
	}
	if err := store.Add(lacks, func(string) {}, func(int) {}); err != nil {
		t.Error(err)
	}
}

// Without a question, what the host has already does no harm.
func TestAHostIsGivenPathsThatItMayHave(t *testing.T) {
	b, host := building(t, nil, needs), newFar(t)
	paths := closureOf(t, b, "a")
	give := func(paths, want []string) {
		t.Helper()
		store := b.HostStore(t.Context(), host, nil, func(string) {})
		defer store.Close()
		if lacked, err := store.Give(paths, func(string) {}, func(int) {}); err != nil || !slices.Equal(lacked, want) {
			t.Errorf("%q, %v, want %q", lacked, err, want)
		}
	}
	give(paths, paths)
	give(paths, nil)
	b2 := closureOf(t, b, "b")
	give(b2, []string{b.systems["b"].OutPath})
	host.nixSays("nix-store", "--verify", "--check-contents")
	// It cannot be used for what needs something that it lacks.
	empty := newFar(t)
	store := b.HostStore(t.Context(), empty, nil, func(string) {})
	defer store.Close()
	if _, err := store.Give([]string{b.systems["a"].OutPath}, func(string) {}, func(int) {}); err == nil || !strings.Contains(err.Error(), "is not valid") {
		t.Errorf("%v", err)
	}
}

// What a host says that it runs may be anything.
func TestWhatIsNoStorePathEndsNoNix(t *testing.T) {
	b := building(t, nil, `{ a = drv "a" ": >$out" [ ]; }`)
	closureOf(t, b, "a")
	for _, path := range []string{"", "/nix/store", "/nix/store/x", "/nix/store/" + strings.Repeat("e", 32) + "-x", "/nix/store/" + strings.Repeat("a", 32) + "-.x", "something else"} {
		if _, err := b.Closure(t.Context(), path); err == nil || !strings.Contains(err.Error(), "no store path") {
			t.Errorf("%q: %v", path, err)
		}
	}
	if !temporaryRoot(b.systems["a"].OutPath) {
		t.Error("what was kept is kept no more")
	}
}

// What a host is given in the wrong order, or with another content than it was told of,
// it refuses; and then says why.
func TestWhatAHostRefusesIsToldInItsWords(t *testing.T) {
	b, host := building(t, nil, needs), newFar(t)
	paths := closureOf(t, b, "a")
	top := b.systems["a"].OutPath
	add := func(paths []string, want string) {
		t.Helper()
		store := b.HostStore(t.Context(), host, nil, func(string) {})
		defer store.Close()
		err := store.Add(paths, func(string) {}, func(int) {})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	add([]string{top}, "is not valid")
	b.store.mu.Lock()
	for path, info := range b.store.known {
		info.hash = b.store.known[top].hash
		b.store.known[path] = info
	}
	b.store.mu.Unlock()
	add(paths, "hash mismatch")
	host.nix = "echo 'error: no room left' >&2; exit 1"
	add(paths, "no room left")
	host.nix = "exec head -c 100 /dev/zero"
	add(paths, "does not answer as it should")
}

// A host that takes what it gets and says nothing, or takes nothing, is left.
func TestAHostThatStandsStillIsLeft(t *testing.T) {
	defer func(usual time.Duration) { moveLimit = usual }(moveLimit)
	moveLimit = 500 * time.Millisecond
	b, host := building(t, nil, needs), newFar(t)
	paths := closureOf(t, b, "a")
	for _, program := range []string{"cat >/dev/null; exit", "sleep 60; exit"} {
		host.nix = program
		store := b.HostStore(t.Context(), host, nil, func(string) {})
		begin := time.Now()
		if err := store.Add(paths, func(string) {}, func(int) {}); !errors.Is(err, ErrStalled) || time.Since(begin) > 20*time.Second {
			t.Errorf("%s: %v after %s", program, err, time.Since(begin))
		}
		store.Close()
	}
}

// A path whose content is not what this machine's store says is not given away.
func TestADamagedPathOfThisMachineIsNotCopied(t *testing.T) {
	b, host := building(t, nil, `{ a = drv "a" "echo whole >$out" [ ]; }`), newFar(t)
	paths := closureOf(t, b, "a")
	b.store.mu.Lock()
	info := b.store.known[paths[0]]
	info.size += 8
	b.store.known[paths[0]] = info
	b.store.mu.Unlock()
	store := b.HostStore(t.Context(), host, nil, func(string) {})
	defer store.Close()
	err := store.Add(paths, func(string) {}, func(int) {})
	if !errors.Is(err, errArchive) || !strings.Contains(err.Error(), paths[0]) {
		t.Errorf("%v", err)
	}
	<-store.ended
	if valid := exec.Command("nix-store", "--check-validity", paths[0]); valid.Run() != nil {
		t.Error("it is not even here")
	}
}

func TestPathsGoAfterThoseThatTheyNeed(t *testing.T) {
	infos := map[string]pathInfo{"a": {references: []string{"c", "a", "b"}}, "b": {references: []string{"d"}}, "c": {}}
	if got := inOrder([]string{"a", "b", "c"}, infos); !slices.Equal(got, []string{"c", "b", "a"}) {
		t.Errorf("%q", got)
	}
}
