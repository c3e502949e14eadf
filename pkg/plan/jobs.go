package plan

import (
	"slices"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/memory"
)

// Job is what is due to a unit since keys of it have changed.
type Job struct {
	Unit   string
	Reload bool     // or restart
	Keys   []string // attribute names; none for one that an earlier run has left
}

// What is the job in a word.
func (j Job) What() string {
	if j.Reload {
		return "reload"
	}
	return "restart"
}

// Jobs are what a plan makes due, in the order of the keys: each unit once.
func (p KeyPlan) Jobs() (list Jobs) {
	for _, step := range p {
		if step.Change != Changed && step.Change != Mended {
			continue
		}
		for _, unit := range step.Key.RestartUnits {
			list.add(Job{unit, false, []string{step.Key.Attr}})
		}
		for _, unit := range step.Key.ReloadUnits {
			list.add(Job{unit, true, []string{step.Key.Attr}})
		}
	}
	return list
}

// Jobs are those of a node, each unit once.
type Jobs []Job

// add adds a job to that of its unit, where a restart is more than a reload.
func (l *Jobs) add(job Job) {
	i := slices.IndexFunc(*l, func(other Job) bool { return other.Unit == job.Unit })
	if i < 0 {
		job.Keys = slices.Clone(job.Keys)
		*l = append(*l, job)
		return
	}
	old := &(*l)[i]
	old.Reload = old.Reload && job.Reload
	for _, key := range job.Keys {
		if !slices.Contains(old.Keys, key) {
			old.Keys = append(old.Keys, key)
		}
	}
}

// With is these and others.
func (l Jobs) With(others Jobs) Jobs {
	list := slices.Clone(l)
	for i := range list {
		list[i].Keys = slices.Clone(list[i].Keys)
	}
	for _, job := range others {
		list.add(job)
	}
	return list
}

// Without is these but those of some units.
func (l Jobs) Without(units []string) Jobs {
	return slices.DeleteFunc(slices.Clone(l), func(job Job) bool { return slices.Contains(units, job.Unit) })
}

// Units are the names.
func (l Jobs) Units() []string {
	names := make([]string, len(l))
	for i, job := range l {
		names[i] = job.Unit
	}
	return names
}

// Left are the jobs that earlier runs have left to do for a node, as its host remembers. What
// no key of it names any more is nobody's business.
func Left(n hive.Node, m *memory.Memory) (list Jobs) {
	for _, job := range m.Owed() {
		if job.Node == n.Name && slices.ContainsFunc(n.Keys, func(k hive.Key) bool { return k.Names(job.Unit) }) {
			list.add(Job{Unit: job.Unit, Reload: job.Reload})
		}
	}
	return list
}

// Owed are the jobs as a host remembers them.
func (l Jobs) Owed(node string) []memory.Job {
	list := make([]memory.Job, len(l))
	for i, job := range l {
		list[i] = memory.Job{Unit: job.Unit, Reload: job.Reload, Node: node}
	}
	return list
}

// Unit is what a host says of a unit. The zero value is one that it does not know.
type Unit struct {
	There bool   // it can be started
	State string // active, inactive, failed and so on, as systemd has it
	Run   string // another one each time that it is started; "" where that is not known, or it never was
	// Retry: it is between two attempts to start, the next of which is systemd's own.
	Retry bool
	// Bad: it ended otherwise than it should have, or could not be reloaded.
	Bad string
	// Busy: a job of it is under way or waits.
	Busy bool
}

// runs reports whether it has read its keys, and so has to be told of new ones.
func (u Unit) runs() bool {
	switch u.State {
	case "active", "reloading", "refreshing":
		return true
	case "activating":
		return !u.Retry
	}
	return false
}

// Call is how a job is done.
type Call string

// The calls, as systemctl has them, and what comes of a job without one.
const (
	Restart Call = "try-restart"
	Again   Call = "restart" // of one that is being started, which try-restart would leave alone
	Reload  Call = "try-reload-or-restart"
	Follow  Call = "start" // of one that is being started with the new key: that is waited for
	None    Call = ""
)

// Outcome is what became of a job.
type Outcome string

// What can become of a job.
const (
	JobDone   Outcome = "done"
	JobLeft   Outcome = "left"   // nothing was to be done
	JobFailed Outcome = "failed" // or could not be done
)

// Notes that are more than a word about the state.
const (
	NoUnit       = "there is no such unit on the host"
	FailedBefore = "it failed before its key changed, and is not started"
)

// UnitResult is what became of a unit's job.
type UnitResult struct {
	Job
	Outcome Outcome
	Note    string // why it was left, or failed
}

// Due says how a job is to be done, or what becomes of it at once. since is the run of the
// unit when its keys were in place, if that is known: one that was started later has read
// them.
func (j Job) Due(unit Unit, since string, known bool) (Call, UnitResult) {
	later := known && unit.Run != "" && unit.Run != since
	switch {
	case !unit.There:
		return None, j.result(JobFailed, NoUnit)
	case later && (unit.State == "failed" || unit.Retry):
		return None, j.result(JobFailed, "it was started with the new key, and failed"+because(unit.Bad))
	case later && unit.State == "activating":
		return Follow, UnitResult{}
	case later:
		return None, j.result(JobLeft, "it was started since, and so has the new key")
	case unit.State == "failed":
		return None, j.result(JobLeft, FailedBefore)
	case unit.Retry:
		return None, j.result(JobLeft, "systemd is about to start it again")
	case !unit.runs():
		return None, j.result(JobLeft, "it does not run"+because(unit.State))
	case unit.State == "activating":
		return Again, UnitResult{}
	case j.Reload:
		return Reload, UnitResult{}
	}
	return Restart, UnitResult{}
}

// Judge says what became of a job by how the unit was before and is after the call. refusal
// is what systemctl says of the unit if it did not do it; the result quotes it.
func (j Job) Judge(call Call, before, after Unit, refusal string) UnitResult {
	same := after.Run == before.Run && call != Follow
	switch {
	case after.Busy:
		return j.result(JobFailed, "it takes too long, and goes on without us")
	case after.State == "failed" || after.Retry:
		return j.result(JobFailed, "it failed"+because(after.Bad))
	case j.Reload && same && after.Bad != "":
		return j.result(JobFailed, "it could not be reloaded"+because(after.Bad))
	case refusal != "":
		return j.result(JobFailed, refusal)
	case !j.Reload && same:
		return j.result(JobFailed, "it was not restarted")
	}
	return j.result(JobDone, "")
}

func (j Job) result(outcome Outcome, note string) UnitResult { return UnitResult{j, outcome, note} }

func because(why string) string {
	if why == "" {
		return ""
	}
	return " (" + why + ")"
}
