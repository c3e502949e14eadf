package manual

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// inline is a command line of ours in the middle of a text.
var inline = regexp.MustCompile("`(colmena-go [^`]*)`")

// usage is no command line, but says what one is made of, or names a command.
var usage = regexp.MustCompile(`\[flags\]|\[command\]|\b(SHELL|DIR)$|^colmena-go (completion|man|exec)$`)

// blocks are the lines of all fenced blocks of a page, and command lines in its text.
func blocks(text string) (lines []string) {
	inside := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(strings.TrimLeft(line, " "), "```") {
			inside = !inside
		} else if inside {
			lines = append(lines, strings.TrimPrefix(strings.TrimSpace(line), "$ "))
		} else if !inside {
			for _, m := range inline.FindAllStringSubmatch(line, -1) {
				lines = append(lines, m[1])
			}
		}
	}
	return lines
}

// Every command line of ours that any page shows, also one in its text, is
// one that the program takes. Where there is no hive it ends with 1, and only one
// that it does not understand with 2.
func TestCommandLinesOfAllPagesAreUnderstood(t *testing.T) {
	bin, nowhere := t.TempDir(), t.TempDir()
	out, err := exec.Command("go", "build", "-o", bin+"/colmena", "../..").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range []string{".zfunc", ".config/fish/completions", "motd", "sudo-password"} { // what lines read, and where they write
		path := filepath.Join(nowhere, name)
		if strings.HasPrefix(name, ".") {
			err = os.MkdirAll(path, 0o755)
		} else {
			err = os.WriteFile(path, nil, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
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
	tried, elsewhere := map[string]bool{}, strings.NewReplacer("/var/lib/prometheus/node-exporter", nowhere, "/usr/local/share/man/man1", nowhere)
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range blocks(string(text)) {
			// What it prints, and what needs a terminal, is none.
			if !strings.HasPrefix(line, "colmena-go ") || strings.ContainsAny(line, anything+"·") || strings.Contains(line, "--tty") || strings.Contains(line, "--ask") || usage.MatchString(line) || tried[line] {
				continue
			}
			tried[line] = true
			os.Remove(nowhere + "/status")
			cmd := exec.Command("bash", "-c", elsewhere.Replace(strings.TrimSuffix(line, "\\")))
			cmd.Dir, cmd.Env = nowhere, append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+nowhere, "XDG_CACHE_HOME="+nowhere)
			out, _ := cmd.CombinedOutput()
			if status, err := os.ReadFile(nowhere + "/status"); err != nil || strings.TrimSpace(string(status)) == "2" {
				t.Errorf("%s: %s\n%s%v", name, line, out, err)
			}
		}
	}
	if len(tried) < 100 {
		t.Errorf("%d command lines were found", len(tried))
	}
}
