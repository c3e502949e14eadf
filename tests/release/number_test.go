package release_test

import (
	"os"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/version"
)

func TestEverythingNamesOneVersion(t *testing.T) {
	for name, want := range map[string]string{
		"nix/package.nix": `version = "` + version.Number + `";`,
		"docs/install.md": "colmena-go:" + version.Number + " ",
	} {
		text, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), want) {
			t.Errorf("%s lacks %s", name, want)
		}
	}
	text, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	_, first, _ := strings.Cut(string(text), "\n## ")
	if newest, _, _ := strings.Cut(first, "\n"); strings.Fields(newest)[0] != version.Number {
		t.Errorf("the newest entry of CHANGELOG.md is %q, not %s", newest, version.Number)
	}
}
