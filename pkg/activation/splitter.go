package activation

// longestLine is where a line is cut that does not end.
const longestLine = 16 << 10

// splitter hands on what is written to it line by line. A newline ends a line,
// and so does a carriage return, with which programs draw progress.
type splitter struct {
	line func(string)

	buf     []byte
	afterCR bool // the last byte was a carriage return

	read  int64 // bytes
	whole int64 // bytes to the end of the last line that was handed on; a carriage return may be part of what follows it
}

func (s *splitter) Write(p []byte) (int, error) {
	for _, c := range p {
		s.read++
		switch {
		case c == '\r':
			if len(s.buf) > 0 {
				s.whole = s.read - 1
				s.emit()
			}
		case c == '\n' && s.afterCR:
			// The carriage return before it has ended the line.
			s.whole = s.read
		case c == '\n':
			s.whole = s.read
			s.emit()
		default:
			s.buf = append(s.buf, c)
			if len(s.buf) == longestLine {
				s.whole = s.read
				s.emit()
			}
		}
		s.afterCR = c == '\r'
	}
	return len(p), nil
}

// flush hands on a last line without an end.
func (s *splitter) flush() {
	if len(s.buf) > 0 {
		s.emit()
	}
}

func (s *splitter) emit() {
	line := string(s.buf)
	s.buf = s.buf[:0]
	s.line(line)
}
