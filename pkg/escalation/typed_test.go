package escalation

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/secret"
)

// typedStub is a doas of a test's own: it asks on its terminal, with echo on or off, and
// once. tests/hosts has the real one.
const typedStub = `#!/bin/sh
BEFORE
exec 7<>/dev/tty
stty -a <&7 | grep -q -e ' -echo ' || echo loud >>"$0.typed"
printf '\rdoas (ops@here) password: ' >&7
LATER
IFS= read -r typed <&7
printf '\r\n' >&7
echo "$typed" >>"$0.typed"
[ "$typed" = 'open "sesame"' ] || { echo "doas: Authentication failed" >&2; exit 1; }
exec "$@"
`

func typedProgram(t *testing.T, before string) (Program, string) {
	t.Helper()
	if _, err := exec.LookPath("script"); err != nil {
		t.Skip(err)
	}
	path := filepath.Join(t.TempDir(), "doas")
	if err := os.WriteFile(path, []byte(strings.NewReplacer("BEFORE", before, "LATER", "sleep 0.3; python3 -c 'import sys, termios; t = termios.tcgetattr(7); t[3] &= ~(termios.ECHO | termios.ECHONL); termios.tcsetattr(7, termios.TCSAFLUSH, t)' || stty -echo -echonl <&7").Replace(typedStub)), 0o700); err != nil {
		t.Fatal(err)
	}
	return Of([]string{path}), path + ".typed"
}

func TestQuestionsOfATerminalAreFoundHoweverTheyArrive(t *testing.T) {
	const before, asks = "before: ", "a message\r\n\rdoas (ops@here) password: "
	for size := 1; size < 9; size++ {
		call := Of([]string{"doas"}).Call(secret.New([]byte("x")))
		var out, errs bytes.Buffer
		stdout, stderr := call.Stdout(&out), call.Stderr(&errs)
		feed := func(text string) {
			for part := range slices.Chunk([]byte(text), size) {
				stderr.Write(part)
			}
		}
		feed(before + string(call.prompt))
		if call.asked != 0 {
			t.Errorf("in pieces of %d: what came before is taken for a question", size)
		}
		feed(asks)
		if call.asked != 1 || string(call.queue) != "-x\n" {
			t.Errorf("in pieces of %d: asked %d times: %q", size, call.asked, call.queue)
		}
		stdout.Write(call.granted)
		if call.open {
			t.Errorf("in pieces of %d: the command gets its input while the terminal may show more", size)
		}
		feed("\r\nmore\r\n" + string(call.silent))
		feed("after: ")
		stdout.Write([]byte("result: "))
		call.Close()
		if errs.String() != before+"after: " || out.String() != "result: " || !call.open || call.asked != 1 {
			t.Errorf("in pieces of %d: %q %q", size, out.String(), errs.String())
		}
	}
}

// What a terminal has shown is told where it came to nothing.
func TestWhosePasswordIsWantedIsAnswered(t *testing.T) {
	const list = "Multiple identities can be used for authentication:\r\n 1.  Alice A. (alice)\r\n 2.  deployer\r\nChoose identity to authenticate as (1-2): "
	for user, want := range map[string]string{"alice": "+1\n-x\n.\n", "deployer": "+2\n-x\n.\n", "bob": "", "": ""} {
		call := Of([]string{"run0"}).By(user).Call(secret.New([]byte("x")))
		var errs bytes.Buffer
		stdout, stderr := call.Stdout(nil), call.Stderr(&errs)
		stderr.Write(append(call.prompt, list...))
		got, told := make([]byte, 100), ""
		if n, _ := call.Stdin(nil).Read(got); n > 0 {
			stderr.Write([]byte("\r\nPassword: "))
			told = string(got[:n])
			n, _ = call.Stdin(nil).Read(got)
			told += string(got[:n])
			stdout.Write(call.granted)
			stderr.Write(call.silent)
			n, _ = call.Stdin(nil).Read(got)
			told += string(got[:n])
		}
		call.Close()
		if told != want || want == "" && !strings.HasSuffix(errs.String(), "(1-2): ") {
			t.Errorf("%s: told %q; %q", user, told, errs.String())
		}
	}
}

// fish and nushell read quotes in other ways.
func TestTheScriptCanBeQuoted(t *testing.T) {
	if strings.ContainsAny(typing, `'\`) || strings.Contains(typing, "\n#") {
		t.Error(typing)
	}
}
