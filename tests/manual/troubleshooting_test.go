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

// within are errors that nobody sees by themselves.
var within = map[string][]string{
	"what they are part of says more": {
		"has a quote that does not end", "is not a command with an absolute path", "it is one for users", "it ended at once (…)", "none within … (…)",
		"…: it answers …", "…; everything is as it was", "nothing was done: …", "nix path-info answers no JSON that is known", "the program ends",
		"--exclude leaves out already: write … without the !", "a part of it is empty; write names, globs or @tags separated by commas", "… in the hive …",
		"it is not this user's alone", "it would take … bytes", "… is not a file",
	},
	"they end something that is not needed any more": {
		"seen enough", "the connection is not needed after all", "what Nix does is not needed any more",
	},
	"something else is tried, or done without": {
		"every new folder in … is taken away at once", "the names of … nodes are too much to be kept", "… has a thousand logs of this second",
		"there is no answer", "nobody looked", "was wrong … times",
	},
	"the results have been shown": {"not every node succeeded", "a node brought a bug to light"},
	"they would be bugs": {
		"a secret cannot be marshalled", "expected a string", "not a SHA-256 digest", "not a salted digest", "goal … activates nothing", "the step … is not supported yet",
		"quick-submodule.nix: a default that needs the config belongs to own", "quick-submodule.nix: a default that needs the name belongs to own",
	},
}

func isWithin(text string) bool {
	for _, list := range within {
		if slices.Contains(list, text) {
			return true
		}
	}
	return false
}

// Every kind of error has an entry, and so has every other message that does not say
// itself what to do; those that begin with another error have that one's.
func TestEveryErrorHasItsCure(t *testing.T) {
	page, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	known, all := quoted(string(page)), []Message(nil)
	for _, dir := range []string{"../../pkg", "../../nix"} {
		all = append(all, Messages(t, dir)...)
	}
	if len(all) < 450 {
		t.Fatalf("%d messages", len(all))
	}
	said := map[string]bool{}
	for _, m := range all {
		said[m.Text] = true
		tells := tellsWhatToDo.MatchString(m.Text) && !m.Kind
		if m.owns() && !m.Wraps && !tells && !known.have(m.Text) && !isWithin(m.Text) {
			t.Errorf("%s: docs/troubleshooting.md says nothing of %q", strings.TrimPrefix(m.Where, "../../"), m.Text)
		}
	}
	for _, list := range within {
		for _, text := range list {
			if !said[text] {
				t.Errorf("nothing says %q any more", text)
			}
		}
	}
}

func TestWhatToDoIsFoundInAMessage(t *testing.T) {
	for text, tells := range map[string]bool{
		"the folder … is not there: make it first": true, "--a is …: it must be a time": true, "to … or run it again": true,
		"say where: `… man DIR`": true, "the host says: …": false, "units failed": false, "the makefile is set": false,
	} {
		if tellsWhatToDo.MatchString(text) != tells {
			t.Errorf("%q: want %v", text, tells)
		}
	}
	known := quoted("| `the host … is gone`, `no answer` | and `ssh` |")
	for text, has := range map[string]bool{"…: the host … is gone after …": true, "the host is …": false, "no answer": true, "no answer within": false} {
		if known.have(text) != has {
			t.Errorf("%q: want %v", text, has)
		}
	}
}
