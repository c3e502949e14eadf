package knownhosts

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

// A file may know a thousand hosts, and is asked about each of them: most lines are about
// one name as it stands, and are found by that.

// part is some lines of a file. What it says never changes.
type part struct {
	file   string
	end    int               // the number of its last line
	named  map[string][]line // by name in lower case
	others []line            // of patterns and hashes, to be tried one after the other

	mu    sync.Mutex
	found map[string][]line // by name, of those that were asked about; see about
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
	for _, l := range p.about(name) {
		if l.marker == marker {
			found = append(found, l)
		}
	}
	return found
}

// about are all lines about a name, in their order. A hash can only be tried, which takes
// a thousand hosts a million tries for each question: so what was found is kept.
func (p *part) about(name string) []line {
	if len(p.others) == 0 {
		return p.named[name]
	}
	p.mu.Lock()
	found, asked := p.found[name]
	p.mu.Unlock()
	if asked {
		return found
	}
	found = slices.Clone(p.named[name])
	for _, l := range p.others {
		if matches(l.patterns, name) {
			found = append(found, l)
		}
	}
	slices.SortFunc(found, func(a, b line) int { return cmp.Compare(a.number, b.number) })
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found == nil {
		p.found = map[string][]line{}
	}
	p.found[name] = found
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
