package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
)

// table is how every node ended, failures last; then the reasons, each once;
// then the numbers, and how to do the rest.
func table(results []event.Result, view View) string {
	results = failuresLast(results)
	if len(results) == 0 {
		return summary(results) + "\n"
	}
	return tabled(results) + ending(results, view)
}

// tabled are the results in rows, with a heading.
func tabled(results []event.Result) string {
	rows := [][]cell{{plain("NODE"), plain("RESULT"), plain("KEYS"), plain("TIME")}}
	for _, r := range results {
		rows = append(rows, []cell{plain(label(r.Node)), plain(outcome(r)), plain(keys(r.Keys)), plain(r.Elapsed.Round(10 * time.Millisecond).String())})
	}
	return grid(rows, false)
}

// ending is what stands below the table.
func ending(results []event.Result, view View) string {
	var b strings.Builder
	b.WriteString(reasons(results, view))
	if what := changes(results); what != "" && !view.Live {
		fmt.Fprintln(&b, what)
	}
	fmt.Fprintln(&b, view.summary(results))
	b.WriteString(theRest(results, view))
	return b.String()
}

// besideTable is what a table that has a line for each failure does not tell.
func besideTable(results []event.Result, view View) string {
	long := slices.DeleteFunc(slices.Clone(results), func(r event.Result) bool {
		return r.Err == nil || !strings.Contains(r.Err.Error(), "\n")
	})
	return reasons(long, view) + theRest(results, view)
}

// theRest is the command line that does again what is not done.
func theRest(results []event.Result, view View) string {
	var rest []string
	for _, r := range results {
		if !done(r.Status) && !(r.Status == left && rebooting(r.Step)) { // which would be rebooted twice
			rest = append(rest, r.Node)
		}
	}
	if len(rest) == 0 || view.Again == nil {
		return ""
	}
	slices.Sort(rest)
	return "again: " + view.Again(rest) + "\n"
}

func done(status event.Status) bool {
	return status == event.Succeeded || status == event.Skipped
}

// failuresLast keeps the order of the nodes apart from that.
func failuresLast(results []event.Result) []event.Result {
	sorted := slices.Clone(results)
	rank := map[event.Status]int{event.Cancelled: 1, left: 2, event.Failed: 3}
	slices.SortStableFunc(sorted, func(a, b event.Result) int { return rank[a.Status] - rank[b.Status] })
	return sorted
}

// outcome is a node's result in a few words.
func outcome(r event.Result) string {
	switch {
	case r.Status == left:
		return fmt.Sprintf("%s (%s)", r.Status, doing[r.Step])
	case r.Status == event.Failed:
		return fmt.Sprintf("%s (%s)", r.Status, r.Step)
	case r.RebootNeeded:
		return "reboot needed"
	case r.Rebooted && r.Status == event.Succeeded:
		return "rebooted"
	}
	return string(r.Status)
}

// keys says what became of a node's keys.
func keys(list []event.KeyResult) string {
	if len(list) == 0 {
		return "-"
	}
	return event.CountKeys(list)
}

func countOf(results []event.Result) map[event.Status]int {
	count := map[event.Status]int{}
	for _, r := range results {
		count[r.Status]++
	}
	return count
}

// summary is the numbers where those that went well are not yet told.
func (v View) summary(results []event.Result) string {
	text := summary(results)
	well := fmt.Sprintf("%d of %d nodes succeeded, ", countOf(results)[event.Succeeded], len(results))
	if rest, cut := strings.CutPrefix(text, well); v.Live && cut && !strings.HasPrefix(well, "0 ") {
		return rest
	}
	return text
}

// summary is the numbers in one line.
func summary(results []event.Result) string {
	count := countOf(results)
	switch {
	case len(results) == 0:
		return "there are no nodes, so nothing was done"
	case count[event.Skipped] == len(results):
		return fmt.Sprintf("0 of %d nodes succeeded, %[1]d skipped: none has a deployment.targetHost, so nothing was deployed", len(results))
	}
	text := fmt.Sprintf("%d of %d nodes succeeded", count[event.Succeeded], len(results))
	for _, status := range []event.Status{event.Failed, event.Skipped, event.Cancelled, left} {
		if count[status] > 0 {
			text += fmt.Sprintf(", %d %s", count[status], status)
		}
	}
	return text
}
