package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/printable"
	"github.com/colmena-go/colmena-go/pkg/record"
)

// pageNode is a node on the page: a row of the fleet, one of the timeline, and what is
// to be known of it.
type pageNode struct {
	ID, Name, Host   string
	Status, Outcome  string // for the style, and in words
	Toplevel, Before string // the system, and what the host ran before it
	Error            []string
	Ahead            []pageRow // what would change, or was said to change
	Keys, Took, Sent string
	Builds           int64
	Bars             []pageBar
	Course           string // the bars in words
	Steps            []pageStep
	KeyRows          []pageKey
	Said             []pageLine
	Dropped          int
	rank             int
}

// pageBar is a stretch of the timeline, in percent of its width.
type pageBar struct{ Class, At, Width, Title string }

type pageStep struct {
	Kind, Status, Text          string
	Begin, Waited, Took, Copied string
	Builds                      int64
}

type pageRow struct {
	Title string
	Items []string
}

type pageKey struct{ Name, Path, Change, Note string }

type pageLine struct{ Kind, Text string }

func newPageNode(id string, n *record.Node, result event.Result, r *record.Record) pageNode {
	sum := n.Sum(r.End)
	p := pageNode{
		ID: id, Name: label(n.Name), Host: printable.Text(result.Host), Status: string(result.Status), Outcome: outcome(result),
		Toplevel: printable.Text(result.Toplevel), Keys: keys(result.Keys), Took: duration(result.Elapsed), Sent: copied(sum.Bytes, sum.Paths), Builds: sum.Builds,
		Dropped: n.Dropped, rank: slices.Index([]event.Status{event.Failed, left, event.Cancelled}, result.Status),
	}
	if result.Status == event.Succeeded && result.RebootNeeded {
		p.Status = "reboot-needed"
	}
	if o := result.Outlook; o != nil && result.Status == event.Succeeded {
		p.Status, p.Outcome = "skipped", "nothing to do"
		if o.Changes() {
			p.Status, p.Outcome = "changed", "would change"
		}
	}
	if p.rank < 0 {
		p.rank = 3
	}
	if result.Err != nil {
		p.Error = firstLines(result.Err.Error())
	}
	if p.Before = printable.Text(result.Before); p.Before == p.Toplevel {
		p.Before = ""
	}
	p.Ahead = ahead(n, result)
	var words []string
	for _, s := range n.Steps {
		p.step(s, r)
		if !s.Begin.IsZero() {
			words = append(words, fmt.Sprintf("%s %s", s.Kind, duration(s.Took(r.End))))
		}
	}
	p.Course = strings.Join(words, ", ")
	for _, key := range result.Keys {
		p.KeyRows = append(p.KeyRows, pageKey{label(key.Name), printable.Text(key.Path), string(key.Change), printable.Text(key.Note)})
	}
	for _, line := range n.Said {
		p.Said = append(p.Said, pageLine{kinds[line.Kind], printable.Text(line.Text)})
	}
	return p
}

// outlookOf is what was found out of a node before it was done, nil for nothing.
func outlookOf(n *record.Node, result event.Result) *plan.Outlook {
	if result.Outlook != nil {
		return result.Outlook
	}
	return n.Outlook
}

// packagesOf are those that changed on the node's host, or would.
func packagesOf(n *record.Node, result event.Result) *closure.Diff {
	if o := outlookOf(n, result); o != nil && result.Packages == nil {
		return o.Packages
	}
	return result.Packages
}

// ahead is what changed on the node's host, or would, where that was found out.
func ahead(n *record.Node, result event.Result) (list []pageRow) {
	o := outlookOf(n, result)
	all := []row{{"packages", packages(result.Packages), none}}
	if o != nil {
		all = append([]row{{"system", facts(o), none}}, rows(o, false)...)
	}
	all = append(all, row{"units of keys", jobsDone(result.Units), none})
	for _, r := range all {
		if len(r.items) == 0 {
			continue
		}
		shown := pageRow{Title: r.title}
		for i, item := range r.items {
			if i == mostItems {
				shown.Items = append(shown.Items, fmt.Sprintf("… %d more", len(r.items)-i))
				break
			}
			shown.Items = append(shown.Items, printable.Line(item, itemLength))
		}
		list = append(list, shown)
	}
	return list
}

// jobsDone is what became of units of changed keys.
func jobsDone(units []plan.UnitResult) (items []string) {
	for _, u := range units {
		item := u.Unit + ": " + u.What() + " " + string(u.Outcome)
		if u.Note != "" {
			item += ", " + u.Note
		}
		items = append(items, item)
	}
	return items
}

// mostItems is how many of one kind a node shows.
const mostItems = 200

// step adds a row and its bars.
func (p *pageNode) step(s record.Step, r *record.Record) {
	whole := r.End.Sub(r.Begin)
	bar := func(class string, from time.Time, took time.Duration, what string) {
		p.Bars = append(p.Bars, pageBar{Class: class, At: percent(from.Sub(r.Begin), whole), Width: percent(took, whole), Title: what + ": " + duration(took)})
	}
	row := pageStep{Kind: string(s.Kind), Status: string(s.State), Text: printable.Line(s.Text, lineLength),
		Begin: duration(s.Began().Sub(r.Begin)), Took: duration(s.Took(r.End)), Copied: copied(s.Bytes(), s.Paths), Builds: s.Builds()}
	if !s.Queued.IsZero() {
		row.Waited = duration(s.Waited)
		bar("waiting", s.Queued, s.Waited, "waiting")
	}
	if !s.Begin.IsZero() {
		class := "step-" + string(s.Kind)
		if s.State == record.Failed {
			class += " failed"
		}
		bar(class, s.Begin, s.Took(r.End), string(s.Kind))
	}
	p.Steps = append(p.Steps, row)
}

// copied says how much was, "" for nothing.
func copied(bytes int64, paths int) string {
	if bytes == 0 {
		return ""
	}
	if paths == 0 {
		return event.Size(bytes)
	}
	if paths == 1 {
		return event.Size(bytes) + " in 1 path"
	}
	return fmt.Sprintf("%s in %d paths", event.Size(bytes), paths)
}

// kindsIn are the kinds of steps that any node took, in the order in which nodes meet
// them.
func kindsIn(r *record.Record) (list []pageKind) {
	seen := map[plan.StepKind]bool{}
	waited := false
	for _, n := range r.Nodes {
		for _, s := range n.Steps {
			seen[s.Kind] = seen[s.Kind] || !s.Begin.IsZero()
			waited = waited || !s.Queued.IsZero()
		}
	}
	for _, kind := range plan.StepKinds {
		if seen[kind] {
			list = append(list, pageKind{"step-" + string(kind), string(kind)})
		}
	}
	if waited {
		list = append(list, pageKind{"waiting", "waiting for a slot"})
	}
	return list
}

// runWarnings are those of the run as a whole, of which some name nodes.
func runWarnings(r *record.Record) (list []string) {
	for _, line := range r.Said {
		var entry map[string]any
		if json.Unmarshal([]byte(line.Text), &entry) != nil || entry["level"] != "warn" && entry["level"] != "error" {
			continue
		}
		text, _ := entry["message"].(string)
		list = append(list, printable.Text(about(entry)+text))
	}
	return list
}
