package manual

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// blocks are the lines of all fenced blocks of a page.
func blocks(text string) (lines []string) {
	inside := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(strings.TrimLeft(line, " "), "```") {
			inside = !inside
		} else if inside {
			lines = append(lines, strings.TrimPrefix(strings.TrimSpace(line), "$ "))
		}
	}
	return lines
}

// Every command line of ours that any page shows, also one that is only shown, is
// one that the program takes. Where there is no hive it ends with 1, and only one
// that it does not understand with 2.
func TestCommandLinesOfAllPagesAreUnderstood(t *testing.T) {
	bin, nowhere := t.TempDir(), t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin+"/colmena", "../..").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// The program's own status, whatever reads its output.
	stub := "#!/bin/sh\n" + bin + "/colmena \"$@\"\necho $? >'" + nowhere + "/status'\n"
	if err := os.WriteFile(bin+"/colmena-go", []byte(stub), 0o755); err != nil {
		t.Fatal(err)
	}
	names := []string{"../../README.md"}
	for _, pattern := range []string{"../../docs/*.md", "../../docs/*/*.md"} {
		more, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, more...)
	}
	tried := 0
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range blocks(string(text)) {
			// What it prints, and what needs a terminal, is none.
			if !strings.HasPrefix(line, "colmena-go ") || strings.ContainsAny(line, anything+"·") || strings.Contains(line, "--tty") || strings.Contains(line, "--ask") {
				continue
			}
			tried++
			cmd := exec.Command("bash", "-c", strings.ReplaceAll(strings.TrimSuffix(line, "\\"), "/var/lib/prometheus/node-exporter", nowhere))
			cmd.Dir, cmd.Env = nowhere, append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+nowhere, "XDG_CACHE_HOME="+nowhere)
			out, _ := cmd.CombinedOutput()
			if status, err := os.ReadFile(nowhere + "/status"); err != nil || strings.TrimSpace(string(status)) == "2" {
				t.Errorf("%s: %s\n%s%v", name, line, out, err)
			}
		}
	}
	if tried < 40 {
		t.Errorf("%d command lines were found", tried)
	}
}
