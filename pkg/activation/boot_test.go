package activation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
)

// answering is a host that answers every question with a text, and then ends so.
type answering struct {
	text string
	err  error
}

var markOf = regexp.MustCompile(`^sh -c 'echo (\S+)""(\S+); `)

func (s answering) Run(_ context.Context, command string, _ io.Reader, stdout, _ io.Writer) error {
	mark := markOf.FindStringSubmatch(command)
	if _, err := fmt.Fprintf(stdout, "%s%s\n%s", mark[1], mark[2], s.text); err != nil {
		return err
	}
	return s.err
}

type status int

func (s status) Error() string   { return fmt.Sprint("status ", int(s)) }
func (s status) ExitStatus() int { return int(s) }

func TestWhatAHostBootedIsReadWithCare(t *testing.T) {
	const id, system = "6bd4ffb4-0000-4000-8000-000000000000", "/nix/store/00000000000000000000000000000000-nixos"
	for text, want := range map[string]Boot{
		id + "\n" + system + "\n.\nlogout\n": {id, system},
		id + "\n-\n.\n":                      {id, ""},
	} {
		if got, err := Booted(t.Context(), answering{text: text}); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "\n-\n.\n", id, id + "\n" + system + "\n", strings.Repeat("x", 1<<20)} {
		if got, err := Booted(t.Context(), answering{text: text}); err == nil || len(err.Error()) > 1000 {
			t.Errorf("%.40q: %+v, %v", text, got, err)
		}
	}

	for text, want := range map[string]string{".\n": "", "kernel\ninitrd\n.\nbye": "kernel initrd"} {
		if got, err := Outdated(t.Context(), answering{text: text}, system); err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "kernel\n", "kernel\n. "} {
		if got, err := Outdated(t.Context(), answering{text: text}, system); err == nil {
			t.Errorf("%q: %q is taken for an answer", text, got)
		}
	}
	if _, err := Outdated(t.Context(), answering{text: ".\n"}, "/a'; reboot; '"); err == nil {
		t.Error("a system with a quote in its path is asked about")
	}
}

func TestWhetherAHostBeginsToRebootIsKnown(t *testing.T) {
	lost := errors.New("the connection was lost")
	for name, host := range map[string]answering{"it says so": {}, "and is gone": {err: lost}, "or was killed while it said so": {err: status(0)}} {
		if err := Reboot(t.Context(), host); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	err := Reboot(t.Context(), answering{strings.Repeat("Access denied. ", 1000), status(1)})
	if !errors.Is(err, ErrNoReboot) || !strings.Contains(err.Error(), "Access denied") || len(err.Error()) > 1000 {
		t.Errorf("%v", err)
	}
}
