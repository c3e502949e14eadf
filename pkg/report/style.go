package report

// Style says whether to use colour.
type Style bool

// color is an SGR parameter (ECMA-48).
type color string

const (
	none   color = ""
	dim    color = "2"
	red    color = "31"
	green  color = "32"
	yellow color = "33"
	cyan   color = "36"
)

func (s Style) paint(c color, text string) string {
	if !s || c == none || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}
