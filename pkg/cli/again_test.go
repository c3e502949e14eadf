package cli

import (
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/report"
)

func TestTheCommandLineForTheRestSaysWhatWasSaid(t *testing.T) {
	for line, want := range map[string]string{
		"apply":                                             "colmena-go apply --on n",
		"--on * apply boot -vp 3 -f ./h.nix":                "colmena-go apply boot --on n --config ./h.nix --parallel 3 --verbose",
		"upload-keys --json --color never":                  "colmena-go upload-keys --on n --color never --json",
		"build --nix-option cores 2 --nix-option a b=c":     "colmena-go build --on n --nix-option cores 2 --nix-option a b=c",
		"build --nix-option extra-impure-env GH=ghp_x":      "colmena-go build --on n --nix-option extra-impure-env '[value not shown]'",
		"build --nix-option substituters https://u:p@h":     "colmena-go build --on n --nix-option substituters 'https://[not shown]@h'",
		"-f git+https://u:p@h/x?ref=a&token=p build":        "colmena-go build --on n --config 'git+https://[not shown]@h/x?ref=a&token=[not shown]'",
		"-f git+ssh://git@h/x?ref=a build":                  "colmena-go build --on n --config 'git+ssh://git@h/x?ref=a'",
		"build --nix-option access-tokens github.com=ghp_x": "colmena-go build --on n --nix-option access-tokens '[value not shown]'",
	} {
		if got := againFor(t, strings.Fields(line), []string{"n"}); got != want {
			t.Errorf("%s:\n%s, want\n%s", line, got, want)
		}
	}
}

func TestTheCommandLineForTheRestIsQuotedForAShell(t *testing.T) {
	line := againFor(t, []string{"apply", "-f", "it's $HOME"}, []string{"a", "b,*", "@c"})
	want := `colmena-go apply --on 'a,b\,\*,\@c' --config 'it'\''s $HOME'`
	if line != want {
		t.Errorf("%s, want %s", line, want)
	}
	out, err := exec.Command("sh", "-c", "printf '<%s>' "+line).Output()
	if err != nil || string(out) != `<colmena-go><apply><--on><a,b\,\*,\@c><--config><it's $HOME>` {
		t.Errorf("a shell reads %s, %v", out, err)
	}
}

// againFor is what is told after a command line.
func againFor(t *testing.T, args, nodes []string) (line string) {
	t.Helper()
	screen := report.NewTerminal(io.Discard)
	defer screen.Close(t.Context())
	app := newApp(io.Discard, screen)
	for _, command := range app.Commands {
		if command.Name == "help" { // all apps share it
			continue
		}
		command.Action = func(c *cli.Context) error {
			line = again(c, "colmena-go", nodes)
			return nil
		}
	}
	words, err := arrange(app, append([]string{"colmena-go"}, args...))
	if err == nil {
		err = app.Run(words)
	}
	if err != nil {
		t.Fatal(err)
	}
	return line
}
