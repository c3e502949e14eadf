package nixbuild

import (
	"bufio"
	"errors"
	"fmt"
	"slices"

	"github.com/colmena-go/colmena-go/pkg/crash"
)

// Add copies paths of this machine to the store, of which [Builder.Closure] has told,
// each after those that it needs. It returns when all of them are valid there. As the
// host is ours, it asks for no signature, and keeps those that there are. begin is told
// of each path when its turn comes, sent of the bytes of archives that are on their way.
func (s *HostStore) Add(paths []string, begin func(path string), sent func(bytes int)) error {
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
	defer s.limit(moveLimit)()
	if err := s.greet(); err != nil {
		return s.failure(copying, err)
	}
	confirmed := make(chan error, 1)
	s.builder.all.Go(crash.Guarded(func() { confirmed <- s.confirmed(len(paths)) }))
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
func (s *HostStore) confirmed(paths int) error {
	for range paths {
		n, err := s.number(1)
		if err == nil && n == 1 {
			continue
		}
		if err = errors.Join(errors.New("the host's Nix does not confirm a path"), err); !cut(err) {
			s.end(err)
		}
		return err
	}
	return nil
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
