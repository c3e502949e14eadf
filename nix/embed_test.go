package nix_test

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/cli"
)

// A command that deploy-app.nix does not list would be taken for a goal of apply.
func TestTheDeployAppKnowsAllCommands(t *testing.T) {
	app, err := os.ReadFile("deploy-app.nix")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, pattern := range regexp.MustCompile(`(?m)^ +(\w.*)\) ;;$`).FindAllSubmatch(app, -1) {
		for _, word := range strings.Split(string(pattern[1]), " | ") {
			listed[word] = true
		}
	}

	_, help := run(t, "--help")
	_, commands, _ := strings.Cut(help, "\nCOMMANDS:\n")
	commands, _, _ = strings.Cut(commands, "\n\n")
	names := regexp.MustCompile(`(?m)^   ([^\s,]+(?:, [^\s,]+)*)`).FindAllStringSubmatch(commands, -1)
	if len(names) < 5 {
		t.Fatalf("no commands in the help:\n%s", help)
	}
	for _, name := range names {
		for _, alias := range strings.Split(name[1], ", ") {
			if !listed[alias] {
				t.Errorf("deploy-app.nix does not list %s", alias)
			}
		}
	}
	// Some of them the help does not show.
	for word := range listed {
		if code, _ := run(t, "help", word); code != cli.ExitOK {
			t.Errorf("deploy-app.nix lists %s, which is no command", word)
		}
	}
}

// run runs the program and returns its exit code and standard output.
func run(t *testing.T, args ...string) (int, string) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	output := make(chan string)
	go func() {
		text, _ := io.ReadAll(read)
		output <- string(text)
	}()
	stdout := os.Stdout
	os.Stdout = write
	code := cli.Main(append([]string{"colmena-go"}, args...))
	os.Stdout = stdout
	write.Close()
	return code, <-output
}
