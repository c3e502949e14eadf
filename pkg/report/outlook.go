package report

import (
	"fmt"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/printable"
)

// How wide the lines of an outlook are, and how much of one thing is shown; JSON has all.
const (
	outlookWidth = 100
	outlookItems = 24
	itemLength   = 300
)

const outlookGap = "   "

// Outlook tells what would be done to each node's host, errors last, and then the numbers.
func Outlook(results []event.Result, style Style) string {
	var b strings.Builder
	width := 0
	for _, r := range results {
		width = max(width, printable.Width(label(r.Node)))
	}
	for _, r := range failuresLast(results) {
		name := label(r.Node)
		prefix := style.paint(cyan, name) + strings.Repeat(" ", width-printable.Width(name)) + "  "
		b.WriteString(prefix + header(r, style) + "\n")
		if r.Outlook != nil {
			for _, row := range rows(r.Outlook, style) {
				row.write(&b, style)
			}
		}
	}
	b.WriteString(prospects(results) + "\n")
	return b.String()
}

// header is what stands behind the name of a node.
func header(r event.Result, style Style) string {
	switch o := r.Outlook; {
	case r.Status == event.Failed && r.Err != nil:
		lines := firstLines(r.Err.Error())
		return style.paint(red, "error") + outlookGap + string(r.Step) + ": " + strings.Join(lines, "\n    ")
	case o == nil && r.Status == event.Skipped:
		return "skipped" + outlookGap + "deployment.targetHost is null"
	case o == nil:
		return string(r.Status)
	case !o.Changes():
		return style.paint(dim, "nothing to do")
	default:
		return strings.Join(append([]string{style.paint(yellow, "changed")}, facts(o)...), outlookGap)
	}
}

// facts are what a line has room for.
func facts(o *plan.Outlook) (list []string) {
	if o.ChangesSystem() {
		was, is := o.Old().NixOS(), o.New.NixOS()
		switch {
		case is == "", was == is:
		case was == "":
			list = append(list, "nixos "+printable.Line(is, itemLength))
		default:
			list = append(list, "nixos "+printable.Line(was, itemLength)+" → "+printable.Line(is, itemLength))
		}
		if o.Copy != nil && o.Copy.Paths > 0 {
			list = append(list, event.Size(o.Copy.Bytes)+" to copy")
		}
	}
	return list
}

// row is what there is to say of one thing.
type row struct {
	title string
	items []string
	color color
}

func (r row) write(b *strings.Builder, style Style) {
	if len(r.items) == 0 {
		return
	}
	if more := len(r.items) - outlookItems; more > 1 {
		r.items = append(r.items[:outlookItems:outlookItems], fmt.Sprintf("… %d more", more))
	}
	const indent = "  "
	column := indent + r.title + strings.Repeat(" ", max(1, 10-len(r.title)))
	b.WriteString(column)
	at := len(column)
	for i, item := range r.items {
		item = printable.Line(item, itemLength)
		length := printable.Width(item)
		switch {
		case i == 0:
		case at+len(outlookGap)+length > outlookWidth:
			b.WriteString("\n" + strings.Repeat(" ", len(column)))
			at = len(column)
		default:
			b.WriteString(outlookGap)
			at += len(outlookGap)
		}
		b.WriteString(style.paint(r.color, item))
		at += length
	}
	b.WriteByte('\n')
}

// rows are what stands below a node's line.
func rows(o *plan.Outlook, style Style) []row {
	list := []row{{"!", foreign(o), yellow}}
	if o.Changes() {
		list = append(list, row{"packages", packages(o.Packages), none}, row{"units", append(units(o.Units), jobs(o.Jobs)...), none}, row{"keys", keysAhead(o.Keys), none})
	}
	list = append(list, row{"reboot", rebootAhead(o), none})
	if o.Changes() {
		list = append(list, row{"unknown", o.Unknown, dim})
	}
	return list
}

