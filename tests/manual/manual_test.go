package manual

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/tests/nixenv"
)

// apart are pages of docs/ that are for people who work on the program.
var apart = []string{"architecture.md", "dependencies.md"}

// pages are those of the manual.
func pages(t *testing.T) (list []Page) {
	t.Helper()
	names, err := filepath.Glob("../../docs/*.md")
	more, err2 := filepath.Glob("../../docs/coming-from/*.md")
	if err != nil || err2 != nil || len(names) == 0 || len(more) == 0 {
		t.Fatal(names, more, err, err2)
	}
	for _, name := range append(append(names, more...), "../../README.md") {
		if slices.Contains(apart, filepath.Base(name)) {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		page, err := Parse(strings.TrimPrefix(name, "../../"), string(text))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, page)
	}
	return list
}

// What needs hosts is in tests/hosts.
func TestThePagesHold(t *testing.T) {
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin+"/colmena-go", "../..").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	instead := Sources(t)
	for _, page := range pages(t) {
		t.Run(page.Name, func(t *testing.T) {
			if page.Hosts > 0 {
				for _, step := range page.Steps {
					if step.How == "" {
						t.Errorf("%s:%d: the block has no comment before it that says what becomes of it", page.Name, step.Line)
					}
				}
				return
			}
			Reader{Dir: t.TempDir(), Env: append(nixenv.Env(t), "NIX_PATH=nixpkgs="+nixenv.Nixpkgs(t), "PATH="+bin+":"+os.Getenv("PATH")), Instead: instead}.Follow(t, page)
		})
	}
}

// A block that is only indented would be seen by no test.
func TestExamplesStandBetweenFences(t *testing.T) {
	for _, page := range pages(t) {
		text, err := os.ReadFile("../../" + page.Name)
		if err != nil {
			t.Fatal(err)
		}
		fenced, before := false, ""
		for number, line := range strings.Split(string(text), "\n") {
			switch {
			case strings.HasPrefix(strings.TrimLeft(line, " "), "```") || strings.HasPrefix(line, "<!--") && !strings.HasSuffix(line, "-->") || line == "-->":
				fenced = !fenced
			case !fenced && before == "" && strings.HasPrefix(line, "    "):
				t.Errorf("%s:%d: an example without a fence", page.Name, number+1)
			}
			before = line
		}
	}
}

func TestLinksOfTheManualLeadSomewhere(t *testing.T) {
	names := []string{"../../README.md", "../../CONTRIBUTING.md", "../../SECURITY.md", "../../CHANGELOG.md"}
	for _, pattern := range []string{"../../docs/*.md", "../../docs/*/*.md"} {
		more, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, more...)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range links(string(text)) {
			file, heading, _ := strings.Cut(link, "#")
			target := name
			if file != "" {
				target = filepath.Join(filepath.Dir(name), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s leads nowhere", name, link)
				continue
			}
			if heading == "" {
				continue
			}
			there, err := os.ReadFile(target)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(anchors(string(there)), heading) {
				t.Errorf("%s: %s: there is no such heading: %q", name, link, anchors(string(there)))
			}
		}
	}
}

func TestWhatIsPrintedIsCompared(t *testing.T) {
	const printed = "web  switched\n\ndb   up to date  0.2 s\nend\n"
	for want, line := range map[string]string{
		"web switched":                 "",
		"web …\nend":                   "",
		"…\nend":                       "",
		"end\nweb switched":            "web switched",
		"db up to date":                "db up to date",
		"db … s":                       "",
		"switched":                     "switched",
		"web switched\nweb switched\n": "web switched",
	} {
		if got := missing(strings.Split(strings.TrimSpace(want), "\n"), printed); got != line {
			t.Errorf("%q: %q is missing, want %q", want, got, line)
		}
	}
}

func TestAPageIsReadInItsOrder(t *testing.T) {
	const text = "<!-- hosts 2 -->\n# T\n<!-- sh\ntrue\n-->\n<!-- file a/b -->\n```nix\n{ }\n```\n\n<!-- run 3 -->\n```\n$ a \\\n  b\nout\n$ c\n```\nand\n```\nnothing is said\n```\n"
	page, err := Parse("p", text)
	if err != nil || page.Hosts != 2 || len(page.Steps) != 4 {
		t.Fatalf("%+v, %v", page, err)
	}
	for i, want := range []Step{
		{3, "sh", "", "true"}, {7, "file", "a/b", "{ }\n"}, {12, "run", "3", "$ a \\\n  b\nout\n$ c\n"}, {19, "", "", "nothing is said\n"},
	} {
		if page.Steps[i] != want {
			t.Errorf("step %d is %+v, want %+v", i, page.Steps[i], want)
		}
	}
	got := commands(page.Steps[2].Text)
	if len(got) != 2 || got[0].line != "a \\\n  b" || !slices.Equal(got[0].want, []string{"out"}) || got[1].line != "c" {
		t.Errorf("%+v", got)
	}
}
