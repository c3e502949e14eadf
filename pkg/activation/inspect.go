package activation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/printable"
)

// State is which systems a host has, as store paths; "" where there is none.
type State struct {
	Current string // runs now: /run/current-system
	Profile string // boots next: /nix/var/nix/profiles/system, unless the boot loader was told otherwise
}

// Has reports whether the host has the toplevel already, with its whole closure:
// both links are roots of the garbage collector (nix-store(1), --gc).
func (s State) Has(toplevel string) bool { return s.Current == toplevel || s.Profile == toplevel }

// question prints a line for each of the links, and one more at the end. A program
// is run only for what is no directory, such as a link that is missing.
const question = `for link in /run/current-system /nix/var/nix/profiles/system; do cd -P $link 2>/dev/null && pwd -P || readlink -e $link || echo -; done; echo .`

// Inspect asks the host for its State, in one question. It fails with what keeps
// the host from answering.
func Inspect(ctx context.Context, host hostscript.Runner) (State, error) {
	const what = "asking the host what it runs"
	text, err := asking(hostscript.Ask).ask(ctx, host, what, question)
	if err != nil {
		return State{}, err
	}
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[2] != "." { // a shell may say good-bye behind it
		return State{}, fmt.Errorf("%s: it answers %q", what, printable.Said(text, saidSize))
	}
	return State{Current: systemPath(lines[0]), Profile: systemPath(lines[1])}, nil
}

// systemPath is the system that a host names, "" for none. What is no path of a
// store is not ours, whatever it is.
func systemPath(text string) string {
	switch {
	case text == "-" || text == "":
		return ""
	case !safePath.MatchString(text):
		return "something that is not a store path: " + printable.Said(text, saidSize)
	}
	return printable.Said(text, 4096)
}

// Limits of an answer to a question that takes no time.
const (
	askLimit  = 90 * time.Second
	askLength = 16 << 10 // bytes
)

var errNoAnswer = errors.New("the host did not answer within " + askLimit.String())

// answer is a text that a host cannot make too long.
type answer struct{ bytes.Buffer }

func (a *answer) Write(p []byte) (int, error) {
	if a.Len()+len(p) > askLength {
		return 0, errTooMuch
	}
	return a.Buffer.Write(p)
}
