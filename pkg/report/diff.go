package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/status"
)

// Diff is what a node's host runs beside its configuration.
type Diff struct {
	event.Result
	Found *status.Comparison // nil where the host was not asked
}

// Differs reports whether the host runs another system than the configuration's.
func (d Diff) Differs() bool { return d.Found != nil && !d.Found.Same() }

// Diffs prints how hosts differ from their configuration: nodes of which the same is to
// be said together, and the numbers of all at the end.
func Diffs(out io.Writer, list []Diff, style Style) error {
	var texts []string
	names := map[string][]string{}
	for _, d := range list {
		text := diffText(d, style)
		if names[text] == nil {
			texts = append(texts, text)
		}
		names[text] = append(names[text], style.paint(cyan, label(d.Node)))
	}
	var b strings.Builder
	for _, text := range texts {
		head, rest, _ := strings.Cut(text, "\n")
		fmt.Fprintf(&b, "%s: %s\n%s", and(names[text]), head, rest)
	}
	b.WriteString(diffSummary(list) + "\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// diffText is what is to be said of one node, without its name: a line, and more if there is.
func diffText(d Diff, style Style) string {
	c := d.Found
	switch {
	case c == nil && d.Status == event.Skipped:
		return "has no host: deployment.targetHost is null\n"
	case c == nil && d.Err != nil:
		return style.paint(red, fmt.Sprintf("could not be compared (%s)", d.Step)) + "\n"
	case c == nil:
		return style.paint(yellow, "was not compared") + "\n"
	}
	var b strings.Builder
	switch {
	case c.Same():
		b.WriteString("no difference")
	case c.Host.Current.Path == "":
		b.WriteString("runs no NixOS system" + toCopy(*c))
	case c.Packages != nil:
		b.WriteString(sizesText(*c) + toCopy(*c))
	default:
		b.WriteString("runs another system: " + c.Host.Current.Path + toCopy(*c))
	}
	b.WriteString("\n")
	var rows [][]cell
	if !c.Same() && c.Packages != nil {
		rows = packageRows(*c.Packages)
	}
	for _, why := range c.Unknown {
		rows = append(rows, []cell{plain("  unknown"), {why, yellow}})
	}
	if next := c.Host.Next.Path; next != c.Wanted.Path && next != c.Host.Current.Path {
		rows = append(rows, []cell{plain("  boots"), {another(next), yellow}})
	}
	if reason := c.RebootReason(); reason != "" {
		rows = append(rows, []cell{plain("  reboot"), {reason, yellow}})
	}
	return b.String() + grid(rows, style)
}

func another(path string) string {
	if path == "" {
		return "nothing: there is no system profile"
	}
	return path + ", which is neither the running nor the configured system"
}

// sizesText is the beginning of the line about systems that are known.
func sizesText(c status.Comparison) string {
	d := c.Packages
	var parts []string
	if d.OldNixOS != d.NewNixOS && d.OldNixOS != "" && d.NewNixOS != "" {
		parts = append(parts, "nixos "+d.OldNixOS+" → "+d.NewNixOS)
	}
	return strings.Join(append(parts, fmt.Sprintf("%s → %s", event.Size(d.OldBytes), event.Size(d.NewBytes))), ", ")
}

// toCopy is the end of a line about a system that is to come; "" where it is not known.
func toCopy(c status.Comparison) string {
	if c.Copy == nil {
		return ""
	}
	return fmt.Sprintf(", %s to copy (%s)", event.Size(c.Copy.Bytes), count(c.Copy.Paths, "path"))
}

// packageRows are a row for each package that differs.
func packageRows(d closure.Diff) (rows [][]cell) {
	if n := d.OldPaths + d.NewPaths; n > 0 && len(d.Packages()) == 0 && d.Rebuilt == 0 {
		return [][]cell{{plain("  changed"), plain("the system's own files only")}}
	}
	for _, kind := range []struct {
		what string
		list []closure.Change
		color
	}{{"changed", d.Changed, none}, {"added", d.Added, green}, {"removed", d.Removed, red}} {
		for i, change := range kind.list {
			what := ""
			if i == 0 {
				what = kind.what
			}
			_, versions, _ := strings.Cut(strings.TrimLeft(change.String(), "+- "), " ")
			rows = append(rows, []cell{plain("  " + what), {change.Name, kind.color}, plain(versions), plain(grown(change.Bytes))})
		}
	}
	if d.Rebuilt > 0 {
		rows = append(rows, []cell{plain("  rebuilt"), plain(count(d.Rebuilt, "package") + " of the same version")})
	}
	return rows
}

// noGrowth is how many bytes are not worth telling.
const noGrowth = 8000

// grown says how much larger something is, "" for about nothing.
func grown(bytes int64) string {
	switch {
	case bytes >= noGrowth:
		return "+" + event.Size(bytes)
	case -bytes >= noGrowth:
		return "-" + event.Size(-bytes)
	}
	return ""
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// diffSummary is the numbers in one line.
func diffSummary(list []Diff) string {
	var differ, compared, reboots int
	var bytes int64
	for _, d := range list {
		if d.Found == nil {
			continue
		}
		compared++
		if d.Found.RebootReason() != "" {
			reboots++
		}
		if d.Differs() {
			differ++
		}
		if d.Found.Copy != nil {
			bytes += d.Found.Copy.Bytes
		}
	}
	text := fmt.Sprintf("%d of %d hosts differ from their configuration", differ, len(list))
	switch {
	case differ > 0 || compared < len(list):
	case len(list) == 1:
		text = "the host runs its configuration"
	default:
		text = fmt.Sprintf("all %d hosts run their configuration", len(list))
	}
	if bytes > 0 {
		text += ", " + event.Size(bytes) + " to copy"
	}
	if reboots > 0 {
		text += ", " + count(reboots, "reboot")
	}
	if compared < len(list) {
		text += fmt.Sprintf(", %d not compared", len(list)-compared)
	}
	return text
}

type diffJSON struct {
	Node   string `json:"node"`
	Status string `json:"status"`
	Step   string `json:"step,omitempty"`
	Error  string `json:"error,omitempty"`
	Same   *bool  `json:"same"` // null: the host was not asked
	systemsJSON
	Seconds float64 `json:"seconds"`
}

// DiffsJSON prints the same as one JSON document.
func DiffsJSON(out io.Writer, list []Diff) error {
	results := make([]diffJSON, 0, len(list))
	for _, d := range list {
		item := diffJSON{Node: d.Node, Status: string(d.Status), Step: string(d.Step), systemsJSON: noSystems(), Seconds: seconds(d.Elapsed)}
		if d.Err != nil {
			item.Error = d.Err.Error()
		}
		if c := d.Found; c != nil {
			same := c.Same()
			item.Same, item.Reboot = &same, some(c.RebootParts())
			item.Current, item.Next, item.Wanted = asJSON(c.Host.Current), asJSON(c.Host.Next), asJSON(c.Wanted)
			item.Copy, item.Unknown = copyAsJSON(c.Copy), some(c.Unknown)
			switch {
			case same:
				item.Packages, item.Copy = inJSON(closure.Diff{}), &copyJSON{}
			case c.Packages != nil:
				item.compared(c.Packages, item.Current)
			}
		}
		results = append(results, item)
	}
	return write(out, struct {
		Version int        `json:"version"`
		Results []diffJSON `json:"results"`
	}{DocumentVersion, results})
}
