package nix_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/tests/nixenv"
)

// real is what stands for quickSubmodule where keys are merged by the module
// system alone.
const real = `{ lib, module, ... }: lib.types.submodule module`

// asked evaluates an expression, with the nodes of a hive, whose keys have the
// quick type or the real one. The error is in Nix's words.
func asked(t *testing.T, quick bool, hive, expr string, env ...string) (string, *nixError) {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	options := fmt.Sprintf("import %s/options.nix { }", here)
	if !quick {
		options = fmt.Sprintf("import %s/options.nix { quickSubmodule = %s; }", here, real)
	}
	dir := filepath.Join(filepath.Dir(t.TempDir()), "hive") // the same for both
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"hive.nix": hive, "key.nix": `{ name, ... }: { user = "file-of-${name}"; }`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("nix-instantiate", "--eval", "--strict", "--json", "--read-write-mode", "--show-trace", "--log-format", "internal-json", "--expr",
		fmt.Sprintf("with (import %s/eval.nix { options = %s; }).makeHive { hermetic = false; } (import %s/hive.nix); %s", here, options, dir, expr))
	cmd.Env = append(append(nixenv.Env(t), "NIX_PATH=nixpkgs="+nixenv.Nixpkgs(t)), env...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err == nil {
		return string(out), nil
	}
	return "", explained(t, said.String())
}

// nixError is what Nix says of a failure: the message, and on its way the options
// that were being evaluated.
type nixError struct {
	Message string
	Options []string
}

func explained(t *testing.T, said string) *nixError {
	t.Helper()
	var failure *nixError
	for _, line := range strings.Split(said, "\n") {
		var entry struct {
			Level int
			Raw   *string `json:"raw_msg"`
			Trace []struct {
				Raw string `json:"raw_msg"`
			}
		}
		text, ok := strings.CutPrefix(line, "@nix ")
		if !ok || json.Unmarshal([]byte(text), &entry) != nil || entry.Raw == nil {
			continue
		}
		failure = &nixError{Message: *entry.Raw}
		for _, frame := range entry.Trace {
			if strings.HasPrefix(frame.Raw, "while evaluating the option") || strings.HasPrefix(frame.Raw, "while evaluating definitions from") {
				failure.Options = append(failure.Options, frame.Raw)
			}
		}
		failure.Options = slices.Compact(failure.Options)            // of a list, each element has its own
		if strings.Contains(failure.Message, "infinite recursion") { // which may be noticed anywhere on the way
			slices.Sort(failure.Options)
			failure.Options = slices.Compact(failure.Options)
		}
	}
	if failure == nil {
		t.Fatalf("nothing explains the failure: %s", said)
	}
	return failure
}
