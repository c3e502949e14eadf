package nixbuild

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/nix"
	"github.com/colmena-go/colmena-go/tests/nixenv"
)

// builds is a Builder of real Nix, and the systems to build with it.
type builds struct {
	*Builder
	t       *testing.T
	dir     string
	systems map[string]Build
	calls   string // what nix-store was called with
	mu      sync.Mutex
	said    map[string][]string // by node
	notes   []string
}

// building writes a set of systems, in terms of `drv NAME SCRIPT INPUTS`, which
// no store has yet. DIR in it is a folder of the test's.
func building(t *testing.T, options [][2]string, systems string) *builds {
	t.Helper()
	nixenv.Use(t)
	b := &builds{t: t, dir: t.TempDir(), said: map[string][]string{}}
	b.countCalls()
	expression := fmt.Sprintf(`let
  drv = name: script: inputs: derivation {
    inherit name inputs; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-ec" script ];
    PATH = "/usr/bin:/bin"; salt = %q; };
  DIR = %q;
  systems = %s;
in builtins.mapAttrs (Node: d: { inherit Node; DrvPath = d.drvPath; OutPath = d.outPath; }) systems`, b.dir, b.dir, systems)
	cmd := exec.Command("nix", "eval", "--impure", "--json", "--expr", expression)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &b.systems); err != nil {
		t.Fatal(err)
	}
	b.Builder = New(nix.Tool{Options: options}, BuilderOptions{Nodes: len(b.systems), Note: func(text string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.notes = append(b.notes, text)
	}})
	t.Cleanup(b.Close)
	return b
}

// countCalls has nix-store write down what it is called with, and wait at the gate
// "query", if there is one, before it tells who needs what.
func (b *builds) countCalls() {
	b.t.Helper()
	real, err := exec.LookPath("nix-store")
	if err != nil {
		b.t.Fatal(err)
	}
	bin := b.t.TempDir()
	b.calls = filepath.Join(bin, "calls")
	script := fmt.Sprintf("#!/bin/sh\necho \"$1 $2\" >>%q\n[ \"$1\" != --query ] || [ ! -e %q ] || read x <%[2]q\nexec %[3]q \"$@\"\n", b.calls, b.dir+"/query", real)
	if err := os.WriteFile(filepath.Join(bin, "nix-store"), []byte(script), 0o755); err != nil {
		b.t.Fatal(err)
	}
	b.t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
}

// called is how often nix-store was called in a way.
func (b *builds) called(how string) int {
	text, err := os.ReadFile(b.calls)
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.Count("\n"+string(text), "\n"+how)
}

// gate makes a FIFO that a builder reads, and returns what opens it, once the
// builder is there.
func (b *builds) gate(name string) (open func()) {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		b.t.Fatal(err)
	}
	return func() {
		if err := os.WriteFile(path, []byte("go\n"), 0); err != nil {
			b.t.Error(err)
		}
	}
}

// start builds a node's system; its result comes later.
func (b *builds) start(ctx context.Context, node string) <-chan error {
	result := make(chan error, 1)
	system := b.systems[node]
	system.Output = func(line string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.said[node] = append(b.said[node], line)
	}
	go func() { result <- b.Build(ctx, system) }()
	return result
}

// together builds several nodes' systems.
func (b *builds) together(nodes ...string) map[string]error {
	results, errs := map[string]<-chan error{}, map[string]error{}
	for _, node := range nodes {
		results[node] = b.start(b.t.Context(), node)
	}
	for node, result := range results {
		errs[node] = <-result
	}
	return errs
}

func (b *builds) is(node string) {
	b.t.Helper()
	if known, err := (nix.Tool{}).Known(b.t.Context(), b.systems[node].OutPath); !known || err != nil {
		b.t.Errorf("the system of %s is not there: %v", node, err)
	}
}

// heard counts the lines that nodes were told with a text.
func (b *builds) heard(text string) (count int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, lines := range b.said {
		for _, line := range lines {
			if strings.Contains(line, text) {
				count++
			}
		}
	}
	return count
}

// daemon has Nix work through a nix-daemon of the test's.
func daemon(t *testing.T) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "socket")
	cmd := exec.Command("nix-daemon")
	cmd.Env = append(os.Environ(), "NIX_DAEMON_SOCKET_PATH="+socket)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	until(t, "the daemon listens", func() bool { _, err := os.Stat(socket); return err == nil })
	t.Setenv("NIX_REMOTE", "unix://"+socket)
}

// until waits for something that is about to be.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: ", what)
		}
	}
}
