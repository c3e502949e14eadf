package event

import (
	"fmt"
	"strings"
	"time"

	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// Status is how a node ended.
type Status string

// The ways a node can end.
const (
	Succeeded Status = "succeeded"
	Failed    Status = "failed"
	Skipped   Status = "skipped"   // targetHost is null and the goal needs a host
	Cancelled Status = "cancelled" // never started, or interrupted
)

// Result is the outcome for one node.
type Result struct {
	Node         string
	Goal         hive.Goal
	Status       Status
	Step         plan.StepKind     // where it failed; "" unless Status is Failed
	Err          error             // nil unless Status is Failed or Cancelled
	Tail         []string          // last lines of output of the failed step
	Host         string            // deployment.targetHost, "" for none
	Toplevel     string            // out path, "" when none was evaluated
	Before       string            // out path of what the host ran when it was asked, "" when it was not
	Packages     *closure.Diff     // of the new system against what the host ran; nil: not asked for, not known, or nothing was brought
	Keys         []KeyResult       // one per key of the node that the goal touches
	Units        []plan.UnitResult // one per unit that was due to be restarted or reloaded
	Replaced     bool              // the host runs or boots another system than before
	Outlook      *plan.Outlook     // what would be done, after a dry run that succeeded
	RebootNeeded bool              // switch-to-configuration ended with 100
	Rebooted     bool              // the host was rebooted, and is back with the system it was to boot
	Exit         *int              // status of the user's own command; nil unless it ended
	Elapsed      time.Duration     // from the first step to the last; that of an evaluation only if it failed
}

// KeyResult is what became of one key. It holds no content and no digest.
type KeyResult struct {
	Name   string // attribute name
	Path   string
	Change plan.Change
	Note   string // why it was skipped, or what the user should know
}

// Changes are what can become of a key, in the order in which they are told.
var Changes = []plan.Change{plan.Changed, plan.Mended, plan.Unchanged, plan.Removed, plan.Skipped}

// KeyChanges is of how many keys what became.
func KeyChanges(keys []KeyResult) map[plan.Change]int {
	count := map[plan.Change]int{}
	for _, key := range keys {
		count[key.Change]++
	}
	return count
}

// CountKeys says how many keys were changed, mended and so on.
func CountKeys(keys []KeyResult) string {
	count := KeyChanges(keys)
	var parts []string
	for _, change := range Changes {
		if count[change] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[change], change))
		}
	}
	return strings.Join(parts, ", ")
}

// CountUnits says how many units were restarted and reloaded; "" where none was.
func CountUnits(units []plan.UnitResult) string {
	count := map[bool]int{}
	for _, u := range units {
		if u.Outcome == plan.JobDone {
			count[u.Reload]++
		}
	}
	var parts []string
	for _, reload := range []bool{false, true} {
		if count[reload] > 0 {
			parts = append(parts, fmt.Sprintf("%d %sed", count[reload], plan.Job{Reload: reload}.What()))
		}
	}
	return strings.Join(parts, ", ")
}
