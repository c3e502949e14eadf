package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/printable"
	"github.com/colmena-go/colmena-go/pkg/record"
)

//go:embed page.html.tmpl
var pageTemplate string

//go:embed page.css
var pageStyle string

var pageForm = template.Must(template.New("page").Parse(pageTemplate))

// page is what the template shows. Its texts are fit to be shown; that they are no
// HTML is the template's business.
type page struct {
	Style    template.CSS
	Policy   string // Content-Security-Policy: nothing is loaded, and nothing runs
	Title    string
	Command  string
	Goal     string
	Outcome  string
	Error    []string // why the run as a whole ended so
	Begin    string
	Took     string
	Version  string
	Counts   []pageCount
	Reasons  []pageReason
	Nodes    []pageNode
	Ticks    []pageTick
	Kinds    []pageKind // of bars that there are
	Packages []pagePackage
	More     int // packages that are left out
	Changes  []pageChange
	Warnings []string // of the run as a whole
}

type pageCount struct {
	Status string
	Nodes  int
}

// pageReason is why nodes failed.
type pageReason struct {
	Nodes  pageLinks
	Step   string
	Text   []string
	Output []string
	Of     string // the node whose words they are, "" if all say the same
}

type pageLink struct{ ID, Name string }

// pageKind is a line of the legend.
type pageKind struct{ Class, Name string }

// pageTick is a mark of the time axis; At is in percent of its width.
type pageTick struct{ At, Text string }

// pagePackage is a change of a package, and on which nodes.
type pagePackage struct {
	Text  string
	Nodes pageLinks
}

// pageChange is what became of a key.
type pageChange struct {
	Key, Path, Change string
	Nodes             pageLinks
}

// pageLinks are nodes, of many the first.
type pageLinks struct {
	First []pageLink
	More  int
}

// mostLinks is how many nodes are named beside something that is of all of them.
const mostLinks = 20

func (l pageLinks) count() int { return len(l.First) + l.More }

func (l *pageLinks) add(id, name string) {
	if len(l.First) == mostLinks {
		l.More++
		return
	}
	l.First = append(l.First, pageLink{id, label(name)})
}

// Page writes a run that ended as one page of HTML, which needs nothing else.
func Page(out io.Writer, r *record.Record) error {
	results := r.Results(r.End)
	p := page{
		Style: template.CSS(pageStyle), Policy: policy(pageStyle), Command: r.Command, Goal: string(r.Goal), Outcome: string(r.Outcome),
		Begin: r.Begin.UTC().Format("2 January 2006, 15:04:05 UTC"), Took: duration(r.End.Sub(r.Begin)), Version: r.Version,
	}
	p.Title = "colmena-go " + p.Command + ": " + p.Outcome
	if r.Error != "" {
		p.Error = firstLines(r.Error)
	}
	count := countOf(results)
	for _, status := range endings {
		if count[status] > 0 {
			p.Counts = append(p.Counts, pageCount{string(status), count[status]})
		}
	}
	ids := map[string]string{}
	for i, n := range r.Nodes {
		ids[n.Name] = fmt.Sprintf("node-%d", i+1)
	}
	for i, n := range r.Nodes {
		p.Nodes = append(p.Nodes, newPageNode(ids[n.Name], n, results[i], r))
	}
	slices.SortStableFunc(p.Nodes, func(a, b pageNode) int { return a.rank - b.rank })
	p.Reasons = pageReasons(results, ids)
	p.Packages, p.More = pagePackages(r, results, ids)
	p.Changes = pageChanges(results, ids)
	p.Ticks = ticks(r.End.Sub(r.Begin))
	p.Kinds = kindsIn(r)
	p.Warnings = runWarnings(r)
	return pageForm.Execute(out, p)
}

// policy allows the one style sheet, known by its digest, and nothing else.
func policy(style string) string {
	digest := sha256.Sum256([]byte(style))
	return "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'"
}

func pageReasons(results []event.Result, ids map[string]string) (list []pageReason) {
	groups := grouped(results)
	slices.Reverse(groups) // here what concerns most comes first
	for _, g := range groups {
		reason := pageReason{Step: string(g.first.Step), Text: firstLines(g.first.Err.Error())}
		for _, name := range g.names {
			reason.Nodes.add(ids[name], name)
		}
		if !g.alike {
			reason.Of = label(g.first.Node)
		}
		for _, line := range unsaid(g.first.Tail, g.first.Err) {
			reason.Output = append(reason.Output, printable.Line(line, lineLength))
		}
		list = append(list, reason)
	}
	return list
}

// mostPackages is how many the page shows of all nodes together.
const mostPackages = 300

// pagePackages are the changes of packages, and how many are left out.
func pagePackages(r *record.Record, results []event.Result, ids map[string]string) (list []pagePackage, more int) {
	at := map[string]int{}
	for i, n := range r.Nodes {
		for _, text := range packages(packagesOf(n, results[i])) {
			where, known := at[text]
			if !known {
				where = len(list)
				at[text], list = where, append(list, pagePackage{Text: printable.Line(text, itemLength)})
			}
			list[where].Nodes.add(ids[n.Name], n.Name)
		}
	}
	slices.SortStableFunc(list, func(a, b pagePackage) int { return b.Nodes.count() - a.Nodes.count() })
	more = max(0, len(list)-mostPackages)
	return list[:len(list)-more], more
}

// pageChanges are the keys that did not stay as they were, and on which nodes.
func pageChanges(results []event.Result, ids map[string]string) (list []pageChange) {
	at := map[string]int{}
	for _, change := range event.Changes {
		if change == "unchanged" {
			continue
		}
		for _, r := range results {
			for _, key := range r.Keys {
				if key.Change != change {
					continue
				}
				same := strings.Join([]string{string(change), key.Name, key.Path}, "\x00")
				if _, known := at[same]; !known {
					at[same] = len(list)
					list = append(list, pageChange{Key: label(key.Name), Path: printable.Text(key.Path), Change: string(change)})
				}
				list[at[same]].Nodes.add(ids[r.Node], r.Node)
			}
		}
	}
	return list
}

// ticks are round times on an axis of that length.
func ticks(whole time.Duration) (list []pageTick) {
	if whole <= 0 {
		return nil
	}
	const most = 6
	step := 100 * time.Millisecond
	for _, factor := range []time.Duration{2, 5, 10, 20, 50, 100, 150, 300, 600, 1200, 3000, 6000, 9000, 18000, 36000, 72000, 144000, 432000} {
		if whole/step < most {
			break
		}
		step = factor * 100 * time.Millisecond
	}
	for at := time.Duration(0); at < whole && len(list) < 20; at += step {
		list = append(list, pageTick{percent(at, whole), duration(at)})
	}
	return list
}

// percent is a part of the whole, as SVG has it.
func percent(part, whole time.Duration) string {
	if whole <= 0 {
		return "0%"
	}
	return fmt.Sprintf("%.3f%%", 100*min(1, max(0, float64(part)/float64(whole))))
}

// duration is how long something took, as one reads it: 0.3 s, 42 s, 3:07 min.
func duration(d time.Duration) string {
	switch d = d.Round(100 * time.Millisecond); {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d:%02d min", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d:%02d h", int(d.Hours()), int(d.Minutes())%60)
}
