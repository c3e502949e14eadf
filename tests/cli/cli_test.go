// Package cli_test runs the program as people do: each script in this folder is
// a scenario on a command line, with a real Nix. What needs hosts is elsewhere.
package cli_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/colmena-go/colmena-go/pkg/cli"
	"github.com/colmena-go/colmena-go/tests/nixenv"
	"github.com/colmena-go/colmena-go/tests/schemas"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"colmena-go": func() { os.Exit(cli.Main(os.Args)) },
	})
}

func TestCommandLine(t *testing.T) {
	nixpkgs := nixenv.Nixpkgs(t)
	environment := nixenv.Env(t)
	ours, err := filepath.Abs("../../nix")
	if err != nil {
		t.Fatal(err)
	}
	// Where only some scripts are run, testscript leaves the folder of all behind.
	folder, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		left, _ := filepath.Glob(filepath.Join(folder, "*"))
		for _, dir := range append(left, folder) {
			os.Remove(dir) // scripts have removed theirs, unless -testwork keeps them
		}
	})
	t.Setenv("GOTMPDIR", folder)
	testscript.Run(t, testscript.Params{
		Dir: ".",
		Setup: func(env *testscript.Env) error {
			for _, v := range environment {
				name, value, _ := strings.Cut(v, "=")
				if strings.HasPrefix(name, "NIX_") || strings.HasPrefix(name, "XDG_") || name == "HOME" {
					env.Setenv(name, value)
				}
			}
			env.Setenv("NIX_PATH", "nixpkgs="+nixpkgs)
			env.Setenv("OURS", ours)
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":  code,
			"await": await,
			"valid": valid,
		},
		RequireExplicitExec: true,
	})
}

// code N PROGRAM ARGS... runs a program, which must exit with N.
func code(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// valid SCHEMA FILE sees that a file, or stdout or stderr, is as docs/SCHEMA.schema.json says.
func valid(ts *testscript.TestScript, neg bool, args []string) {
	err := schemas.Validate(args[0], []byte(ts.ReadFile(args[1])))
	if (err == nil) == neg {
		ts.Fatalf("%s: %v", args[1], err)
	}
}

// await FILE waits until a file is there.
func await(ts *testscript.TestScript, _ bool, args []string) {
	script := `i=0; until [ -e "$1" ]; do i=$((i + 1)); [ $i -lt 600 ] || exit 1; sleep 0.05; done`
	if err := ts.Exec("sh", "-c", script, "sh", ts.MkAbs(args[0])); err != nil {
		ts.Fatalf("%s did not come to be within 30 s", args[0])
	}
}