func foreign(o *plan.Outlook) (list []string) {
	for _, f := range o.Foreign {
		switch {
		case f.Runs && f.Boots:
			list = append(list, "the profile is not ours: "+f.Path)
		case f.Boots:
			list = append(list, "the profile is not ours: "+f.Path+" (set by boot)")
		default:
			list = append(list, "it runs a system that is not ours: "+f.Path+" (set by test)")
		}
	}
	return list
}

func packages(d *closure.Diff) (list []string) {
	if d == nil {
		return nil
	}
	for _, change := range d.Packages() {
		list = append(list, change.String())
	}
	if len(list) == 0 && d.Rebuilt > 0 {
		list = []string{fmt.Sprintf("%d rebuilt, in the same versions", d.Rebuilt)}
	}
	return list
}

func units(u *plan.Units) (list []string) {
	if u == nil {
		return nil
	}
	for _, group := range []struct {
		verb  string
		names []string
	}{{"stop", u.Stop}, {"restart", u.Restart}, {"reload", u.Reload}, {"start", u.Start}, {"leave as it runs", u.Keep}} {
		for _, name := range group.names {
			list = append(list, group.verb+" "+name)
		}
	}
	return list
}

// jobs are those of units whose keys change.
func jobs(list plan.Jobs) (items []string) {
	for _, job := range list {
		why := "left to do by an earlier run"
		if len(job.Keys) > 0 {
			why = counted(len(job.Keys), "key")
			if len(job.Keys) == 1 {
				why = "key " + label(job.Keys[0])
			}
		}
		items = append(items, fmt.Sprintf("%s %s (%s)", job.What(), job.Unit, why))
	}
	return items
}

// keysAhead are the keys of which there is something to say.
func keysAhead(keys []plan.KeyOutlook) (list []string) {
	for _, k := range keys {
		name, note := label(k.Name), ""
		if k.Note != "" {
			note = " (" + k.Note + ")"
		}
		switch {
		case k.Change == plan.Skipped:
			list = append(list, "not "+name+note)
		case k.Change == plan.Removed:
			list = append(list, "- "+name+" ("+k.Path+")")
		case k.New:
			list = append(list, "+ "+name+note)
		case k.Change == plan.Changed:
			list = append(list, "~ "+name+" ("+strings.Join(k.Differs, ", ")+")"+note)
		case k.Change == plan.Mended:
			list = append(list, and(k.Differs)+" of "+name+note)
		}
	}
	return list
}

// rebootAhead says whether the host is rebooted, or should be.
func rebootAhead(o *plan.Outlook) []string {
	switch {
	case o.Reboots && o.Due != "":
		return []string{"now: " + o.Due}
	case o.Reboots:
		return []string{"now"}
	case o.Due == "":
		return nil
	case o.Changes():
		return []string{o.Due}
	}
	return []string{"waits for one already: " + o.Due}
}

// prospects are the numbers of an outlook in one line.
func prospects(results []event.Result) string {
	changed, reboots, bytes := 0, 0, int64(0)
	for _, r := range results {
		if r.Outlook == nil || !r.Outlook.Changes() {
			continue
		}
		changed++
		if r.Outlook.WantsReboot() {
			reboots++
		}
		if r.Outlook.Copy != nil {
			bytes += r.Outlook.Copy.Bytes
		}
	}
	count := countOf(results)
	text := ""
	switch {
	case len(results) == 0:
		return "there are no nodes, so there is nothing to do"
	case changed == 0 && count[event.Succeeded] == len(results):
		return fmt.Sprintf("nothing to do: %s as wanted", times(len(results), "node is", "nodes are"))
	default:
		text = fmt.Sprintf("%d of %s would change", changed, times(len(results), "node", "nodes"))
	}
	if bytes > 0 {
		text += ", " + event.Size(bytes)
	}
	if reboots > 0 {
		text += ", " + times(reboots, "reboot", "reboots")
	}
	for _, part := range []struct {
		status    event.Status
		one, many string
	}{{event.Failed, "error", "errors"}, {event.Skipped, "skipped", "skipped"}, {event.Cancelled, "cancelled", "cancelled"}} {
		if n := count[part.status]; n > 0 {
			text += ", " + times(n, part.one, part.many)
		}
	}
	return text
}

func times(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
