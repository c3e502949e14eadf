// Package units restarts and reloads units of one host, whose keys have changed, and tells
// what became of each. What is to be done is decided by pkg/plan; host/ is the half that runs
// on the host, and calls systemctl.
package units

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/printable"
)

// Request is what is due to the units of one host.
type Request struct {
	Jobs  plan.Jobs
	Since map[string]string // the run of each unit when its keys were in place, where it is known
	// Begin is told what is about to be done, before it is; it may be nil.
	Begin func(text string)
	// Output is told what systemd says of units that failed, line by line; it may be nil.
	Output func(line string)
}

// limit is how long all calls may take together.
var limit = 5 * time.Minute

// settled is how long a unit is watched after its job: what dies at once has not started.
var settled = 300 * time.Millisecond

// How much is told of units that failed.
const (
	mostShown = 5 // units
	mostLines = 25
	lineSize  = 500 // bytes
	noteSize  = 200 // bytes
)

// Run does the jobs, all of one kind in one call, and returns what became of each, in their
// order. That one fails is no error; it fails where the host does not tell. What was begun
// goes on there without us.
func Run(ctx context.Context, host hostscript.Runner, req Request) ([]plan.UnitResult, error) {
	if len(req.Jobs) == 0 {
		return nil, nil
	}
	t := begin(ctx, host)
	defer t.stop()
	before, err := t.show(req.Jobs.Units())
	if err != nil {
		return nil, err
	}
	results := make([]plan.UnitResult, len(req.Jobs))
	due := map[plan.Call][]int{}
	for i, job := range req.Jobs {
		since, known := req.Since[job.Unit]
		var call plan.Call
		if call, results[i] = job.Due(before[i], since, known); call != plan.None {
			due[call] = append(due[call], i)
		}
	}
	if err := t.do(req, due, before, results); err != nil {
		return nil, err
	}
	return results, t.explain(results, req.Output)
}

// do calls for what is due, and judges it.
func (t *talk) do(req Request, due map[plan.Call][]int, before []plan.Unit, results []plan.UnitResult) error {
	var jobs plan.Jobs
	var places []int
	said := map[plan.Call]answer{}
	if req.Begin != nil && len(due) > 0 {
		req.Begin(announce(req.Jobs, due))
	}
	until := time.Now().Add(limit)
	for _, call := range []plan.Call{plan.Restart, plan.Again, plan.Reload, plan.Follow} {
		if len(due[call]) == 0 {
			continue
		}
		var names []string
		for _, i := range due[call] {
			names, places, jobs = append(names, req.Jobs[i].Unit), append(places, i), append(jobs, req.Jobs[i])
		}
		var err error
		if said[call], err = t.ask(max(time.Until(until), time.Second), string(call), names...); err != nil {
			return err
		}
	}
	if len(jobs) == 0 {
		return nil
	}
	select {
	case <-time.After(settled):
	case <-t.ctx.Done():
		return context.Cause(t.ctx)
	}
	after, err := t.show(jobs.Units())
	if err != nil {
		return err
	}
	for n, i := range places {
		call := callOf(due, i)
		a := said[call]
		after[n].Busy = after[n].Busy && a.late()
		results[i] = req.Jobs[i].Judge(call, before[i], after[n], a.refusal(req.Jobs[i].Unit))
	}
	return nil
}

func callOf(due map[plan.Call][]int, i int) plan.Call {
	for call, list := range due {
		if slices.Contains(list, i) {
			return call
		}
	}
	return plan.None
}

// announce says what is about to be done.
func announce(jobs plan.Jobs, due map[plan.Call][]int) string {
	var parts []string
	for _, kind := range []struct {
		does  string
		calls []plan.Call
	}{{"restarting", []plan.Call{plan.Restart, plan.Again}}, {"reloading", []plan.Call{plan.Reload}}, {"waiting for", []plan.Call{plan.Follow}}} {
		var names []string
		for _, call := range kind.calls {
			for _, i := range due[call] {
				names = append(names, jobs[i].Unit)
			}
		}
		if len(names) > 0 {
			parts = append(parts, kind.does+" "+hive.FirstFew(names))
		}
	}
	return strings.Join(parts, "; ")
}

// explain tells what systemd says of units that were started and failed.
func (t *talk) explain(results []plan.UnitResult, output func(string)) error {
	shown := 0
	for _, r := range results {
		if r.Outcome != plan.JobFailed || output == nil || r.Note == plan.NoUnit || shown == mostShown {
			continue
		}
		shown++
		a, err := t.ask(statusLimit, "status", "--full", "--lines=10", "--", r.Unit)
		if err != nil {
			return err
		}
		lines := strings.Split(strings.TrimRight(a.text, "\n"), "\n")
		for _, line := range lines[max(0, len(lines)-mostLines):] {
			output(printable.Said(line, lineSize))
		}
	}
	return nil
}

// answer is what systemctl says, and the status with which it ended.
type answer struct {
	text   string
	status string
}

// late: it was ended before it was done (timeout(1)).
func (a answer) late() bool { return a.status == "124" || a.status == "137" }

// refusal is the line in which a call that failed speaks of a unit; "" for none.
func (a answer) refusal(unit string) string {
	if a.status == "0" {
		return ""
	}
	for line := range strings.Lines(a.text) {
		if slices.ContainsFunc(strings.Fields(line), func(word string) bool { return strings.TrimRight(word, ".:,") == unit }) {
			return printable.Said(line, noteSize)
		}
	}
	return ""
}

// properties are those that make a [plan.Unit].
var properties = []string{"Id", "LoadState", "ActiveState", "SubState", "InvocationID", "Result", "ReloadResult", "Job"}

// show asks for the states of units, in their order.
func (t *talk) show(names []string) ([]plan.Unit, error) {
	a, err := t.ask(showLimit, "show", append([]string{"--property=" + strings.Join(properties, ","), "--"}, names...)...)
	if err != nil {
		return nil, err
	}
	units := parse(a.text)
	if len(units) != len(names) {
		return nil, fmt.Errorf("the host's systemd does not tell how its units are: %s", orNothing(printable.Said(a.text, noteSize)))
	}
	return units, nil
}

func orNothing(text string) string {
	if text == "" {
		return "it says nothing"
	}
	return text
}

// Runs reads what systemctl says of the runs of units; nil where it does not tell of all.
func Runs(text string, names []string) map[string]string {
	units := parse(text)
	if len(units) != len(names) {
		return nil
	}
	runs := map[string]string{}
	for i, unit := range units {
		runs[names[i]] = unit.Run
	}
	return runs
}

// parse reads what `systemctl show` says: a line for each property, and an empty one between
// units.
func parse(text string) (units []plan.Unit) {
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		of := map[string]string{}
		for line := range strings.Lines(block) {
			if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && slices.Contains(properties, name) {
				of[name] = printable.Said(value, 64)
			}
		}
		if len(of) == 0 {
			continue
		}
		unit := plan.Unit{
			There: of["LoadState"] != "not-found", State: of["ActiveState"], Run: of["InvocationID"],
			Retry: strings.HasPrefix(of["SubState"], "auto-restart"), Busy: of["Job"] != "" && of["Job"] != "0",
		}
		for _, result := range []string{of["Result"], of["ReloadResult"]} {
			if unit.Bad == "" && result != "success" {
				unit.Bad = result
			}
		}
		units = append(units, unit)
	}
	return units
}
