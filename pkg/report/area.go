package report

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/colmena-go/colmena-go/pkg/printable"
)

// area is what stands on the screen below all that was printed, with the cursor at the
// beginning of the line after it: whenever the program ends, and however, the terminal
// is fit for whoever writes next. It is drawn anew with no more bytes than that takes.
type area struct {
	lines   []string // as they stand there
	columns int      // of the window when they were drawn
}

// What moves the cursor or erases (ECMA-48): up, and to the beginning of the line, as what
// people type is shown where the cursor is; down; to the right; from the cursor to the
// end of the line, or of all.
const (
	toLineAbove = "\r\x1b[%dA"
	toLineBelow = "\x1b[%dB"
	toTheRight  = "\x1b[%dC"
	eraseLine   = "\x1b[K"
	eraseBelow  = "\x1b[J"
)

// erase is what takes the area from a window that has so many columns now.
func (a *area) erase(columns int) string {
	rows := a.rows(columns)
	*a = area{}
	if rows == 0 {
		return ""
	}
	return fmt.Sprintf(toLineAbove, rows) + eraseBelow
}

// rows is how many rows the area takes. A window that became narrower has broken lines
// that have no room.
func (a *area) rows(columns int) (rows int) {
	for _, line := range a.lines {
		rows++
		if columns > 0 && columns < a.columns {
			rows += max(0, printable.Width(line)-1) / columns
		}
	}
	return rows
}

// draw is what makes other lines of those that stand there.
func (a *area) draw(lines []string, columns int) string {
	if columns != a.columns && len(a.lines) > 0 {
		return a.erase(columns) + a.draw(lines, columns)
	}
	var b strings.Builder
	before := a.lines
	a.lines, a.columns = lines, columns
	first := 0
	for first < len(before) && first < len(lines) && before[first] == lines[first] {
		first++
	}
	if first == len(before) && first == len(lines) {
		return ""
	}
	if up := len(before) - first; up > 0 {
		fmt.Fprintf(&b, toLineAbove, up)
	}
	skipped := 0
	for i, line := range lines[first:] {
		was := ""
		if first+i < len(before) {
			if was = before[first+i]; was == line {
				skipped++
				continue
			}
		}
		b.WriteString(down(skipped))
		skipped = 0
		b.WriteString(rewritten(was, line) + "\n")
	}
	b.WriteString(down(skipped))
	if len(lines) < len(before) {
		b.WriteString(eraseBelow)
	}
	return b.String()
}

// down moves the cursor over lines that stay as they are.
func down(lines int) string {
	if lines > 4 {
		return fmt.Sprintf(toLineBelow, lines)
	}
	return strings.Repeat("\n", lines)
}

// rewritten makes one line of another that the cursor is at the beginning of. What they
// begin with in common stays.
func rewritten(was, line string) string {
	text := line
	if same := common(was, line); same > 8 {
		text = fmt.Sprintf(toTheRight, printable.Width(line[:same])) + line[same:]
	}
	if printable.Width(was) > printable.Width(line) {
		text += eraseLine
	}
	return text
}

// common is how many bytes of two lines are the same at their beginning, up to where no
// colour is in use and a character begins that joins none before it.
func common(a, b string) (same int) {
	coloured := false
	for i := 0; i < len(a) && i < len(b) && a[i] == b[i]; {
		size := 1
		if a[i] == '\x1b' {
			size = strings.IndexByte(a[i:], 'm') + 1
			if size == 0 || !strings.HasPrefix(b[i:], a[i:i+size]) {
				break
			}
			coloured = a[i:i+size] != "\x1b[0m"
		}
		if i += size; !coloured && joinsNothing(a[i:]) && joinsNothing(b[i:]) {
			same = i
		}
	}
	return same
}

// joinsNothing reports whether a text is at its end, or begins with a character that
// takes columns.
func joinsNothing(text string) bool {
	r, size := utf8.DecodeRuneInString(text)
	return size == 0 || r < 0x300 || size > 1 && printable.Width(text[:size]) > 0
}
