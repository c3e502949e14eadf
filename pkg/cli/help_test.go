package cli

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/colmena-go/colmena-go/pkg/report"
)

func helpOf(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	screen := report.NewTerminal(&bytes.Buffer{})
	defer screen.Close(t.Context())
	app := newApp(&out, screen)
	words, err := arrange(app, append(append([]string{"colmena-go"}, args...), "--help"))
	if err == nil {
		err = app.RunContext(t.Context(), words)
	}
	if err != nil || out.Len() == 0 {
		t.Fatalf("%v: %q, %v", args, &out, err)
	}
	return out.String()
}

func TestHelpFitsATerminalOf80Columns(t *testing.T) {
	for _, args := range [][]string{nil, {"apply"}, {"build"}, {"upload-keys"}, {"list"}, {"exec"}, {"eval"}, {"reboot"}} {
		text := helpOf(t, args...)
		for line := range strings.Lines(text) {
			if utf8.RuneCountInString(strings.TrimRight(line, "\n")) > 80 {
				t.Errorf("%v: %q is too long", args, line)
			}
		}
		_, description, _ := strings.Cut(text, "DESCRIPTION:\n")
		for line := range strings.Lines(strings.Split(description, "\n\n")[0]) {
			if line = strings.TrimRight(line, "\n"); len(line) < 40 && !strings.HasSuffix(line, ".") {
				t.Errorf("%v: %q is wrapped twice", args, line)
			}
		}
		if strings.Contains(text, "(default: false)") {
			t.Errorf("%v: a flag tells that it is not set:\n%s", args, text)
		}
	}
}

func TestHelpShowsNoFlagThatDoesNothing(t *testing.T) {
	for command, idle := range map[string][]string{
		"apply":       nil,
		"build":       {"--no-keys", "--force-replace-unknown-profiles", "--via", "--via-from"},
		"upload-keys": {"--no-keys", "--force-replace-unknown-profiles", "--no-substitute", "--keep-result", "--build-on-target", "--no-build-on-target", "--push-parallel", "--build-jobs", "--via", "--via-from"},
	} {
		text := helpOf(t, command)
		for _, flag := range []string{"--no-keys", "--force-replace-unknown-profiles", "--no-substitute", "--keep-result", "--build-on-target", "--no-build-on-target", "--push-parallel", "--build-jobs", "--via", "--via-from"} {
			hidden := strings.Contains("\x00"+strings.Join(idle, "\x00")+"\x00", "\x00"+flag+"\x00")
			if shown := strings.Contains(text, " "+flag); shown == hidden {
				t.Errorf("%s: %s is shown: %t", command, flag, shown)
			}
		}
		if _, err := arrange(newApp(&bytes.Buffer{}, &bytes.Buffer{}), withValues(append([]string{"colmena-go", command}, idle...))); err != nil {
			t.Errorf("%s %v: %v", command, idle, err)
		}
	}
}

// withValues gives those flags a value that need one.
func withValues(args []string) (all []string) {
	for _, arg := range args {
		if all = append(all, arg); slices.Contains([]string{"--push-parallel", "--build-jobs", "--via", "--via-from"}, arg) {
			all = append(all, "1")
		}
	}
	return all
}

func TestLinesAreWrappedWhereTheirTextBegins(t *testing.T) {
	const text = "   --flag, -f  some words that go on\n\n   a paragraph without a gap\n"
	const want = "   --flag, -f  some\n               words\n               that\n               go on\n\n   a paragraph\n   without a gap\n"
	if got := wrapped(text, 20); got != want {
		t.Errorf("wrapped\n%s\nwant\n%s", got, want)
	}
}
