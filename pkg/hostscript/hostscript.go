// Package hostscript has a host run a program of ours with sh, whatever its
// login shell is and says. Nothing is sent before the host has answered that sh
// runs. A script travels on stdin ahead of its data, so that nothing but its
// length is ever on a command line; it is one { ...; exit; }: cut short it is a
// syntax error and runs nothing.
package hostscript

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strings"
	"time"

	"github.com/colmena-go/colmena-go/pkg/crash"
)

// Runner runs a command as root on a host; pkg/remote's Host is one. Run
// returns when the command has ended and its output was written, or when ctx is
// done, and does not wait for a Read of stdin that blocks. It reads stdin only
// once the command runs. A Write that fails ends the command, and is its error.
type Runner interface {
	Run(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) error
}

// Call is one program that a host is to run: a Program or a Script. What has no
// input is a question, which is answered at once or not at all.
type Call struct {
	Program        string        // for sh -c; it holds no single quote
	Script         []byte        // for sh; sent before Stdin
	Limit          time.Duration // after which the host ends it; 0: none
	Stdin          io.Reader     // nil: nothing
	Stdout, Stderr io.Writer     // nil: discarded
}

// Eval is the program that runs a script, with which stdin must begin.
func Eval(script []byte) string { return fmt.Sprintf(`eval "$(head -c %d)"`, len(script)) }

// Proving is the script as a host gets it: it says a word first, which nobody knows
// who has not read it.
func Proving(word string, script []byte) []byte {
	return append([]byte("echo "+word+"\n"), script...)
}

// proving puts the call's script before its input, and returns the script's word and
// size.
func (c *Call) proving() (word string, size int) {
	word = ID()
	script := Proving(word, c.Script)
	input := io.Reader(bytes.NewReader(script))
	if c.Stdin != nil {
		input = io.MultiReader(input, c.Stdin)
	}
	c.Program, c.Script, c.Stdin = Eval(script), nil, input
	return word, len(script)
}

// Join makes one script of all files of a pattern, in the order of their names. The
// last is to end with an exit.
func Join(files fs.FS, pattern string) []byte {
	script := []byte("{\n")
	names, err := fs.Glob(files, pattern)
	for _, name := range names {
		var text []byte
		text, err = fs.ReadFile(files, name)
		if err != nil {
			break
		}
		script = append(script, text...)
	}
	if err != nil { // what is embedded can be read
		panic(err)
	}
	return append(script, "}\n"...)
}

// Run runs the call's program. What the login shell says before it is passed on
// to nobody. A script runs in the [Shell] that the host keeps, if it does. Run fails
// with [ErrShell] when the host does not get as far as to run the program, with
// [ErrMute] when it only says so, and otherwise as the host's Run does.
func Run(ctx context.Context, host Runner, call Call) (err error) {
	defer crash.Recover(&err)
	if keeper, ok := host.(Keeper); ok && call.Script != nil {
		if shell := keeper.TakeShell(); shell != nil && shell.waits() {
			return shell.run(ctx, call)
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	g := newGate(ID(), cancel)
	defer g.end()
	switch {
	case call.Script != nil:
		word, _ := call.proving()
		g.expect(word)
	case call.Stdin == nil:
		g.expect("")
	}
	err = host.Run(ctx, command(call, g.first, g.second), g.stdin(call.Stdin), g.stdout(call.Stdout), g.stderr(call.Stderr))
	return g.explain(err)
}

// command means the same to every login shell: single quotes, no variable
// outside them. The mark is written in two halves, so that a shell which shows
// what it runs is not taken for one that has run it.
func command(call Call, first, second string) string {
	text := fmt.Sprintf(`sh -c 'echo %s""%s; %s'`, first, second, call.Program)
	if call.Limit > 0 {
		text = fmt.Sprintf("timeout %d %s", seconds(call.Limit), text)
	}
	return text
}

// seconds are whole ones, at least one where there is a limit: for timeout(1) zero
// means none.
func seconds(limit time.Duration) int { return int(math.Ceil(limit.Seconds())) }

// List writes words for a script to read, none of which may hold a newline: a
// line with the list's length in bytes, then a word a line, the number of all
// of them first and a full stop last. A list cut short at any byte is not one.
// Without words it is the length alone.
func List(words ...string) []byte {
	if len(words) == 0 {
		return []byte("0\n")
	}
	all := make([]string, 0, len(words)+2)
	all = append(all, fmt.Sprint(len(words)+2))
	all = append(all, words...)
	all = append(all, ".")
	body := strings.Join(all, "\n")
	return fmt.Appendf(nil, "%d\n%s", len(body), body)
}

// Quote has a shell read a text as it stands: every POSIX shell, and fish, where a
// backslash means something within quotes, too. Outside of them, \' is a quote and \\ a
// backslash in all.
func Quote(text string) string {
	return "'" + strings.NewReplacer("'", `'\''`, `\`, `'\\'`).Replace(text) + "'"
}

// ID names one run of a program on a host: 16 hexadecimal digits, at random.
func ID() string {
	var id [8]byte
	rand.Read(id[:]) // never fails (crypto/rand)
	return hex.EncodeToString(id[:])
}
