package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// errOutput: what was asked for could not be printed.
var errOutput = errors.New("standard output cannot be written")

// output remembers the first error of writing, which tables, help and version
// do not pass on: a script must not take half a list for the whole.
type output struct {
	to  io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.to.Write(p)
	if err == nil {
		return n, nil
	}
	var path *fs.PathError // names a file that nobody has named
	if errors.As(err, &path) {
		err = path.Err
	}
	err = fmt.Errorf("%w: %w", errOutput, err)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// verdict puts an output that failed in the place of success.
func (o *output) verdict(err error) error {
	if o.err != nil && (err == nil || errors.Is(err, errNodesFailed) || errors.Is(err, errChanges)) {
		return o.err
	}
	return err
}
