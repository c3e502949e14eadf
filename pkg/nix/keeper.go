package nix

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/colmena-go/colmena-go/pkg/crash"
)

// keeper asks the store which paths are valid, and keeps every path that it was
// asked about from the garbage collector. Both are the work of one
// `nix-store --serve`, which lives until the keeper's context is done.
type keeper struct {
	tool Tool
	ctx  context.Context
	all  *sync.WaitGroup

	mu  sync.Mutex
	nix *serving // nil when none runs
}

// serving is a Nix that speaks the protocol of ssh:// stores.
type serving struct {
	in    io.WriteCloser
	out   *bufio.Reader
	end   context.CancelFunc
	ended chan error

	greeted bool
}

// What is said to it (Nix, serve-protocol.hh). The first version of the protocol
// has all that is needed here.
const (
	serveHello      = 0x390c9deb
	serveAnswer     = 0x5452eecb
	serveVersion    = 0x200
	serveValidPaths = 1
	longestPath     = 4096
)

// invalid returns which of the paths are not valid.
func (k *keeper) invalid(paths []string) (map[string]bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.nix == nil {
		if err := k.start(); err != nil {
			return nil, err
		}
	}
	invalid, err := k.nix.invalid(paths)
	if err == nil {
		return invalid, nil
	}
	// What it said is the reason; another one may have more luck.
	if ended := k.nix.stop(); ended != nil {
		err = ended
	}
	k.nix = nil
	if errors.Is(err, ErrNoNix) || k.ctx.Err() != nil {
		return nil, err
	}
	return nil, fmt.Errorf("looking for what is built: %w", err)
}

func (k *keeper) start() error {
	ctx, end := context.WithCancel(k.ctx)
	cmd := k.tool.command(ctx, "nix-store", append([]string{"--serve", "--write"}, k.tool.optionArgs()...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		end()
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		end()
		return err
	}
	k.nix = &serving{in: in, out: bufio.NewReader(out), end: end, ended: make(chan error, 1)}
	nix := k.nix
	k.all.Go(crash.Guarded(func() { nix.ended <- k.tool.run(ctx, cmd, nil) }))
	return nil
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

// stop ends it, and returns what is wrong with it if it ended by itself.
func (s *serving) stop() error {
	s.in.Close()
	defer s.end()
	select {
	case err := <-s.ended:
		return err
	case <-time.After(killGraceEval):
		return nil
	}
}

// invalid asks for the validity of paths, and greets first if nobody has.
func (s *serving) invalid(paths []string) (map[string]bool, error) {
	w := bufio.NewWriter(s.in)
	if !s.greeted {
		writeNumbers(w, serveHello, serveVersion)
	}
	// 1: they shall be no garbage from now on; 0: without fetching what is not there.
	writeNumbers(w, serveValidPaths, 1, 0, uint64(len(paths)))
	invalid := map[string]bool{}
	for _, path := range paths {
		invalid[path] = true
		writeNumbers(w, uint64(len(path)))
		w.WriteString(path)
		w.Write(make([]byte, padding(len(path))))
	}
	if err := w.Flush(); err != nil {
		return nil, err
	}
	if !s.greeted {
		if magic, err := s.number(1 << 32); err != nil || magic != serveAnswer {
			return nil, errors.Join(errors.New("nix-store --serve does not answer as it should"), err)
		}
		if _, err := s.number(1 << 32); err != nil { // its version
			return nil, err
		}
		s.greeted = true
	}
	count, err := s.number(uint64(len(paths)))
	for ; count > 0 && err == nil; count-- {
		var path string
		path, err = s.text()
		delete(invalid, path)
	}
	return invalid, err
}

// Numbers are 64 bits wide, texts are padded to as many.

func writeNumbers(w *bufio.Writer, numbers ...uint64) {
	for _, n := range numbers {
		w.Write(binary.LittleEndian.AppendUint64(nil, n))
	}
}

func padding(length int) int { return -length & 7 }

func (s *serving) number(most uint64) (uint64, error) {
	var bytes [8]byte
	if _, err := io.ReadFull(s.out, bytes[:]); err != nil {
		return 0, err
	}
	n := binary.LittleEndian.Uint64(bytes[:])
	if n > most {
		return 0, fmt.Errorf("nix-store --serve says %d, where at most %d makes sense", n, most)
	}
	return n, nil
}

func (s *serving) text() (string, error) {
	length, err := s.number(longestPath)
	if err != nil {
		return "", err
	}
	bytes := make([]byte, int(length)+padding(int(length)))
	_, err = io.ReadFull(s.out, bytes)
	return string(bytes[:length]), err
}
