package nixbuild

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"maps"
	"math"
	"path"
	"regexp"
	"slices"

	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/nix"
	"github.com/colmena-go/colmena-go/pkg/printable"
)

//go:embed look.sh
var lookScript []byte

// How much a host may tell: the largest systems need some ten thousand paths, of which
// each takes about a kilobyte.
const (
	mostInClosure = 200_000
	mostOfClosure = 64 << 20 // bytes
)

// storePathName: what Nix allows in the last part of a store path.
var storePathName = regexp.MustCompile(`^[0-9abcdfghijklmnpqrsvwxyz]{32}-[A-Za-z0-9+_?=-][A-Za-z0-9+._?=-]{0,210}$`)

// LookThere asks a host's store, where nothing is kept from the garbage collector for it. What it says is bounded, and no path in it is anything
// but one of that store.
func LookThere(ctx context.Context, host hostscript.Runner, look closure.Question) (closure.Answer, error) {
	there := storeThere{script: lookScript, room: mostAround + sizes(look.Wanted) + len(look.Closures)*mostOfClosure}
	found := closure.Answer{Closures: map[string]map[string]int64{}}
	err := there.ask(ctx, host, func(s *serving) error {
		if len(look.Wanted) > 0 {
			lacks, err := s.invalid(look.Wanted)
			if err != nil {
				return err
			}
			found.Lacks = slices.Sorted(maps.Keys(lacks))
		}
		for _, top := range look.Closures {
			sizes, err := s.sizes(top)
			if err != nil {
				return err
			}
			if sizes != nil {
				found.Closures[top] = sizes
			}
		}
		return nil
	})
	if err != nil {
		return closure.Answer{}, fmt.Errorf("asking the host's store what its system needs: %w", err)
	}
	return found, nil
}

// sizes is what a path needs, with the sizes; nil if it is not there.
func (s *serving) sizes(top string) (map[string]int64, error) {
	if invalid, err := s.invalid([]string{top}); err != nil || invalid[top] {
		return nil, err
	}
	paths, err := s.closure([]string{top})
	if err != nil {
		return nil, err
	}
	if len(paths) > mostInClosure {
		return nil, fmt.Errorf("%s is said to need %d paths, where at most %d make sense", top, len(paths), mostInClosure)
	}
	for _, p := range paths {
		if path.Dir(p) != path.Dir(top) || !storePathName.MatchString(path.Base(p)) {
			return nil, fmt.Errorf("%q is no path of its store", printable.Said(p, mostShown))
		}
	}
	infos, err := s.infos(paths)
	if err != nil {
		return nil, err
	}
	sizes := make(map[string]int64, len(paths))
	for _, p := range paths {
		sizes[p] = infos[p].size
	}
	if _, itself := sizes[top]; !itself {
		return nil, fmt.Errorf("%s is said not to need itself", top)
	}
	return sizes, nil
}

// mostShown of a host's text stands in an error, in bytes.
const mostShown = 300

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
			Stdout: answers, Stderr: &nix.LineWriter{Emit: func(line string) { said.hear(line) }, Most: mostOfWord},
		})
		answers.close(io.ErrUnexpectedEOF)
		ended <- err
	}()
	err := question(&serving{in: questions, out: bufio.NewReader(answers)})
	questions.close(io.EOF)         // it ends then
	answers.close(io.ErrClosedPipe) // it is heard no more
	if end := <-ended; end != nil && cut(err) {
		err = end // why it did not answer
	}
	if err != nil {
		return fmt.Errorf("%w%s", err, said)
	}
	return nil
}
