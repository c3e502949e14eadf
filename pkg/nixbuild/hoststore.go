package nixbuild

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/nix"
)

//go:embed keep.sh
var keepScript []byte

// How long a host's store may take to tell what it lacks.
const lacksLimit = 2 * time.Minute

// Lacks tells which of the paths the store of a host does not have. From now on
// the host keeps the roots from its garbage collector, as soon as they are there and
// with all that they need, until [Release] or a reboot.
func Lacks(ctx context.Context, host hostscript.Runner, roots, paths []string) ([]string, error) {
	there := storeThere{script: keepScript, input: hostscript.List(append([]string{"keep"}, roots...)...), room: mostAround + sizes(paths)}
	var invalid map[string]bool
	err := there.ask(ctx, host, func(s *serving) (err error) {
		invalid, err = s.invalid(paths)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("asking the host's store what it lacks: %w", err)
	}
	return slices.Sorted(maps.Keys(invalid)), nil
}

// storeThere is how a host is asked to serve its store.
type storeThere struct {
	script, input []byte // input is the script's
	room          int    // bytes that the answers may have in all
}

// ask asks a host's store. An error of the question's tells what the host said, too.
func (t storeThere) ask(ctx context.Context, host hostscript.Runner, question func(*serving) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, lacksLimit, fmt.Errorf("no answer within %s", lacksLimit))
	defer cancel()
	questions := newInbox(math.MaxInt) // of ours
	answers := newInbox(t.room)
	said := &lastWords{}
	ended := make(chan error, 1)
	go func() {
		defer crash.Guard()
		err := hostscript.Run(ctx, host, hostscript.Call{
			Script: t.script, Stdin: io.MultiReader(bytes.NewReader(t.input), questions),
			Stdout: answers, Stderr: &nix.LineWriter{Emit: said.hear, Most: mostOfWord},
		})
		answers.close(io.ErrUnexpectedEOF)
		ended <- err
	}()
	err := question(&serving{in: questions, out: bufio.NewReader(answers)})
	questions.close(io.EOF)         // it ends then
	answers.close(io.ErrClosedPipe) // it is heard no more
	cut := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe)
	if end := <-ended; end != nil && cut {
		err = end // why it did not answer
	}
	if err != nil {
		return fmt.Errorf("%w%s", err, said)
	}
	return nil
}

// mostAround is how many bytes may come besides the paths.
const mostAround = 64 << 10

// sizes is how many bytes an answer may have that lists all of the paths.
func sizes(paths []string) (n int) {
	for _, path := range paths {
		n += len(path) + 16 // its length, and padding
	}
	return n
}

// releaseLimit is how long it may take: a root that is left does little harm.
const releaseLimit = 10 * time.Second

// Release lets the host's garbage collector have the roots again.
func Release(ctx context.Context, host hostscript.Runner, roots []string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, releaseLimit, errors.New("the host did not answer in time"))
	defer cancel()
	list := hostscript.List(append([]string{"release"}, roots...)...)
	return hostscript.Run(ctx, host, hostscript.Call{Script: keepScript, Stdin: bytes.NewReader(list)})
}

// lastWords are the last lines of what a program on a host said on stderr.
type lastWords struct{ lines []string }

const (
	mostWords  = 5
	mostOfWord = 4 << 10 // bytes
)

func (w *lastWords) hear(line string) {
	w.lines = append(w.lines, hostscript.Said(nix.WithoutLogins(line), longestLine))
	w.lines = w.lines[max(0, len(w.lines)-mostWords):]
}

// String is for the end of an error.
func (w *lastWords) String() (text string) {
	for _, line := range w.lines {
		text += "\n" + line
	}
	return text
}
