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
	"slices"
	"time"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/nix"
	"github.com/colmena-go/colmena-go/pkg/printable"
)

//go:embed keep.sh
var keepScript []byte

// Limits of a host's Nix.
var (
	// lacksLimit is how long it may take to tell what it lacks.
	lacksLimit = 2 * time.Minute
	// fetchingLimit is how long it may say nothing while it fetches: it tells of each path,
	// and not how far that is.
	fetchingLimit = time.Hour
	// moveLimit is how long it may neither take nor say anything while paths are added:
	// it may be busy with a large one.
	moveLimit = 5 * time.Minute
)

// ErrStalled: a host's Nix took or said nothing for too long.
var ErrStalled = errors.New("nothing moves any more")

// HostStore is the store of a host: one session, in which Nix there tells what it lacks
// and is given that. It is for one goroutine, and to be closed.
type HostStore struct {
	serving
	builder *Builder
	outer   context.Context // the caller's
	ctx     context.Context // the session's
	end     context.CancelCauseFunc
	in      *io.PipeWriter
	answers *inbox
	moves   moves
	said    lastWords     // by Nix there; to be read after ended
	ended   chan struct{} // closed when the session is over
	err     error         // how; to be read after ended
}

// HostStore begins to talk to the store of a host, and returns at once. From then on
// the host keeps the roots from its garbage collector, as soon as they are there and
// with all that they need, until [Release] or a reboot. output is told what Nix there
// says.
func (b *Builder) HostStore(ctx context.Context, host hostscript.Runner, roots []string, output func(line string)) *HostStore {
	in, questions := io.Pipe()
	s := &HostStore{builder: b, outer: ctx, in: questions, answers: newInbox(mostAround), ended: make(chan struct{})}
	s.ctx, s.end = context.WithCancelCause(ctx)
	s.serving = serving{in: s.moves.through(questions), out: bufio.NewReader(s.answers)}
	stderr := &nix.LineWriter{Most: mostOfWord, Emit: func(line string) {
		s.moves.add()
		output(s.said.hear(line))
	}}
	list := hostscript.List(roots...)
	b.all.Go(crash.Guarded(func() {
		defer close(s.ended)
		defer s.end(nil)
		s.err = hostscript.Run(s.ctx, host, hostscript.Call{
			Script: keepScript, Stdin: io.MultiReader(bytes.NewReader(list), in), Stdout: s.moves.through(s.answers), Stderr: stderr,
		})
		in.CloseWithError(io.ErrClosedPipe)
		s.answers.close(io.ErrUnexpectedEOF)
	}))
	return s
}

// Lacks tells which of the paths the store does not have; those that it has are no
// garbage until Close.
func (s *HostStore) Lacks(paths []string) ([]string, error) {
	s.answers.allow(sizes(paths))
	defer s.limit(lacksLimit)()
	invalid, err := s.invalid(paths)
	if err != nil {
		return nil, s.failure("asking the host's store what it lacks", err)
	}
	return slices.Sorted(maps.Keys(invalid)), nil
}

// Fetch tells which of the paths the store lacked, and which it lacks still when it has
// fetched what it could from the host's own substituters.
func (s *HostStore) Fetch(paths []string) (lacked, lacks []string, err error) {
	s.answers.allow(2 * sizes(paths))
	defer s.limit(fetchingLimit)()
	w := s.question()
	writeValid(w, paths, asTheyAre) // both at once, for the sake of a long way
	writeValid(w, paths, fetched)
	var first, then map[string]bool
	if err = s.send(w); err == nil {
		first, err = s.readInvalid(paths)
	}
	if err == nil {
		then, err = s.readInvalid(paths)
	}
	if err != nil {
		return nil, nil, s.failure("having the host fetch what it lacks", err)
	}
	return slices.Sorted(maps.Keys(first)), slices.Sorted(maps.Keys(then)), nil
}

// Close ends the session. What is under way is not finished.
func (s *HostStore) Close() {
	s.in.Close()
	select {
	case <-s.ended:
	default:
		s.answers.close(io.ErrClosedPipe) // it is heard no more
	}
}

// limit ends the session if nothing moves for so long, until stop.
func (s *HostStore) limit(most time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(s.ctx)
	s.builder.all.Go(crash.Guarded(func() { s.moves.watch(ctx, s.end, most) }))
	return cancel
}

// failure ends the session, and is why what it was to do did not work.
func (s *HostStore) failure(what string, err error) error {
	if !cut(err) {
		s.end(err)
	}
	<-s.ended
	if cut(err) && s.err != nil {
		err = s.err // why it did not answer
	}
	return fmt.Errorf("%s: %w%s", what, err, &s.said)
}

// cut reports whether an error is the end of what comes or goes.
func cut(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe)
}

// mostAround is how many bytes may come besides what was asked for.
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
	program := "set -f; rm -f"
	for _, root := range roots {
		name := storeBase(root)
		if !storePathName.MatchString(name) {
			return fmt.Errorf("%q is no store path", root)
		}
		program += fmt.Sprintf(` /run/colmena-go/roots/%s "${NIX_STATE_DIR:-/nix/var/nix}"/gcroots/auto/colmena-go-%[1]s`, name)
	}
	return hostscript.Run(ctx, host, hostscript.Call{Program: program})
}

// lastWords are the last lines of what a program on a host said on stderr.
type lastWords struct{ lines []string }

const (
	mostWords  = 5
	mostOfWord = 4 << 10 // bytes
)

func (w *lastWords) hear(line string) (heard string) {
	heard = printable.Said(nix.WithoutLogins(line), longestLine)
	w.lines = append(w.lines, heard)
	w.lines = w.lines[max(0, len(w.lines)-mostWords):]
	return heard
}

// String is for the end of an error.
func (w *lastWords) String() (text string) {
	for _, line := range w.lines {
		text += "\n" + line
	}
	return text
}
