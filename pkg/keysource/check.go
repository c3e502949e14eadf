package keysource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"sync"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hive"
)

// Check tells which keys of the node can have no content, without reading or
// running anything: a keyFile that cannot be opened, a program that is not there.
// It fails as [Resolver.Resolve] does. What lies in the Nix store may yet be built.
func (r *Resolver) Check(ctx context.Context, node hive.Node) error {
	r.once.Do(r.prepare)
	errs := make([]error, len(node.Keys))
	var all sync.WaitGroup
	for i, key := range node.Keys {
		switch {
		case len(key.Command) > 0:
			if !stored(key.Command[0]) {
				errs[i] = findProgram(key.Command)
			}
		case key.File != "" && !stored(key.File):
			all.Go(func() {
				defer crash.Guard()
				_, errs[i] = unblocked(ctx, r, key, func() (struct{}, error) {
					file, err := openFile(key.File)
					if err == nil {
						err = file.Close()
					}
					return struct{}{}, err
				})
			})
		}
	}
	all.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return failures(node, errs)
}

func stored(path string) bool { return strings.HasPrefix(path, "/nix/store/") }

// findProgram looks where exec would. It fails with ErrStart.
func findProgram(argv []string) error {
	_, err := exec.LookPath(argv[0])
	switch {
	case err == nil:
		return nil
	case program(argv) != argv[0]:
		return fmt.Errorf("%w: there is no program with white space or = in its name, %s: keyCommand is a list of words, such as [ \"cat\" \"/etc/hostname\" ]", ErrStart, program(argv))
	case errors.Is(err, exec.ErrNotFound) && unlike(argv[0]) != argv[0]:
		return fmt.Errorf("%w: its first word, one of %d bytes, is not a program in PATH", ErrStart, len(argv[0]))
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%w: there is no program %s in PATH", ErrStart, argv[0])
	}
	// The message has the program's name already, as far as it is shown.
	var start *exec.Error
	if errors.As(err, &start) {
		err = start.Err
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Errorf("%w: %s: %w", ErrStart, unlike(argv[0]), err)
}
