package nixbuild

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/nix"
)

// keeper asks the store which paths are valid, and keeps every path that it was
// asked about from the garbage collector. Both are the work of one
// `nix-store --serve`, which lives until the keeper's context is done.
type keeper struct {
	tool nix.Tool
	ctx  context.Context
	all  *sync.WaitGroup

	mu  sync.Mutex
	nix *server // nil when none runs

	known map[string]pathInfo // what the store told of paths
}

// server is a Nix that tells of this machine's store.
type server struct {
	serving
	in    io.Closer
	end   context.CancelFunc
	ended chan error
}

// invalid returns which of the paths are not valid.
func (k *keeper) invalid(paths []string) (invalid map[string]bool, err error) {
	err = k.ask(func(s *serving) error {
		invalid, err = s.invalid(paths)
		return err
	})
	return invalid, err
}

// closure is what a valid path needs, itself among it, with the size of each in
// bytes. Most of it is known from closures before.
func (k *keeper) closure(path string) (map[string]int64, error) {
	sizes := map[string]int64{}
	var lacking error // which is no reason to let go of what is kept
	err := k.ask(func(s *serving) error {
		for next := []string{path}; len(next) > 0; {
			if err := k.learn(s, next); err != nil {
				return err
			}
			var further []string
			for _, p := range next {
				info, ok := k.known[p]
				if !ok {
					lacking = fmt.Errorf("this machine's store lacks %s", p)
					return nil
				}
				if _, met := sizes[p]; !met {
					sizes[p] = info.size
					further = append(further, info.references...)
				}
			}
			next = slices.DeleteFunc(further, func(p string) bool { _, met := sizes[p]; return met })
		}
		return nil
	})
	return sizes, cmp.Or(err, lacking)
}

// learn asks about those of the paths that are not known yet.
func (k *keeper) learn(s *serving, paths []string) error {
	unknown := map[string]bool{}
	for _, path := range paths {
		if _, ok := k.known[path]; !ok {
			unknown[path] = true
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	infos, err := s.infos(slices.Sorted(maps.Keys(unknown)))
	if k.known == nil {
		k.known = map[string]pathInfo{}
	}
	maps.Copy(k.known, infos)
	return err
}

// ask has a Nix there for a question, one at a time.
func (k *keeper) ask(question func(*serving) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.nix == nil {
		var err error
		if k.nix, err = serveHere(k.ctx, k.tool, k.all); err != nil {
			return err
		}
	}
	err := question(&k.nix.serving)
	if err == nil {
		return nil
	}
	// What it said is the reason; another one may have more luck.
	if ended := k.nix.stop(); ended != nil {
		err = ended
	}
	k.nix = nil
	if errors.Is(err, nix.ErrNoNix) || k.ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("looking for what is built: %w", err)
}

// serveHere starts one of this machine's store, which ends with ctx.
func serveHere(ctx context.Context, tool nix.Tool, all *sync.WaitGroup) (*server, error) {
	ctx, end := context.WithCancel(ctx)
	cmd := tool.Command(ctx, "nix-store", append([]string{"--serve", "--write"}, tool.OptionArgs()...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		end()
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		end()
		return nil, err
	}
	s := &server{serving: serving{in: in, out: bufio.NewReader(out)}, in: in, end: end, ended: make(chan error, 1)}
	all.Go(crash.Guarded(func() { s.ended <- tool.Run(ctx, cmd, nil) }))
	return s, nil
}

// close lets go of every path. Its Nix hears of that sooner than of a signal.
func (k *keeper) close() {
	if k.mu.TryLock() { // nobody asks
		defer k.mu.Unlock()
		if k.nix != nil {
			k.nix.in.Close()
		}
	}
}

// stopGrace is how long it may take to end when nobody asks it any more.
const stopGrace = 800 * time.Millisecond

// stop ends it, and returns what is wrong with it if it ended by itself.
func (s *server) stop() error {
	s.in.Close()
	defer s.end()
	select {
	case err := <-s.ended:
		return err
	case <-time.After(stopGrace):
		return nil
	}
}
