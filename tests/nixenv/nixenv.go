// Package nixenv gives tests a Nix that knows nothing of the machine's own
// configuration and touches no network, and the nixpkgs to evaluate with it.
package nixenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// NixpkgsEnv names a nixpkgs, or a directory with nothing but its lib, that
// tests use in place of the small one in tests/nixos.
const NixpkgsEnv = "COLMENA_GO_TEST_NIXPKGS"

const conf = `experimental-features = nix-command flakes
sandbox = false
build-users-group =
substituters =
flake-registry =
warn-dirty = false
`

// Env returns an environment for nix processes, and for programs that start
// them: the process's own, with configuration, home and caches of the test's.
// Builds go to the machine's store.
func Env(tb testing.TB) []string {
	tb.Helper()
	dir := tb.TempDir()
	for _, sub := range []string{"conf", "home", "cache"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			tb.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "conf/nix.conf"), []byte(conf), 0o600); err != nil {
		tb.Fatal(err)
	}
	var env []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		switch {
		case strings.HasPrefix(name, "NIX_"), strings.HasPrefix(name, "XDG_"), name == "HOME":
		default:
			env = append(env, v)
		}
	}
	return append(env,
		"NIX_CONF_DIR="+filepath.Join(dir, "conf"),
		"NIX_USER_CONF_FILES=",
		"HOME="+filepath.Join(dir, "home"),
		"XDG_CACHE_HOME="+filepath.Join(dir, "cache"))
}

// Use gives the test itself the environment of [Env], and returns [Nixpkgs].
func Use(t *testing.T) string {
	t.Helper()
	for _, v := range Env(t) {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	return Nixpkgs(t)
}

// Nixpkgs returns the directory that `<nixpkgs>` stands for in tests: the one
// named by COLMENA_GO_TEST_NIXPKGS, or tests/nixos. If that variable names a
// bare lib, it is tests/nixos with that lib in place of its own.
func Nixpkgs(tb testing.TB) string {
	tb.Helper()
	dir, err := nixpkgs()
	if err != nil {
		tb.Fatal(err)
	}
	return dir
}

// Bootable returns a NixOS whose systems build offline and boot on the fleet's
// hosts: the tree that COLMENA_GO_TEST_NIXPKGS names, if its package set is one
// of programs that the hosts have. Without one it skips the test.
func Bootable(tb testing.TB) string {
	tb.Helper()
	if !IsReal() || !exists(filepath.Join(os.Getenv(NixpkgsEnv), "standin/default.nix")) {
		tb.Skip(NixpkgsEnv + " names no NixOS that builds offline: a tree with nixos/, lib/ and a package set of the hosts' programs in standin/")
	}
	return os.Getenv(NixpkgsEnv)
}

// IsReal reports whether [Nixpkgs] is a whole nixpkgs, whose systems neither
// build offline nor run on the fleet's hosts.
func IsReal() bool {
	named := os.Getenv(NixpkgsEnv)
	return named != "" && exists(filepath.Join(named, "nixos/lib/eval-config.nix"))
}

var nixpkgs = sync.OnceValues(func() (string, error) {
	_, here, _, _ := runtime.Caller(0)
	small := filepath.Join(filepath.Dir(here), "../nixos")
	named := os.Getenv(NixpkgsEnv)
	switch {
	case named == "":
		return small, nil
	case IsReal():
		return named, nil
	case !exists(filepath.Join(named, "lib/modules.nix")):
		return "", fmt.Errorf("%s=%s has neither nixos/lib/eval-config.nix nor lib/modules.nix", NixpkgsEnv, named)
	}
	// A copy rather than links: pure evaluation sees one tree only. It goes to
	// the store, where equal trees are one and nobody need remove it.
	joined, err := os.MkdirTemp("", "nixpkgs-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(joined)
	if err := os.WriteFile(filepath.Join(joined, "nix.conf"), []byte(conf), 0o600); err != nil {
		return "", err
	}
	script := `cp -R "$1" "$3/nixpkgs" && rm -rf "$3/nixpkgs/lib" && cp -R "$2/lib" "$3/nixpkgs/lib" && nix-store --add "$3/nixpkgs"`
	cmd := exec.Command("sh", "-ec", script, "sh", small, named, joined)
	cmd.Env = append(os.Environ(), "NIX_CONF_DIR="+joined)
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("putting the lib of %s into the small nixpkgs: %w", named, err)
	}
	return strings.TrimSpace(string(out)), nil
})

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
