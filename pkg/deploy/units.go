package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/memory"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/units"
	"github.com/colmena-go/colmena-go/pkg/upload"
)

// This file is about units whose keys change: uploads tell which wait to be restarted or
// reloaded, and the host remembers them until they are.

// unitJobs is what is due to a node's units after the uploads so far.
type unitJobs struct {
	due  plan.Jobs
	runs map[string]string // of each unit when the last of its keys was in place, where it is known
}

// jobsOf has an upload say which jobs it makes due, and those that earlier runs have left.
// With boot there are none: the units are started anew by the reboot.
func (n *nodeRun) jobsOf(request *upload.Request) *unitJobs {
	jobs := &unitJobs{}
	if !n.opts.DoesJobs(n.node) || n.opts.Goal == hive.Boot && !n.result.Rebooted {
		return jobs
	}
	// What earlier uploads of this run have made due is owed as well, and known better here.
	request.Recall = func(m *memory.Memory) { jobs.due = plan.Left(n.node, m).Without(n.jobs.due.Units()) }
	request.Owe = func(steps plan.KeyPlan) []memory.Job {
		jobs.due = jobs.due.With(steps.Jobs())
		return jobs.due.Owed(n.node.Name)
	}
	request.Units = func(plan.KeyPlan) []string { return jobs.due.Units() }
	request.Runs = func(systemctl string) { jobs.runs = units.Runs(systemctl, jobs.due.Units()) }
	return jobs
}

// with adds the jobs of a later upload, which has seen later runs.
func (j *unitJobs) with(later *unitJobs) {
	j.due = j.due.With(later.due)
	if j.runs == nil {
		j.runs = map[string]string{}
	}
	for _, unit := range later.due.Units() {
		delete(j.runs, unit)
	}
	maps.Copy(j.runs, later.runs)
}

// tellUnits restarts and reloads the units that wait, and has the host forget that they do.
// What failed is still owed: the next run tries again.
func (n *nodeRun) tellUnits(ctx context.Context) error {
	n.quietly("asking the host how the units of changed keys are")
	n.changing = true
	ctx = context.WithoutCancel(ctx)
	results, err := units.Run(ctx, n.host, units.Request{Jobs: n.jobs.due, Since: n.jobs.runs, Begin: n.begin, Output: n.output})
	if err != nil {
		return err
	}
	n.mu.Lock()
	n.result.Units = results
	n.mu.Unlock()
	var settled []memory.Job
	var failed []string
	for _, r := range results {
		if r.Note == plan.FailedBefore {
			n.note(r.Unit + ": " + r.Note)
		}
		if r.Outcome == plan.JobFailed {
			failed = append(failed, fmt.Sprintf("%s of %s: %s", r.What(), r.Unit, r.Note))
			continue
		}
		for _, reload := range []bool{false, true} { // of which a restart is more
			settled = append(settled, memory.Job{Unit: r.Unit, Reload: reload, Node: n.node.Name})
		}
	}
	err = upload.Settle(ctx, n.host, upload.Request{Node: n.node.Name, Who: n.opts.Who, Note: n.note, Warn: n.warn}, settled)
	switch {
	case n.lost(err):
		return err
	case err != nil:
		n.warn("the host still takes units for owed a restart, which the next run then does again: " + err.Error())
	}
	if len(failed) > 0 {
		return errors.New("the keys are in place, but not all units have taken them: " + strings.Join(failed, "; "))
	}
	return nil
}
