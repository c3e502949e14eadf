package closure

import (
	"slices"
	"strconv"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/printable"
)

// Between is what stands between two changes in a line.
const Between = "   "

// mostVersions of a package are named in a text.
const mostVersions = 4

// String is the change in a few words: nginx 1.26.1 → 1.26.2, + htop 3.3, - nano 7.2.
func (c Change) String() string {
	switch {
	case len(c.Old) == 0:
		return "+ " + c.Name + " " + versions(c.New)
	case len(c.New) == 0:
		return "- " + c.Name + " " + versions(c.Old)
	}
	return c.Name + " " + versions(c.Old) + " → " + versions(c.New)
}

func versions(list []string) string {
	if len(list) > mostVersions {
		list = append(slices.Clone(list[:mostVersions-1]), "…")
	}
	return strings.Join(list, ", ")
}

// Packages are all changes of packages: those that changed, came, and went.
func (d Diff) Packages() []Change { return slices.Concat(d.Changed, d.Added, d.Removed) }

// Line is what became of packages in one line of at most width columns, however many
// there are: "nginx 1.26.1 → 1.26.2   + htop 3.3   … 12 more". It is "" where no package
// differs in its version.
func (d Diff) Line(width int) string {
	all := d.Packages()
	text, columns := "", 0
	for i, change := range all {
		next := change.String()
		if i > 0 {
			next = Between + next
		}
		rest := len(all) - i - 1
		room := width - columns - printable.Width(next)
		if room < 0 || rest > 0 && room < printable.Width(more(rest)) {
			return strings.TrimPrefix(text+more(rest+1), Between)
		}
		text += next
		columns += printable.Width(next)
	}
	return text
}

func more(n int) string { return Between + "… " + strconv.Itoa(n) + " more" }
