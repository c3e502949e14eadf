package manual

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sources is all that the program may print is in: its code, and what runs in Nix
// and on hosts.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, dir := range []string{"../../pkg", "../../nix"} {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || strings.HasSuffix(path, "_test.go") || !slices.Contains([]string{".go", ".nix", ".sh"}, filepath.Ext(path)) {
				return err
			}
			text, err := os.ReadFile(path)
			all.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return strings.NewReplacer(`\"`, `"`, "%%", "%").Replace(all.String())
}

var code = regexp.MustCompile("`([^`]+)`")

// entries are the messages that the page's tables begin with.
func entries(page string) (messages []string) {
	for line := range strings.Lines(page) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || !strings.HasPrefix(line, "| `") {
			continue
		}
		for _, m := range code.FindAllStringSubmatch(cells[1], -1) {
			messages = append(messages, m[1])
		}
	}
	return messages
}

func TestWhatTroubleshootingQuotesIsSaid(t *testing.T) {
	page, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	said := sources(t)
	messages := entries(string(page))
	if len(messages) < 60 {
		t.Fatalf("%d messages", len(messages))
	}
	for _, message := range messages {
		if strings.Contains(message, "-key.service") {
			continue
		}
		for _, part := range strings.Split(message, anything) {
			if part = strings.Trim(part, " :,"); part != "" && !strings.Contains(said, part) {
				t.Errorf("%q: nothing says %q any more", message, part)
			}
		}
	}
}

// within are errors that nobody sees by themselves: what they are part of says more.
var within = []string{
	"a secret cannot be marshalled", "what Nix does is not needed any more", "not every node succeeded", "a node brought a bug to light",
	"the connection is not needed after all", "not a SHA-256 digest", "nobody else is copied to meanwhile",
	"it is not this user's alone", "is not a command with an absolute path", "has a quote that does not end", "nothing was done: you did not answer yes",
	"nix path-info answers no JSON that is known", "the file name is empty",
	// What is wrong with --on or --exclude, after "invalid node selector".
	"--exclude leaves out already: write ", "a part of it is empty; write names, globs or @tags separated by commas",
}

// Short ones are parts of others.
var kind = regexp.MustCompile(`errors\.New\("([^"]{20,})"\)`)

func TestEveryKindOfErrorHasItsCure(t *testing.T) {
	page, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	kinds := kind.FindAllStringSubmatch(sources(t), -1)
	if len(kinds) < 80 {
		t.Fatalf("%d kinds", len(kinds))
	}
	for _, m := range kinds {
		// After a colon they say themselves what to do.
		what, _, _ := strings.Cut(m[1], ": ")
		if !slices.Contains(within, m[1]) && !strings.Contains(string(page), what) {
			t.Errorf("docs/troubleshooting.md says nothing of %q", m[1])
		}
	}
}
