package report

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/printable"
)

// reason is why nodes failed, all of them in the same step and with the same
// words, but for what each calls its own.
type reason struct {
	first event.Result // whose words are shown
	nodes []string     // as they are shown
	names []string
	alike bool // every node's words are the same to the letter
}

// How much is shown: of one reason and of its lines, of a line of output, and of
// all last output.
const (
	reasonLines  = 24
	reasonLength = 1200
	lineLength   = 400
	tailLines    = 60
)

// reasons shows each reason once, with the nodes that share it and the last
// output of the first of them.
func reasons(results []event.Result, view View) string {
	var b strings.Builder
	groups := grouped(results)
	if len(groups) == 0 {
		return ""
	}
	for _, g := range groups {
		fmt.Fprintf(&b, "\n%s: failed (%s):\n", view.Style.paint(red, and(g.nodes)), g.first.Step)
		for _, line := range firstLines(g.first.Err.Error()) {
			fmt.Fprintf(&b, "  %s\n", line)
		}
		if !g.alike {
			fmt.Fprintf(&b, "  (as %s says it; the others differ only in names, addresses and hashes)\n", label(g.first.Node))
		}
		tail := unsaid(g.first.Tail, g.first.Err)
		tail = tail[max(0, len(tail)-max(4, tailLines/len(groups))):]
		if len(tail) > 0 {
			fmt.Fprintf(&b, "  the last output of %s on %s:\n", g.first.Step, label(g.first.Node))
		}
		for _, line := range tail {
			fmt.Fprintf(&b, "  | %s\n", view.Style.paint(dim, printable.Line(line, lineLength)))
		}
		if view.logOf != nil {
			b.WriteString("  " + whereAllIs(view.logOf(g.first.Node)) + "\n")
		}
	}
	b.WriteByte('\n')
	return b.String()
}

// whereAllIs names the log; "" is one that could not be written.
func whereAllIs(log string) string {
	if log == "" {
		return "what was said is not kept: its log cannot be written (see XDG_STATE_HOME)"
	}
	return "full log: " + printable.Text(log)
}

// unsaid is the last output without the end that the error repeats.
func unsaid(tail []string, err error) []string {
	text := err.Error()
	for len(tail) > 0 && strings.Contains(text, strings.TrimPrefix(strings.TrimSpace(tail[len(tail)-1]), "error: ")) {
		tail = tail[:len(tail)-1]
	}
	return tail
}

func grouped(results []event.Result) []*reason {
	var groups []*reason
	byWords := map[string]*reason{}
	for _, r := range results {
		if r.Status != event.Failed || r.Err == nil {
			continue
		}
		words := string(r.Step) + "\x00" + withoutOwn(r)
		g := byWords[words]
		if g == nil {
			g = &reason{first: r, alike: true}
			byWords[words], groups = g, append(groups, g)
		}
		g.nodes, g.names = append(g.nodes, label(r.Node)), append(g.names, r.Node)
		g.alike = g.alike && r.Err.Error() == g.first.Err.Error()
	}
	// What concerns the most nodes comes last, where it is seen, but for what only
	// follows from it.
	slices.SortStableFunc(groups, func(a, b *reason) int {
		if f := follows(a.first.Err) - follows(b.first.Err); f != 0 {
			return -f
		}
		return len(a.nodes) - len(b.nodes)
	})
	return groups
}

// follows is 1 for an error that says less than that of other nodes.
func follows(err error) int {
	var consequence interface{ Consequence() bool }
	if errors.As(err, &consequence) && consequence.Consequence() {
		return 1
	}
	return 0
}

// storePath is a path in the store; its hash and its name are groups.
var storePath = regexp.MustCompile(`/nix/store/([0-9a-z]{32})-([A-Za-z0-9+._?=-]+)`)

// valueInQuotes is a value as our errors quote it.
var valueInQuotes = regexp.MustCompile(`"(?:[^"\\\n]|\\.)*"`)

// withoutOwn is the error of a node with a mark in the place of the node's own
// name, address and system, and of the hashes of store paths. A value in quotes that
// is more than one of these stays: its user wrote one for each node, and has to see each.
func withoutOwn(r event.Result) string {
	inPath := regexp.MustCompile(`(-|^)` + regexp.QuoteMeta(r.Node) + `([-.]|$)`)
	text := storePath.ReplaceAllStringFunc(r.Err.Error(), func(path string) string {
		return "/nix/store/" + inPath.ReplaceAllString(storePath.FindStringSubmatch(path)[2], "$1\x001$2")
	})
	own := []string{r.Toplevel, r.Node, r.Host}
	var ofHost interface{ Own() []string } // an error that knows its host's addresses
	if errors.As(r.Err, &ofHost) {
		own = slices.Concat(own[:1], ofHost.Own(), own[1:])
	}
	marked := func(text string, within bool) string {
		for i, name := range own {
			if name != "" && (!within || text == name) {
				text = hive.WithoutName(text, name, fmt.Sprintf("\x00%d", min(i, 1)))
			}
		}
		return text
	}
	var b strings.Builder
	at := 0
	for _, value := range valueInQuotes.FindAllStringIndex(text, -1) {
		b.WriteString(marked(text[at:value[0]+1], false) + marked(text[value[0]+1:value[1]-1], true))
		at = value[1] - 1
	}
	return b.String() + marked(text[at:], false)
}

// firstLines bounds an error: its first lines, and how many there are more.
func firstLines(text string) []string {
	lines := strings.Split(strings.TrimSpace(printable.Text(text)), "\n")
	if more := len(lines) - reasonLines; more > 1 {
		lines = append(lines[:reasonLines:reasonLines], fmt.Sprintf("… %d more lines, above", more))
	}
	for i, line := range lines {
		lines[i] = printable.Line(line, reasonLength)
	}
	return lines
}
