package nixbuild

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/colmena-go/colmena-go/pkg/crash"
)

// Add copies paths of this machine to the store, of which [Builder.Closure] has told,
// each after those that it needs. It returns when all of them are valid there. As the
// host is ours, it asks for no signature, and keeps those that there are. begin is told
// of each path when its turn comes, sent of the bytes of archives that are on their way.
func (s *HostStore) Add(paths []string, begin func(path string), sent func(bytes int)) error {
	defer s.limit(moveLimit)()
	if err := s.greet(); err != nil {
		return s.failure(copying, err)
	}
	return s.deliver(paths, func() error { return nil }, begin, sent)
}

// Give is Add of paths of which it is not known whether they are there, and tells
// which were not. It is quicker than to ask first where they are small.
func (s *HostStore) Give(paths []string, begin func(path string), sent func(bytes int)) (lacked []string, err error) {
	defer s.limit(moveLimit)()
	s.answers.allow(sizes(paths))
	w := s.question()
	writeValid(w, paths, asTheyAre)
	if err := w.Flush(); err != nil {
		return nil, s.failure(copying, err)
	}
	err = s.deliver(paths, func() error {
		if err := s.hear(); err != nil {
			return err
		}
		invalid, err := s.readInvalid(paths)
		lacked = slices.Sorted(maps.Keys(invalid))
		return err
	}, begin, sent)
	return lacked, err
}

// deliver sends paths, and returns when they are confirmed. What the host says before
// that is for hear.
func (s *HostStore) deliver(paths []string, hear func() error, begin func(string), sent func(int)) error {
	infos, err := s.builder.store.described(paths)
	if err != nil {
		return err
	}
	here, err := serveHere(s.outer, s.builder.tool, &s.builder.all)
	if err != nil {
		return err
	}
	defer here.end()
	s.answers.allow(8 * len(paths))
	confirmed := make(chan error, 1)
	s.builder.all.Go(crash.Guarded(func() { confirmed <- s.confirmed(hear, len(paths)) }))
	err = s.sendAll(here, inOrder(paths, infos), infos, &counted{out: bufio.NewWriterSize(s.serving.in, 64<<10), begin: begin, sent: sent})
	if ours := (*localError)(nil); errors.As(err, &ours) {
		s.end(err)
		<-confirmed
		return err
	}
	if why := <-confirmed; why != nil {
		err = why // the host's is the reason
	}
	if err != nil {
		return s.failure(copying, err)
	}
	return nil
}

const copying = "copying to the host's store"

// localError is what keeps this machine from giving a path away.
type localError struct {
	path string
	err  error
}

func (e *localError) Error() string { return fmt.Sprintf("reading %s: %v", e.path, e.err) }
func (e *localError) Unwrap() error { return e.err }

// confirmed waits until the host says of so many paths that they are valid. What says
// something else ends the session.
func (s *HostStore) confirmed(hear func() error, paths int) error {
	err := hear()
	for ; err == nil && paths > 0; paths-- {
		var yes uint64
		if yes, err = s.number(1); err == nil && yes == 0 {
			err = errors.New("the host's Nix does not confirm a path")
		}
	}
	if err != nil && !cut(err) {
		s.end(err)
	}
	return err
}

// sendAll sends paths without waiting for an answer to any.
func (s *HostStore) sendAll(here *server, paths []string, infos map[string]pathInfo, to *counted) error {
	for _, path := range paths {
		to.begin(path)
		writeAdd(to.out, path, infos[path])
		if err := here.dump(to, path, infos[path].size); err != nil {
			if to.err != nil {
				return to.err
			}
			if ended := here.stop(); ended != nil {
				err = ended // what it said is the reason
			}
			return &localError{path, err}
		}
	}
	return to.out.Flush()
}

// counted is what archives are written to.
type counted struct {
	out   *bufio.Writer
	begin func(path string)
	sent  func(bytes int)
	err   error // of the way to the host
}

func (c *counted) Write(p []byte) (n int, err error) {
	n, err = c.out.Write(p)
	c.sent(n)
	c.err = err
	return n, err
}

// inOrder has each path come after those that it needs.
func inOrder(paths []string, infos map[string]pathInfo) (order []string) {
	todo := make(map[string]bool, len(paths))
	for _, path := range paths {
		todo[path] = true
	}
	var visit func(path string)
	visit = func(path string) {
		if !todo[path] {
			return
		}
		todo[path] = false
		for _, needed := range infos[path].references {
			visit(needed)
		}
		order = append(order, path)
	}
	for _, path := range slices.Sorted(slices.Values(paths)) {
		visit(path)
	}
	return order
}

// described is what is known of paths that were in a closure.
func (k *keeper) described(paths []string) (map[string]pathInfo, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	infos := make(map[string]pathInfo, len(paths))
	for _, path := range paths {
		info, ok := k.known[path]
		if !ok {
			return nil, fmt.Errorf("nothing is known of %s", path)
		}
		infos[path] = info
	}
	return infos, nil
}
