package report

import (
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/colmena-go/colmena-go/pkg/view"
)

// screen is a terminal that does what this program asks of one: it shows text, moves its
// cursor and erases. It breaks lines that are too long and scrolls, as all do, and joins
// them again when it becomes wider, as most do.
type screen struct {
	mu       sync.Mutex
	size     view.Size
	lines    []string // of all that was written, broken ones as one, without colours
	row, col int      // where the cursor is among them
	rest     string   // of a sequence that has not ended
	writes   []string
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes = append(s.writes, string(p))
	text := s.rest + string(p)
	s.rest = ""
	for text != "" {
		r, size := utf8.DecodeRuneInString(text)
		if r == '\x1b' {
			end := strings.IndexAny(text, "ABCJKm")
			if end < 0 {
				s.rest = text
				break
			}
			s.obey(text[:end+1])
			text = text[end+1:]
			continue
		}
		s.put(r)
		text = text[size:]
	}
	return len(p), nil
}

func (s *screen) line() *string {
	for len(s.lines) <= s.row {
		s.lines = append(s.lines, "")
	}
	return &s.lines[s.row]
}

func (s *screen) put(r rune) {
	if r == '\n' { // the terminal driver makes CR LF of it
		s.row, s.col = s.row+1, 0
		s.line()
		return
	}
	if r == '\r' {
		s.col = 0
		return
	}
	line := []rune(*s.line())
	for len(line) < s.col {
		line = append(line, ' ')
	}
	line = append(append(append([]rune{}, line[:s.col]...), r), line[min(len(line), s.col+1):]...)
	*s.line() = string(line)
	s.col++
}

func (s *screen) obey(sequence string) {
	n := 1
	fmt.Sscanf(sequence[2:], "%d", &n)
	switch sequence[len(sequence)-1] {
	case 'A':
		s.up(n)
	case 'B':
		s.row += n
	case 'C':
		s.col += n
	case 'J':
		s.lines = s.lines[:min(len(s.lines), s.row+1)]
		fallthrough
	case 'K':
		line := []rune(*s.line())
		*s.line() = string(line[:min(len(line), s.col)])
	}
}

// up moves the cursor so many rows up, of which a broken line has several.
func (s *screen) up(rows int) {
	for ; rows > 0 && s.row > 0; rows-- {
		s.row--
		rows -= max(0, len([]rune(*s.line()))-1) / s.size.Columns
	}
}

// resize makes the window another size.
func (s *screen) resize(size view.Size) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size = size
}

func (s *screen) window() (view.Size, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size, true
}

// String is all that is on the screen and above it.
func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.TrimRight(strings.Join(s.lines, "\n"), "\n")
}
