package report

import (
	"math"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/printable"
)

// cell is one of a table.
type cell struct {
	text  string
	color color
}

func plain(text string) cell { return cell{text, none} }

// gap is what stands between two columns.
const gap = "  "

// grid lays cells out in columns. The last cell of a row may be as long as it likes and
// makes no column wider.
func grid(rows [][]cell, style Style) string { return gridWithin(rows, style, math.MaxInt) }

// gridWithin is [grid] for a window: what has no room in so many columns is cut off.
func gridWithin(rows [][]cell, style Style, columns int) string {
	widths := columnWidths(rows)
	var b strings.Builder
	for _, row := range rows {
		line, room := "", columns
		for i, c := range row {
			text := printable.Fit(c.text, room)
			line += style.paint(c.color, text)
			room -= printable.Width(text)
			if i < len(row)-1 {
				space := min(room, widths[i]-printable.Width(c.text)+len(gap))
				line += strings.Repeat(" ", max(0, space))
				room -= space
			}
			if room <= 0 {
				break
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

func columnWidths(rows [][]cell) (widths []int) {
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if i < len(row)-1 {
				widths[i] = max(widths[i], printable.Width(c.text))
			}
		}
	}
	return widths
}
