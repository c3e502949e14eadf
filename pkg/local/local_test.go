package local

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/colmena-go/colmena-go/pkg/escalation"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/secret"
	"github.com/colmena-go/colmena-go/tests/lacking"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// here is this machine without other privileges.
func here(t *testing.T) *Host {
	t.Helper()
	h, err := Open(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func TestACommandHasItsInputOutputAndStatus(t *testing.T) {
	var out, errs strings.Builder
	err := here(t).Run(t.Context(), `cat; pwd; echo "no 'luck'" >&2; exit 7`, strings.NewReader("in\n"), &out, &errs)
	var exit interface{ ExitStatus() int }
	if !errors.As(err, &exit) || exit.ExitStatus() != 7 || out.String() != "in\n/\n" || errs.String() != "no 'luck'\n" {
		t.Errorf("%v, %q, %q", err, out.String(), errs.String())
	}
	if err := here(t).Run(t.Context(), "cat", nil, nil, nil); err != nil {
		t.Error(err)
	}
	err = here(t).Run(t.Context(), "kill -TERM $$", nil, nil, nil)
	if !errors.As(err, &exit) || exit.ExitStatus() != -1 || !strings.Contains(err.Error(), "terminated") {
		t.Errorf("ended by a signal: %v", err)
	}
}

func TestMuchGoesThroughBothWaysAtOnce(t *testing.T) {
	much := bytes.Repeat([]byte("0123456789abcde\n"), 1<<17)
	var out bytes.Buffer
	if err := here(t).Run(t.Context(), "cat", bytes.NewReader(much), &out, nil); err != nil || !bytes.Equal(out.Bytes(), much) {
		t.Errorf("%v, %d bytes of %d", err, out.Len(), len(much))
	}
}

func TestAScriptReachesItAsItDoesOtherHosts(t *testing.T) {
	var out strings.Builder
	err := hostscript.Run(t.Context(), here(t), hostscript.Call{Script: []byte("{\nread -r word; echo \"$word\"\nexit\n}\n"), Limit: time.Minute, Stdin: strings.NewReader("word\n"), Stdout: &out})
	if err != nil || out.String() != "word\n" {
		t.Errorf("%v, %q", err, out.String())
	}
}

// It is as with a connection that is lost: the command may finish what it is at.
func TestWhatIsGivenUpSeesTheEndOfItsInput(t *testing.T) {
	done := filepath.Join(t.TempDir(), "done")
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	begun, tell := io.Pipe()
	go func() {
		io.ReadFull(begun, make([]byte, 1))
		cancel(why)
	}()
	stdin, end := io.Pipe() // which says nothing
	defer end.Close()
	h := here(t)
	err := h.Run(ctx, `trap '' PIPE; echo; cat >/dev/null; sleep 0.2; : >`+done, stdin, tell, nil)
	if !errors.Is(err, why) {
		t.Errorf("%v", err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(done); err != nil {
		t.Error("it was ended in the middle")
	}
}

func TestWhatDoesNotEndIsKilledInTheEnd(t *testing.T) {
	defer func(before time.Duration) { endLimit = before }(endLimit)
	endLimit = 200 * time.Millisecond
	pid := filepath.Join(t.TempDir(), "pid")
	h := &Host{}
	ctx, cancel := context.WithCancel(t.Context())
	begun, tell := io.Pipe()
	go func() {
		io.ReadFull(begun, make([]byte, 1))
		cancel()
	}()
	if err := h.Run(ctx, `trap '' PIPE; echo $$ >`+pid+`; echo; exec sleep 1000`, nil, tell, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	h.tasks.Wait()
	id, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/proc/" + strings.TrimSpace(string(id))); err == nil {
		t.Errorf("process %s still runs", id)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no room") }

func TestWhoCannotHearEndsTheCommand(t *testing.T) {
	for name, run := range map[string]func(*Host) error{
		"stdout": func(h *Host) error { return h.Run(t.Context(), "yes", nil, full{}, nil) },
		"stderr": func(h *Host) error { return h.Run(t.Context(), "yes >&2", nil, nil, full{}) },
	} {
		if err := run(here(t)); err == nil || err.Error() != "no room" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// escalating puts a program of the test's in the place of sudo.
func escalating(t *testing.T, script string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "su do")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return []string{path, "-H", "--"}
}

func TestCommandsBecomeRootsInTheWayThatIsGiven(t *testing.T) {
	for name, c := range map[string]struct{ script, says string }{
		"it works":          {`[ "$1 $2" = "-H --" ] || exit 9; shift 2; [ "$1" != id ] || { echo 0; exit; }; AS=root exec "$@"`, ""},
		"it is refused":     {"echo 'a password is required' >&2; exit 1", "does not work.*: exit status 1: a password is required"},
		"it is no root":     {"echo 1000", "makes us another user than root .uid 1000."},
		"it floods":         {"yes no >&2 & sleep 0.2; kill $!; exit 1", "no no"},
		"it waits for ever": {"exec sleep 1000", "no answer within"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func(before time.Duration) { silentLimit = before }(silentLimit)
			silentLimit = time.Second
			h, err := Open(t.Context(), Config{Escalate: escalating(t, c.script)})
			if c.says != "" {
				if !errors.Is(err, ErrEscalation) || !matches(c.says, err.Error()) || len(err.Error()) > 1000 {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			var out strings.Builder
			if err := h.Run(t.Context(), `echo "$AS" '*'`, nil, &out, nil); err != nil || out.String() != "root *\n" {
				t.Errorf("%v, %q", err, out.String())
			}
		})
	}
	if _, err := Open(t.Context(), Config{Escalate: []string{"/no/such/program"}}); !errors.Is(err, ErrEscalation) {
		t.Error(err)
	}
}

func matches(pattern, text string) bool {
	return exec.Command("sh", "-c", `printf %s "$2" | grep -qE "$1"`, "sh", pattern, text).Run() == nil
}

func TestOnlyNixOSIsReplacedByNixOS(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  bool
	}{
		"nothing":        {nil, false},
		"Debian":         {map[string]string{"os-release": "NAME=\"Debian\"\nID=debian\n"}, false},
		"like NixOS":     {map[string]string{"os-release": "ID=other\nID_LIKE=nixos\nVARIANT_ID=nixos\n"}, false},
		"NixOS":          {map[string]string{"os-release": "NAME=NixOS\nID=nixos\n"}, true},
		"in quotes":      {map[string]string{"os-release": "ID=\"nixos\""}, true},
		"a being NixOS":  {map[string]string{"NIXOS": "", "os-release": "ID=debian\n"}, true},
		"nixos-not-this": {map[string]string{"os-release": "ID=nixos-like\n"}, false},
	} {
		root := t.TempDir()
		if err := os.Mkdir(root+"/etc", 0o755); err != nil {
			t.Fatal(err)
		}
		for file, text := range c.files {
			if err := os.WriteFile(root+"/etc/"+file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := SeeNixOS(root); (err == nil) != c.want || err != nil && !errors.Is(err, ErrNotNixOS) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// asksFor is a sudo that takes one password from its input, as far as that goes.
func asksFor(t *testing.T, password string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sudo")
	text := `#!/bin/sh
case $1 in -n) echo 'sudo: a password is required' >&2; exit 1 ;; esac
prompt=$(printf %s "$3" | sed 's/%%/%/') # -S -p PROMPT -H --
shift 5
for try in 1 2 3; do
  printf %s "$prompt" >&2
  IFS= read -r typed || exit 1
  [ "$typed" != '` + password + `' ] || exec "$@"
done
exit 1
`
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return []string{path, "-H", "--"}
}

func TestSudoIsToldItsPasswordAheadOfTheInput(t *testing.T) {
	if os.Getuid() != 0 {
		lacking.Skip(t, "only root is root without sudo")
	}
	script := asksFor(t, "open sesame")
	given := func(password string) Config {
		passwords := escalation.NewPasswords(nil)
		passwords.Give(secret.New([]byte(password)))
		return Config{Escalate: script, Node: "web", Passwords: passwords}
	}
	h, err := Open(t.Context(), given("open sesame"))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	var out strings.Builder
	if err := h.Run(t.Context(), "cat", strings.NewReader("data"), &out, nil); err != nil || out.String() != "data" {
		t.Errorf("%v, %q", err, out.String())
	}
	if _, err := Open(t.Context(), given("mistyped")); !errors.Is(err, ErrEscalation) || !errors.Is(err, escalation.ErrRefused) || strings.Contains(err.Error(), "mistyped") {
		t.Errorf("%v", err)
	}
}
