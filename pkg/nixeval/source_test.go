package nixeval

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAConfigMayBeAFileAFolderOrAFlake(t *testing.T) {
	root := t.TempDir()
	t.Chdir(root)
	for _, file := range []string{"flake.nix", "sub/flake.nix", "sub/deep/flake.nix", "my hive?/hive.nix", "empty/x"} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]Source{
		".":                           {Flake: ".", Dir: root},
		"sub":                         {Flake: ".", Dir: root + "/sub"},
		"sub/flake.nix":               {Flake: ".", Dir: root + "/sub"},
		"my hive?":                    {File: root + "/my hive?/hive.nix"},
		".?submodules=1":              {Flake: ".?submodules=1", Dir: root},
		".?dir=sub":                   {Flake: ".", Dir: root + "/sub"},
		"./sub?dir=deep":              {Flake: ".", Dir: root + "/sub/deep"},
		"./sub?dir=deep&submodules=1": {Flake: ".?submodules=1", Dir: root + "/sub/deep"},
		root + "?ref=main":            {Flake: ".?ref=main", Dir: root},
		"path:./sub":                  {Flake: "path:./sub"},
		"git+file:.?dir=sub":          {Flake: "git+file:.?dir=sub"},
		"git+file:///x?submodules=1":  {Flake: "git+file:///x?submodules=1"},
		"github:acme/hive?dir=x":      {Flake: "github:acme/hive?dir=x"},
	} {
		if got, err := ParseSource(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
	}
	for text, says := range map[string]string{
		".#colmena":     "leave out what follows the #",
		"github:a/b#c":  "leave out what follows the #",
		"none":          "there is no none",
		"none?dir=x":    "there is no none?dir=x",
		".?dir=none":    "none holds no flake.nix",
		"./empty?ref=x": "empty holds no flake.nix",
		"empty":         "empty holds neither flake.nix nor hive.nix",
		".?dir=%zz":     "%zz",
	} {
		if _, err := ParseSource(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}

func TestNoConfigIsShownWithItsPassword(t *testing.T) {
	for _, text := range []string{
		"git+https://oauth2:s3cret@host/x", "https://host/x.tar.gz?token=s3cret", "git+https://s3cret@host/x#colmena",
		"https//oauth2:s3cret@host", "https//oauth2:s3cret@host/" + strings.Repeat("x", 5000),
	} {
		source, err := ParseSource(text)
		said := source.String()
		if err != nil {
			said = err.Error()
		}
		if strings.Contains(said, "s3cret") || !strings.Contains(said, "host") {
			t.Errorf("%s is shown as %s", text, said)
		}
	}
}
