package knownhosts

import (
	"cmp"
	"slices"
	"strings"
)

// A file may know a thousand hosts, and is asked about each of them: most lines are about
// one name as it stands, and are found by that.

// part is some lines of a file. It never changes.
type part struct {
	file   string
	end    int               // the number of its last line
	named  map[string][]line // by name in lower case
	others []line            // of patterns and hashes, to be tried one after the other
}

// line is one that is about hosts; its key is taken apart when one of them is looked for.
type line struct {
	number   int
	marker   string // "" for none
	patterns string
	rest     string // behind them
}

// newPart takes the lines of a text apart, before which there are so many.
func newPart(file, text string, before int) *part {
	p := &part{file: file, end: before, named: make(map[string][]line, strings.Count(text, "\n"))}
	for one := range strings.Lines(text) {
		p.end++
		if one = strings.TrimLeft(one, " \t"); one == "" || one[0] == '#' || one[0] == '\n' {
			continue
		}
		l := line{number: p.end}
		l.patterns, l.rest = word(one)
		if strings.HasPrefix(l.patterns, "@") {
			l.marker = l.patterns
			l.patterns, l.rest = word(l.rest)
		}
		if strings.ContainsAny(l.patterns, "*?!|") {
			p.others = append(p.others, l)
			continue
		}
		for name := range strings.SplitSeq(strings.ToLower(l.patterns), ",") {
			if same := p.named[name]; len(same) == 0 || same[len(same)-1].number != l.number {
				p.named[name] = append(same, l)
			}
		}
	}
	return p
}

// of are the lines with a marker, or none, about a name in lower case, in their order.
func (p *part) of(name, marker string) (found []line) {
	for _, l := range p.named[name] {
		if l.marker == marker {
			found = append(found, l)
		}
	}
	for _, l := range p.others {
		if l.marker == marker && matches(l.patterns, name) {
			found = append(found, l)
		}
	}
	slices.SortFunc(found, func(a, b line) int { return cmp.Compare(a.number, b.number) })
	return found
}

// word cuts the first word off.
func word(text string) (first, rest string) {
	end := strings.IndexAny(text, " \t\r\n")
	if end < 0 {
		return text, ""
	}
	return text[:end], strings.TrimLeft(text[end:], " \t\r\n")
}
