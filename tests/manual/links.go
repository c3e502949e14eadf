package manual

import (
	"regexp"
	"strings"
)

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// links are those of a page to other pages.
func links(text string) (list []string) {
	for _, m := range link.FindAllStringSubmatch(text, -1) {
		if !strings.Contains(m[1], "://") {
			list = append(list, m[1])
		}
	}
	return list
}

var notInAnchors = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// anchors are the names that headings have in links.
func anchors(text string) (list []string) {
	fenced := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		words := strings.TrimLeft(line, "#")
		if fenced || words == line || !strings.HasPrefix(words, " ") {
			continue
		}
		name := notInAnchors.ReplaceAllString(strings.ToLower(strings.TrimSpace(words)), "")
		list = append(list, strings.ReplaceAll(name, " ", "-"))
	}
	return list
}
