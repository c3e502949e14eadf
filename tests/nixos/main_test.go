// Package nixos_test holds the small NixOS to what modules and deployments
// expect of the real one.
package nixos_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/tests/fleet"
	"github.com/colmena-go/colmena-go/tests/nixenv"
)

func TestMain(m *testing.M) { fleet.Main(m) }

// run returns the output of a program, and its errors without colour or traces.
func run(tb testing.TB, name string, args ...string) (stdout, stderr string, err error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = nixenv.Env(tb)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// withLib evaluates an expression strictly, to JSON, with lib in scope.
func withLib(tb testing.TB, expr string) (json, stderr string, err error) {
	tb.Helper()
	full := fmt.Sprintf("let lib = import %s/lib; inherit (lib) mkOption types mkIf mkMerge evalModules; eval = modules: (evalModules { inherit modules; }).config; in %s",
		nixenv.Nixpkgs(tb), expr)
	return run(tb, "nix-instantiate", "--eval", "--strict", "--json", "-E", full)
}

// system builds the toplevel of a module; its text sees pkgs, lib and config.
func system(tb testing.TB, module string) string {
	tb.Helper()
	out, stderr, err := run(tb, "nix-build", "--no-out-link", "-E", systemExpr(tb, module)+".config.system.build.toplevel")
	if err != nil {
		tb.Fatalf("the system does not build: %v\n%s", err, stderr)
	}
	return strings.TrimSpace(out)
}

func systemExpr(tb testing.TB, module string) string {
	return fmt.Sprintf(`(import %s/nixos/lib/eval-config.nix {
  modules = [ ({ pkgs, lib, config, ... }: { system.stateVersion = "24.05"; networking.hostName = "small"; }) ({ pkgs, lib, config, ... }: %s) ];
})`, nixenv.Nixpkgs(tb), module)
}

// install copies a system to a host.
func install(tb testing.TB, f *fleet.Fleet, h *fleet.Host, toplevel string) {
	tb.Helper()
	cmd := exec.Command("nix", "copy", "--no-check-sigs", "--to", "ssh://root@"+h.Name, toplevel)
	cmd.Env = append(nixenv.Env(tb), "NIX_SSHOPTS=-F "+f.SSHConfig)
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("copying %s: %v\n%s", toplevel, err, out)
	}
}

// activation is what came of one switch-to-configuration.
type activation struct {
	exit   int
	output string
}

func activate(tb testing.TB, h *fleet.Host, toplevel, action string) activation {
	tb.Helper()
	out, err := h.Shell(fmt.Sprintf("%s/bin/switch-to-configuration %s 2>&1; echo EXIT $?", toplevel, action))
	if err != nil {
		tb.Fatal(err)
	}
	output, status, _ := strings.Cut(out, "EXIT ")
	var a activation
	a.output = output
	if _, err := fmt.Sscan(status, &a.exit); err != nil {
		tb.Fatalf("no exit status in %q", out)
	}
	return a
}

// switchTo builds, installs and switches to a module's system.
func switchTo(tb testing.TB, f *fleet.Fleet, h *fleet.Host, module string) activation {
	tb.Helper()
	toplevel := system(tb, module)
	install(tb, f, h, toplevel)
	return activate(tb, h, toplevel, "switch")
}

func shell(tb testing.TB, h *fleet.Host, script string) string {
	tb.Helper()
	out, err := h.Shell(script)
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func wants(tb testing.TB, what, got, want string) {
	tb.Helper()
	if got != want {
		tb.Errorf("%s is %q, want %q", what, got, want)
	}
}

func says(tb testing.TB, a activation, lines ...string) {
	tb.Helper()
	for _, line := range lines {
		if !strings.Contains(a.output, line) {
			tb.Errorf("the output lacks %q:\n%s", line, a.output)
		}
	}
}

func nixFiles(tb testing.TB) []string {
	tb.Helper()
	var files []string
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".nix") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return files
}
