package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/roster"
)

// The last word is the one that is completed.
func TestAWordBecomesWhatMayStandThere(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"hive.nix", "hives/x", ".hidden"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	co := completer{app: newApp(&bytes.Buffer{}, &bytes.Buffer{}), nodes: func(config string) []roster.Node {
		if config == "other" {
			return []roster.Node{{Name: "elsewhere"}}
		}
		return []roster.Node{{Name: "db", Tags: []string{"prod"}}, {Name: "web-1", Tags: []string{"prod", "web"}}, {Name: "a,b*"}}
	}}
	for _, c := range []struct{ words, want string }{
		{"rebo", "reboot"},
		{"up", "upload-keys"},
		{"__comp", ""}, // hidden
		{"apply sw", "switch"},
		{"apply switch ", ""},
		{"apply upload", "upload-keys"},
		{"plan dry", "dry-activate"},
		{"apply-local bo", "boot"},
		{"eval " + dir + "/hive.", dir + "/hive.nix"},
		{"apply --no-k", "--no-keys"},
		{"apply --no-keys --no-k", ""}, // once is enough
		{"--nix-option a b --nix-o", "--nix-option"},
		{"upload-keys --keep", ""}, // does nothing there
		{"apply --conf", "--config"},
		{"apply --on ", `@prod @web a\,b\* db web-1`},
		{"apply --on w", "web-1"},
		{"apply --on=w", "--on=web-1"},
		{"--on w", "web-1"},
		{"apply --on db,", `db,@prod db,@web db,a\,b\* db,web-1`},
		{`apply --on a\,b\*,d`, `a\,b\*,db`},
		{"apply --on @prod,!w", "@prod,!web-1"},
		{"apply --on db,@", "db,@prod db,@web"},
		{"apply --exclude d", "db"},
		{"apply -vp 3 --on d", "db"},
		{"apply -p ", ""},
		{"apply-local --node w", "web-1"},
		{"apply -f other --on ", "elsewhere"},
		{"apply --config=other --on ", "elsewhere"},
		{"--nix-option a b apply --on d", "db"},
		{"--color ne", "never"},
		{"apply --color=a", "--color=auto --color=always"},
		{"-f " + dir + "/h", dir + "/hive.nix " + dir + "/hives/"},
		{"-f " + dir + "/.", dir + "/.hidden"},
		{"-f " + dir + "/nowhere/", ""},
		{"completion ", "bash fish zsh"},
		{"help app", "apply apply-local"},
		{"exec --on d", "db"},
		{"exec ls --on ", ""}, // another program's
		{"exec -- --on", ""},
		{"apply -- sw", "switch"},
		{"no-such-command ", ""},
		{"no-such-command --on d", ""},
		{"--no-such-flag=", ""},
		{"apply --no-keys=", ""},
		{"-", "--config --show-trace --impure --nix-option --color --log-format --help --version"},
	} {
		var got []string
		for _, found := range co.candidates(strings.Split(c.words, " ")) {
			got = append(got, found.word)
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.words, got, c.want)
		}
	}
}

func TestALineIsTakenApartAsBashDoesIt(t *testing.T) {
	for _, c := range []struct {
		line, raw string
		words     []string
	}{
		{"p", "p", []string{"p"}},
		{"p ", "", []string{"p", ""}},
		{"p  a\tb", "b", []string{"p", "a", "b"}},
		{`p 'a b' "c d" e\ f`, `e\ f`, []string{"p", "a b", "c d", "e f"}},
		{`p --on='a b`, `--on='a b`, []string{"p", "--on=a b"}},
		{`p "a\"b\c`, `"a\"b\c`, []string{"p", `a"b\c`}},
		{`p a\`, `a\`, []string{"p", "a"}},
	} {
		words, raw := bashWords(c.line)
		if strings.Join(words, "|") != strings.Join(c.words, "|") || raw != c.raw {
			t.Errorf("%s: %q, %q", c.line, words, raw)
		}
	}
}

func TestBashReplacesOnlyWhatComesAfterABreak(t *testing.T) {
	const breaks = " \t\n\"'@><=;|&(:"
	for raw, want := range map[string]string{
		"": "", "web": "web", "--on=web": "web", "--on=@pr": "@pr", "a,@pr": "@pr", "'we": "we", `"a b`: "a b", "'@x": "@x", `\@x`: `\@x`, "'a'b": "'a'b",
	} {
		if got := raw[lastBreak(raw, breaks):]; got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}

// What is taken apart and quoted again must not end a word early, run anything, or panic.
func FuzzBashQuotesAreReadBack(f *testing.F) {
	for _, word := range []string{"", "a b", "$(x)", "`x`", "'", `"`, `\`, "a\nb", "~/x", "~", "ü", "!", "#", "a;b"} {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		bashWords(word)
		lastBreak(word, " =@")
		if !printableLine(word) || strings.ToValidUTF8(word, "") != word {
			return
		}
		words, _ := bashWords("p " + bashQuoted(word) + " end")
		if word != "" && (len(words) != 3 || words[1] != word) {
			t.Errorf("%q became %q", word, words)
		}
	})
}
