package nix

import (
	"bytes"
	"io"
)

// LineWriter cuts what a program prints into lines, none of them empty. Of a line
// that is too long it leaves out what is in the middle, so that an object stays one.
type LineWriter struct {
	Emit func(line string)
	Most int // bytes of a line that are kept, more than 1 KiB; 0 for 1 MiB
	rest []byte
}

var _ io.Writer = (*LineWriter)(nil)

// How many bytes of a line are kept, and how many of those are its last.
const (
	mostOfLine = 1 << 20
	endOfLine  = 1 << 10
)

func (w *LineWriter) Write(p []byte) (int, error) {
	n := len(p)
	for {
		i := bytes.IndexAny(p, "\n\r")
		if i < 0 {
			w.add(p)
			return n, nil
		}
		w.add(p[:i])
		w.Flush()
		p = p[i+1:]
	}
}

func (w *LineWriter) add(p []byte) {
	most := w.Most
	if most == 0 {
		most = mostOfLine
	}
	w.rest = append(w.rest, p...)
	if len(w.rest) > most {
		copy(w.rest[most-endOfLine:], w.rest[len(w.rest)-endOfLine:])
		w.rest = w.rest[:most]
	}
}

// Flush emits what has no end of a line yet.
func (w *LineWriter) Flush() {
	if len(w.rest) > 0 {
		w.Emit(string(w.rest))
	}
	w.rest = w.rest[:0]
}
