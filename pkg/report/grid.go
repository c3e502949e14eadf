package report

import (
	"strings"
	"unicode/utf8"
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
func grid(rows [][]cell, style Style) string {
	var widths []int
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if i < len(row)-1 {
				widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
			}
		}
	}
	var b strings.Builder
	for _, row := range rows {
		line := ""
		for i, c := range row {
			line += style.paint(c.color, c.text)
			if i < len(row)-1 {
				line += strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)) + gap
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}
