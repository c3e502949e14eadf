package manual

import (
	"regexp"
	"strings"
)

// anything is what stands for any text in what a page says is printed.
const anything = "…"

// missing is the first line of want that is not printed, in its order; "" if all
// are. White space is compared as one blank.
func missing(want []string, printed string) string {
	rest := strings.Split(printed, "\n")
	for _, line := range want {
		if strings.TrimSpace(line) == anything {
			continue
		}
		at := index(rest, pattern(line))
		if at < 0 {
			return line
		}
		rest = rest[at+1:]
	}
	return ""
}

func index(lines []string, p *regexp.Regexp) int {
	for i, line := range lines {
		if p.MatchString(plain(line)) {
			return i
		}
	}
	return -1
}

// pattern matches a line as a page shows it.
func pattern(line string) *regexp.Regexp {
	parts := strings.Split(plain(line), anything)
	for i, part := range parts {
		parts[i] = regexp.QuoteMeta(part)
	}
	return regexp.MustCompile("^" + strings.Join(parts, ".*") + "$")
}

// plain is a line with one blank for each gap.
func plain(line string) string { return strings.Join(strings.Fields(line), " ") }
