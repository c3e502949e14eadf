package activation

import (
	"slices"
	"strings"
	"testing"
)

func TestOutputIsSplitAtNewlinesAndCarriageReturns(t *testing.T) {
	long := strings.Repeat("x", longestLine)
	for _, c := range []struct {
		name string
		in   string
		want []string
	}{
		{"lines", "one\ntwo\n", []string{"one", "two"}},
		{"an empty line is a line", "one\n\ntwo\n", []string{"one", "", "two"}},
		{"the end of the output ends a line", "one\ntwo", []string{"one", "two"}},
		{"progress", "10%\r50%\r100%\r\ndone\n", []string{"10%", "50%", "100%", "done"}},
		{"returns alone are not lines", "\r\r10%\r\r", []string{"10%"}},
		{"lines of another system", "one\r\n\r\ntwo\r\n", []string{"one", "two"}},
		{"a line without end comes in pieces", long + "y\n", []string{long, "y"}},
		{"bytes that are not UTF-8", "\xff\xfe\n", []string{"\xff\xfe"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, size := range []int{1, 3, len(c.in)} {
				if got := split(c.in, size); !slices.Equal(got, c.want) {
					t.Errorf("written %d bytes at a time: got %q, want %q", size, got, c.want)
				}
			}
		})
	}
}

// split writes text in pieces of the given size.
func split(text string, size int) []string {
	var got []string
	s := splitter{line: func(line string) { got = append(got, line) }}
	for piece := range slices.Chunk([]byte(text), size) {
		s.Write(piece)
	}
	s.flush()
	return got
}
