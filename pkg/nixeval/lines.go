package nixeval

import (
	"bytes"
	"io"
)

// longLines cuts what a program prints into lines of any length.
type longLines struct {
	each func(line []byte) // which must not keep it
	rest []byte
}

var _ io.Writer = (*longLines)(nil)

func (w *longLines) Write(p []byte) (int, error) {
	n := len(p)
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			w.rest = append(w.rest, p...)
			return n, nil
		}
		w.each(append(w.rest, p[:i]...))
		w.rest, p = nil, p[i+1:]
	}
}
