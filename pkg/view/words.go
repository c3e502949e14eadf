package view

import (
	"fmt"
	"strings"
	"time"
)

// colourCode is an SGR parameter (ECMA-48).
type colourCode string

const (
	none   colourCode = ""
	bold   colourCode = "1"
	dim    colourCode = "2"
	red    colourCode = "31"
	green  colourCode = "32"
	yellow colourCode = "33"
	cyan   colourCode = "36"
)

func (p *picture) paint(c colourCode, text string) string {
	if !p.look.Colour || c == none || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// bar is a bar of so many columns and a space, "" of none.
func (p *picture) bar(done, total int64, columns int) string {
	if columns <= 0 || total <= 0 {
		return ""
	}
	full := int(float64(min(max(done, 0), total)) / float64(total) * float64(columns))
	return p.paint(cyan, strings.Repeat("█", full)) + p.paint(dim, strings.Repeat("░", columns-full)) + " "
}

// Clock is a time as clocks show it: 0:07, 12:34, 1:02:03.
func Clock(d time.Duration) string {
	s := int(max(0, d) / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
