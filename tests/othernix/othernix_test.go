// Package othernix_test runs the tests of what calls Nix with other versions of it
// than this machine's: that of the hosts, and that of the root file system, of
// Debian or alike, which COLMENA_GO_TEST_NIX_ROOT names.
package othernix_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/tests/fleet"
	"github.com/colmena-go/colmena-go/tests/lacking"
)

// In namespaces without a network, where what is mounted and runs ends with us.
func TestMain(m *testing.M) { fleet.Main(m) }

// rootEnv names a root file system with a Nix of its own.
const rootEnv = "COLMENA_GO_TEST_NIX_ROOT"

// packages are those whose tests run there.
var packages = []string{"pkg/nix", "pkg/nixbuild", "pkg/nixeval", "pkg/evaluate", "tests/cli"}

// limit is how long the tests of one package may take.
const limit = 8 * time.Minute

func TestWhatCallsNixPassesWithTheHosts(t *testing.T) { passes(t, fleet.Root(t)) }

func TestWhatCallsNixPassesWithTheNamedOne(t *testing.T) {
	root := os.Getenv(rootEnv)
	if root == "" {
		t.Skip(rootEnv + " names no root file system with another Nix")
	}
	fleet.Root(t) // for root's rights
	passes(t, root)
}

// passes runs the tests in a copy of a root file system.
func passes(t *testing.T, root string) {
	module, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	programs := t.TempDir()
	build(t, module, programs)
	r := room{root: root, module: module, programs: programs}
	version, err := r.run(t.Context(), module, "/usr/bin/nix", "--version")
	if err != nil {
		t.Fatalf("%v: %s", err, version)
	}
	version = strings.TrimSpace(version)
	t.Log(version)
	for _, folder := range packages {
		t.Run(folder, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), limit+time.Minute)
			defer cancel()
			out, err := r.run(ctx, filepath.Join(module, folder), filepath.Join(programs, filepath.Base(folder)+".test"), "-test.timeout="+limit.String())
			if err != nil {
				t.Errorf("with %s: %v\n%s", version, err, out)
			}
		})
	}
	r.tellLacking(t, version)
}

// build makes the programs of the tests; they need no library, whichever there is.
func build(t *testing.T, module, programs string) {
	t.Helper()
	args := []string{"test", "-c", "-o", programs + "/"}
	for _, folder := range packages {
		args = append(args, "./"+folder)
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir, cmd.Env = module, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.WriteFile(filepath.Join(programs, "lacking"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// room is a root file system to run tests in.
type room struct{ root, module, programs string }

// run runs a program there and returns what it says.
func (r room) run(ctx context.Context, folder, program string, args ...string) (string, error) {
	git, _ := exec.LookPath("git")
	script, err := filepath.Abs("inside.sh")
	if err != nil {
		return "", err
	}
	args = append([]string{"--mount", "--propagation", "private", "sh", script, r.root, git, r.module, r.programs, folder, program}, args...)
	cmd := exec.CommandContext(ctx, "unshare", args...)
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	return out.String(), err
}

// tellLacking tells which single tests lacked something there.
func (r room) tellLacking(t *testing.T, version string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.programs, "lacking"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		t.Run("what lacks something", func(t *testing.T) { lacking.Skip(t, version, ": ", strings.TrimSpace(line)) })
	}
}
