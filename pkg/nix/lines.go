package nix

import (
	"bytes"
	"io"
)

// lineWriter cuts what a program prints into lines. Of a line that is too long it
// leaves out what is in the middle, so that an object stays one.
type lineWriter struct {
	emit func(string)
	most int // bytes of a line that are kept; 0 for mostOfLine
	rest []byte
}

var _ io.Writer = (*lineWriter)(nil)

// How many bytes of a line are kept, and how many of those are its last.
const (
	mostOfLine = 1 << 20
	endOfLine  = 1 << 10
)

func (w *lineWriter) Write(p []byte) (int, error) {
	n := len(p)
	for {
		i := bytes.IndexAny(p, "\n\r")
		if i < 0 {
			w.add(p)
			return n, nil
		}
		w.add(p[:i])
		w.flush()
		p = p[i+1:]
	}
}

func (w *lineWriter) add(p []byte) {
	most := w.most
	if most == 0 {
		most = mostOfLine
	}
	w.rest = append(w.rest, p...)
	if len(w.rest) > most {
		copy(w.rest[most-endOfLine:], w.rest[len(w.rest)-endOfLine:])
		w.rest = w.rest[:most]
	}
}

func (w *lineWriter) flush() {
	if len(w.rest) > 0 {
		w.emit(string(w.rest))
	}
	w.rest = w.rest[:0]
}

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
