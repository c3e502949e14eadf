package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/tests/lacking"
)

func TestManualPagesAreSoundAndComplete(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	app := newApp(&bytes.Buffer{}, &bytes.Buffer{})
	if err := writeManual(app, dir); err != nil {
		t.Fatal(err)
	}
	for _, command := range shownCommands() {
		file := filepath.Join(dir, strings.TrimSuffix("colmena-go-"+command, "-")+".1")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range examples[command] {
			if word := strings.Fields(e.does)[1]; !strings.Contains(string(text), word) {
				t.Errorf("%s: an example is missing: %s", file, e.does)
			}
		}
		mandoc, err := exec.LookPath("mandoc")
		if err != nil {
			lacking.Skip(t, "needs mandoc: ", err)
		}
		out, _ := exec.Command(mandoc, "-T", "lint", "-W", "warning", file).CombinedOutput()
		for line := range strings.Lines(string(out)) {
			if !strings.Contains(line, "missing date") { // which a page that is built twice alike cannot have
				t.Error(line)
			}
		}
	}
	shown, err := exec.Command("mandoc", "-T", "ascii", filepath.Join(dir, "colmena-go-apply.1")).Output()
	if err != nil {
		t.Fatal(err)
	}
	plain := exec.Command("col", "-b")
	plain.Stdin = bytes.NewReader(shown)
	out, err := plain.Output()
	for _, want := range []string{"-p, --parallel N", "colmena-go apply --on 'web-*,!web-9' test", "deployment.replaceUnknownProfiles"} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%v: %q is not in\n%s", err, want, out)
		}
	}
}

// COLMENA_GO_UPDATE=1 writes it anew.
func TestTheReferenceOfCommandsIsWhatTheProgramSays(t *testing.T) {
	const file = "../../docs/reference/commands.md"
	want := reference(newApp(&bytes.Buffer{}, &bytes.Buffer{}))
	if os.Getenv("COLMENA_GO_UPDATE") == "1" {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("%s is not what --help says (%v): COLMENA_GO_UPDATE=1 go test ./pkg/cli -run Reference", file, err)
	}
}
