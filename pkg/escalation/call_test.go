package escalation

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/secret"
)

// stub is a sudo of a test's own, as far as asking goes.
const stub = `#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in
    -S) ;;
    -p) prompt=$(printf '%s' "$2" | sed 's/%%/%/g'); shift ;;
    -H) ;;
    --) shift; break ;;
    *) break ;;
  esac
  shift
done
BEFORE
for n in 1 2 3; do
  printf '%s' "$prompt" >&2
  IFS= read -r typed || { echo "sudo: no password was provided" >&2; exit 1; }
  echo "$typed" >>"$0.typed"
  [ "$typed" != "open sesame" ] || exec "$@"
  echo "Sorry, try again." >&2
done
exit 1
`

func program(t *testing.T, before string) (Program, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sudo")
	if err := os.WriteFile(path, []byte(strings.Replace(stub, "BEFORE", before, 1)), 0o700); err != nil {
		t.Fatal(err)
	}
	return Of([]string{path, "-H", "--"}), path + ".typed"
}

// run runs a command with what the host's shell does first.
func run(t *testing.T, p Program, password, first string, stdin io.Reader) (stdout, stderr string, refused bool, err error) {
	t.Helper()
	call := p.Call(secret.New([]byte(password)))
	words := append(slices.Clone(call.Words), "sh", "-c", `cat; echo "end" >&2`)
	cmd := exec.Command("bash", append([]string{"-c", first + "\n" + `exec "$@"`, "bash"}, words...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = call.Stdout(&out), call.Stderr(&errs)
	in, pipeErr := cmd.StdinPipe()
	if pipeErr != nil || cmd.Start() != nil {
		t.Fatal("not started")
	}
	go func() {
		io.Copy(in, call.Stdin(stdin))
		in.Close()
	}()
	if err = cmd.Wait(); err != nil {
		call.Ended()
	}
	refused = call.Refused()
	call.Close()
	return out.String(), errs.String(), refused, err
}

// asked are the ways in which programs ask for a password.
var asked = map[string]struct {
	program           func(t *testing.T, before string) (Program, string)
	password, refused string
}{
	"from its input": {program, "open sesame", "Sorry, try again."},
	"on a terminal that the command does not have": {typedProgram, `open "sesame"`, "Authentication failed"},
}

func TestAPasswordGoesAheadOfTheInputAndIsInNoOutput(t *testing.T) {
	data := strings.Repeat("all the bytes\x00\x03\x04\n", 100000)
	for way, w := range asked {
		for name, first := range map[string]string{
			"plain": "", "noise": "echo welcome; echo who are you: >&2", "one stream": "exec 2>&1",
			"a trace": "set -v; set -x", "a trace in one stream": "exec 2>&1; set -xv",
		} {
			t.Run(way+"/"+name, func(t *testing.T) {
				p, typed := w.program(t, "echo 'We trust you have received the usual lecture:' >&2")
				out, errs, refused, err := run(t, p, w.password, first, strings.NewReader(data))
				if err != nil || refused || !strings.HasSuffix(strings.TrimSuffix(out, "end\n"), data) || !strings.HasSuffix(strings.TrimSpace(out+errs), "end") {
					t.Errorf("%v, refused %v, %d bytes: %.300s", err, refused, len(out), errs)
				}
				if strings.Contains(out+errs, "sesame") || name == "plain" && (out != data || strings.Contains(errs, "colmena-go")) {
					t.Errorf("%.300s %.300s", out, errs)
				}
				if got, _ := os.ReadFile(typed); string(got) != w.password+"\n" {
					t.Errorf("asked %q", got)
				}
			})
		}
	}
}

// The first line of the input is not taken for an answer.
func TestWhoAsksForNothingGetsTheInputAlone(t *testing.T) {
	for way, w := range asked {
		t.Run(way, func(t *testing.T) {
			p, typed := w.program(t, `exec "$@"`)
			for _, input := range []string{"", "data\nand more"} {
				out, errs, refused, err := run(t, p, w.password, "", strings.NewReader(input))
				if err != nil || refused || out != input || errs != "end\n" {
					t.Errorf("%q %q %v %v", out, errs, refused, err)
				}
			}
			if out, errs, refused, err := run(t, p, w.password, "", nil); err != nil || refused || out != "" || errs != "end\n" {
				t.Errorf("without input: %q %q %v %v", out, errs, refused, err)
			}
			if _, err := os.Stat(typed); err == nil {
				t.Error("it was told a password")
			}
		})
	}
}

func TestAWrongPasswordIsSaidOnceAndNothingElse(t *testing.T) {
	for way, w := range asked {
		t.Run(way, func(t *testing.T) {
			p, typed := w.program(t, "")
			out, errs, refused, err := run(t, p, "mistyped", "", strings.NewReader("data"))
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 || !refused || out != "" || !strings.Contains(errs, w.refused) {
				t.Errorf("%q %q %v %v", out, errs, refused, err)
			}
			if got, _ := os.ReadFile(typed); string(got) != "mistyped\n" {
				t.Errorf("asked %q", got)
			}
		})
	}
}

func TestWhatCannotBecomeRootEndsAndGetsNothing(t *testing.T) {
	p, typed := program(t, "echo 'you are not in the sudoers file' >&2; exit 1")
	out, errs, refused, err := run(t, p, "open sesame", "", strings.NewReader("data"))
	if err == nil || refused || out != "" || !strings.Contains(errs, "not in the sudoers file") {
		t.Errorf("%q %q %v %v", out, errs, refused, err)
	}
	if _, err := os.Stat(typed); err == nil {
		t.Error("it was told a password")
	}
}

// Marks may come in pieces.
func TestMarksAreFoundHoweverTheyArrive(t *testing.T) {
	for size := 1; size < 9; size++ {
		p := Of([]string{"sudo"})
		call := p.Call(secret.New([]byte("x")))
		var out, errs bytes.Buffer
		stdout, stderr := call.Stdout(&out), call.Stderr(&errs)
		feed := func(w io.Writer, text string) {
			for part := range slices.Chunk([]byte(text), size) {
				w.Write(part)
			}
		}
		feed(stderr, "lecture\ncolmena-go-asks-0 "+string(call.prompt)+"\n")
		feed(stdout, "colmena-go\n"+string(call.granted)+"answer"+string(call.granted))
		feed(stderr, "after")
		mark := string(call.granted)
		call.Close()
		if errs.String() != "lecture\ncolmena-go-asks-0 \nafter" || out.String() != "colmena-go\nanswer"+mark || call.asked != 1 || !call.open {
			t.Errorf("in pieces of %d: %q %q", size, out.String(), errs.String())
		}
	}
}

func TestHowAProgramIsCalled(t *testing.T) {
	for line, want := range map[string]struct {
		silent string
		takes  bool
	}{
		"sudo -H --":                     {"sudo -n -H --", true},
		"/run/wrappers/bin/sudo -u root": {"/run/wrappers/bin/sudo -n -u root", true},
		"env A=b sudo":                   {"env A=b sudo -n", true},
		"sudo -unSp":                     {"sudo -n -unSp", true},
		"sudo -HS":                       {"sudo -HS", false},
		"sudo -n --":                     {"sudo -n --", false},
		"sudo --askpass":                 {"sudo --askpass", false},
		"sudo -p Password:":              {"sudo -p Password:", false},
		"doas":                           {"doas -n", true},
		"sudo-rs":                        {"sudo-rs -n", true},
		"run0 --":                        {"run0 --no-ask-password --", true},
		"please":                         {"please", false},
		"":                               {"", false},
	} {
		p := Of(strings.Fields(line))
		if got := strings.Join(p.Silent(), " "); got != want.silent || p.TakesPassword() != want.takes {
			t.Errorf("%s: %s, %v", line, got, p.TakesPassword())
		}
	}
}

func TestWhatAProgramLacks(t *testing.T) {
	for said, want := range map[string]Want{
		"sudo: a password is required": Password,
		"sudo: a terminal is required to read the password; either use the -S option": Password,
		"sudo: no tty present and no askpass program specified":                       Password,
		"sudo: interactive authentication is required":                                Password, // sudo-rs
		"doas: Authentication required":                                               Password,
		"sudo: sorry, you must have a tty to run sudo":                                Terminal,
		"alice is not in the sudoers file.":                                           Nothing,
	} {
		if got := Of([]string{"sudo"}).Wants(said); got != want {
			t.Errorf("%s: %v", said, got)
		}
		if Of([]string{"please"}).Wants(said) != Nothing {
			t.Errorf("%s: of a program that nothing is known of", said)
		}
	}
}
