package manual

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	spans  = regexp.MustCompile("`([^`]+)`")
	theirs = regexp.MustCompile(`--[a-z][a-z0-9-]+|\b(?:deployment|meta|network)(?:\.[A-Za-z0-9]+)+|\b[a-z]+[A-Z][A-Za-z0-9]*\b`)
)

// peer is what another tool has, by the lists in peers/: whether our page tells of it.
func peer(t *testing.T, file string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") {
			name, leftOut := strings.CutSuffix(line, " -")
			all[name] = !leftOut
		}
	}
	return all
}

// The first column of a table for who comes from another tool has words of that tool,
// and no page leaves any out without our knowing.
func TestTablesSpeakOfWhatOtherToolsHave(t *testing.T) {
	files, err := filepath.Glob("peers/*.txt")
	if err != nil || len(files) != 5 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		tool := strings.TrimSuffix(filepath.Base(file), ".txt")
		has := peer(t, file)
		text, err := os.ReadFile("../../docs/coming-from/" + tool + ".md")
		if err != nil {
			t.Fatal(err)
		}
		page := string(text)
		for name, told := range has {
			last := regexp.QuoteMeta(name[strings.LastIndex(name, ".")+1:])
			if found := regexp.MustCompile(`(?:^|[^\w-])` + last + `(?:$|[^\w-])`).MatchString(page); found != told {
				t.Errorf("%s: %s is on the page: %v, and %s says %v", tool, name, found, file, told)
			}
		}
		for line := range strings.Lines(page) {
			cells := strings.Split(line, "|")
			if len(cells) < 4 || strings.HasPrefix(cells[2], " new: ") {
				continue
			}
			for _, span := range spans.FindAllStringSubmatch(cells[1], -1) {
				if strings.Contains(span[1], " -- ") || strings.HasPrefix(span[1], "system.") { // Nix's and NixOS' own
					continue
				}
				for _, word := range theirs.FindAllString(span[1], -1) {
					if !known(has, word) {
						t.Errorf("%s: %q is nothing that it has", tool, word)
					}
				}
			}
		}
	}
}

// known reports whether a tool has a name, or names in it or below it.
func known(has map[string]bool, word string) bool {
	for name := range has {
		if name == word || strings.HasPrefix(name, word+".") || strings.HasPrefix(word, name+".") || strings.HasSuffix(name, "."+word) {
			return true
		}
	}
	return false
}
