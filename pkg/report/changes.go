package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/view"
)

// changes is what the nodes that succeeded changed on their hosts, "" where the goal is
// to change none.
func changes(results []event.Result) string {
	var systems, changed, mended, removed, rebooted, restarted, reloaded, wanting, hosts int
	var goal hive.Goal
	for _, r := range results {
		if r.Status != event.Succeeded {
			continue
		}
		if goal = r.Goal; goal.Activates() && goal != hive.DryActivate || goal.UploadsKeys() {
			hosts++
		}
		systems += one(r.Replaced)
		rebooted += one(r.Rebooted)
		wanting += one(r.RebootNeeded)
		for _, key := range r.Keys {
			changed += one(key.Change == plan.Changed)
			mended += one(key.Change == plan.Mended)
			removed += one(key.Change == plan.Removed)
		}
		for _, unit := range r.Units {
			restarted += one(unit.Outcome == plan.JobDone && !unit.Reload)
			reloaded += one(unit.Outcome == plan.JobDone && unit.Reload)
		}
	}
	if hosts == 0 {
		return ""
	}
	var parts []string
	add := func(n int, what, happened string) {
		if n > 0 {
			parts = append(parts, counted(n, what)+happened)
		}
	}
	switched := map[bool]string{true: " set for the next boot", false: " switched"}[goal == hive.Boot]
	add(systems, "system", switched)
	add(changed, "key", " changed")
	add(mended, "key", " mended")
	add(removed, "key", " removed")
	add(restarted, "unit", " restarted")
	add(reloaded, "unit", " reloaded")
	add(rebooted, "host", " rebooted")
	if len(parts) == 0 {
		parts = append(parts, "nothing changed")
	}
	add(wanting, "host", map[bool]string{true: " wants a reboot", false: " want a reboot"}[wanting == 1])
	return strings.Join(parts, ", ")
}

func one(is bool) int {
	if is {
		return 1
	}
	return 0
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// closing is how a run ended that was watched: what went well in one line, with a
// tick if that is all of them, then the nodes that need a look, and why others failed.
func closing(results []event.Result, v View, took time.Duration) string {
	count := countOf(results)
	if done := count[event.Succeeded]; done == 0 || len(results) == 0 {
		return ending(results, v)
	}
	var b strings.Builder
	if count[event.Succeeded]+count[event.Skipped] == len(results) {
		b.WriteString(v.Style.paint(green, tick(v)) + " ")
	}
	b.WriteString(fmt.Sprintf("%d of %d nodes succeeded in %s", count[event.Succeeded], len(results), lasted(took)))
	if what := changes(results); what != "" {
		b.WriteString(": " + what)
	}
	b.WriteByte('\n')
	var odd []event.Result
	for _, r := range failuresLast(results) {
		if r.RebootNeeded || r.Status == event.Cancelled || r.Status == left {
			odd = append(odd, r)
		}
	}
	if len(odd) > 0 {
		b.WriteString("\n" + tabled(odd))
	}
	if count[event.Succeeded]+count[event.Skipped] < len(results) {
		b.WriteString(ending(results, v))
	} else if count[event.Skipped] > 0 {
		fmt.Fprintf(&b, "%s skipped: no deployment.targetHost\n", counted(count[event.Skipped], "node"))
	}
	return b.String()
}

func tick(v View) string {
	if v.ASCII {
		return "+"
	}
	return "✓"
}

// lasted is how long a run took.
func lasted(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return view.Clock(d)
}
