package sshconfig

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Options whose values are told of in docs/ssh.md begin with a capital.
var option = regexp.MustCompile("`([A-Z][A-Za-z0-9]+)`")

func TestTheDocumentationTellsEveryOption(t *testing.T) {
	text, err := os.ReadFile("../../docs/ssh.md")
	if err != nil {
		t.Fatal(err)
	}
	for title, list := range map[string][]string{"Honoured": honoured, "Ignored without harm": harmless, "Through ssh itself": slices.Concat(openSSHsAlone, openSSHsLogins)} {
		_, section, _ := strings.Cut(string(text), "\n## "+title+"\n")
		section, _, _ = strings.Cut(section, "\n## ")
		var told []string
		for _, found := range option.FindAllStringSubmatch(section, -1) {
			told = append(told, strings.ToLower(found[1]))
		}
		for _, name := range list {
			if !slices.Contains(told, name) {
				t.Errorf("%q lacks %s", title, name)
			}
		}
		for _, name := range told {
			if !slices.Contains(list, name) {
				t.Errorf("%q has %s, which is not treated so", title, name)
			}
		}
	}
}
