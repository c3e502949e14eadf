package cli

import (
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What it does not know it takes for a goal of apply.
func TestTheDeployAppKnowsEveryCommand(t *testing.T) {
	script, err := os.ReadFile("../../nix/deploy-app.nix")
	if err != nil {
		t.Fatal(err)
	}
	known := regexp.MustCompile(`[\w-]+`).FindAllString(string(script), -1)
	app := newApp(io.Discard, io.Discard)
	for _, command := range app.Commands {
		for _, name := range command.Names() {
			if name == completing { // shells call the program by its own name
				continue
			}
			if !slices.Contains(known, name) {
				t.Errorf("nix/deploy-app.nix does not know the command %s", name)
			}
		}
	}
	// It lists no other: those would be usage errors.
	listed := regexp.MustCompile(`(?m)^ +(\w.*)\) ;;$`).FindSubmatch(script)
	for _, name := range strings.Split(string(listed[1]), " | ") {
		if app.Command(name) == nil {
			t.Errorf("nix/deploy-app.nix lists %s, which is no command", name)
		}
	}
	for _, name := range []string{"-h", "--help", "-V", "--version"} {
		if !slices.Contains(known, name) {
			t.Errorf("nix/deploy-app.nix does not know %s", name)
		}
	}
}
