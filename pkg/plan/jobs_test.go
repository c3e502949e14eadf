package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/memory"
)

func step(attr string, change Change, restart, reload string) KeyStep {
	return KeyStep{Change: change, WantedKey: WantedKey{Key: hive.Key{Attr: attr, RestartUnits: strings.Fields(restart), ReloadUnits: strings.Fields(reload)}}}
}

// read lists jobs as people see them.
func read(jobs Jobs) string {
	var list []string
	for _, job := range jobs {
		list = append(list, fmt.Sprintf("%s %s (%s)", job.What(), job.Unit, strings.Join(job.Keys, " ")))
	}
	return strings.Join(list, ", ")
}

func TestEachUnitGetsOneJobForAllItsChangedKeys(t *testing.T) {
	for want, steps := range map[string]KeyPlan{
		"":                              {step("a", Unchanged, "x", "y"), step("b", Skipped, "x", "")},
		"restart x (a b)":               {step("a", Changed, "x", ""), step("b", Changed, "x", ""), step("c", Unchanged, "x", "")},
		"reload x (a)":                  {step("a", Mended, "", "x")},
		"restart x (a b), reload y (b)": {step("a", Changed, "x", ""), step("b", Changed, "", "x y")},
		"restart x (b a)":               {step("b", Changed, "", "x"), step("a", Mended, "x", "")},
	} {
		if got := read(steps.Jobs()); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestJobsOfSeveralPhasesAreOneForEachUnit(t *testing.T) {
	early := KeyPlan{step("a", Changed, "", "x")}.Jobs()
	all := early.With(KeyPlan{step("b", Changed, "x y", "")}.Jobs())
	if got := read(all); got != "restart x (a b), restart y (b)" {
		t.Error(got)
	}
	if got := read(early); got != "reload x (a)" {
		t.Error("the first phase's are others now:", got)
	}
}

func TestWhatEarlierRunsLeftIsDoneIfAKeyStillNamesTheUnit(t *testing.T) {
	var m memory.Memory
	edit := m.Edit()
	edit.Owe = []memory.Job{{Unit: "x", Node: "web"}, {Unit: "y", Reload: true, Node: "web"}, {Unit: "gone", Node: "web"}, {Unit: "x", Node: "other"}}
	if err := m.Read(true, []byte(edit.Texts()[0].Last)); err != nil {
		t.Fatal(err)
	}
	n := hive.Node{Name: "web", Keys: []hive.Key{{Attr: "a", RestartUnits: []string{"x"}, ReloadUnits: []string{"y"}}}}
	left := Left(n, &m)
	if got := read(left); got != "restart x (), reload y ()" {
		t.Error(got)
	}
	if got, want := left.Owed("web"), edit.Owe[:2]; !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Each case is a unit when its job is due, and what its keys found when they were placed.
func TestAJobIsDueToAUnitThatRunsWithOldKeys(t *testing.T) {
	on := Unit{There: true, State: "active", Run: "1"}
	as := func(state string) Unit { u := on; u.State = state; return u }
	retry := as("activating")
	retry.Retry = true
	for _, c := range []struct {
		name   string
		unit   Unit
		since  string
		reload bool
		want   string
	}{
		{"it runs", on, "1", false, "try-restart"},
		{"it can be reloaded", on, "1", true, "try-reload-or-restart"},
		{"it runs, and who knows since when", on, "?", false, "try-restart"},
		{"it is being started", as("activating"), "1", false, "restart"},
		{"which a reload would not find", as("activating"), "1", true, "restart"},
		{"it is being reloaded", as("reloading"), "1", false, "try-restart"},
		{"the activation restarted it", on, "0", false, "left: it was started since, and so has the new key"},
		{"it had never been started before", on, "", false, "left: it was started since, and so has the new key"},
		{"it started with the key and failed", as("failed"), "0", false, "failed: it was started with the new key, and failed"},
		{"it is being started with the key", as("activating"), "0", false, "start"},
		{"it is started with the key again and again", retry, "0", false, "failed: it was started with the new key, and failed"},
		{"it does not run", as("inactive"), "1", false, "left: it does not run (inactive)"},
		{"it has failed before", as("failed"), "1", true, "left: " + FailedBefore},
		{"it is being stopped", as("deactivating"), "1", false, "left: it does not run (deactivating)"},
		{"it is started again and again", retry, "1", false, "left: systemd is about to start it again"},
		{"it is not there", Unit{}, "", false, "failed: there is no such unit on the host"},
	} {
		call, result := Job{Unit: "x", Reload: c.reload}.Due(c.unit, c.since, c.since != "?")
		got := string(call)
		if call == None {
			got = string(result.Outcome) + ": " + result.Note
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestAJobIsJudgedByWhatTheUnitIsAfterwards(t *testing.T) {
	before := Unit{There: true, State: "active", Run: "1"}
	for _, c := range []struct {
		name    string
		call    Call
		after   Unit
		refusal string
		reload  bool
		want    string
	}{
		{"restarted", Restart, Unit{State: "active", Run: "2"}, "", false, "done: "},
		{"a oneshot ran to its end", Restart, Unit{State: "inactive", Run: "2"}, "", false, "done: "},
		{"reloaded", Restart, Unit{State: "active", Run: "1"}, "", true, "done: "},
		{"restarted for lack of a reload", Restart, Unit{State: "active", Run: "2"}, "", true, "done: "},
		{"it does not start", Restart, Unit{State: "failed", Run: "2", Bad: "exit-code"}, "Job for x failed", false, "failed: it failed (exit-code)"},
		{"it dies again and again", Restart, Unit{State: "activating", Run: "2", Retry: true}, "", false, "failed: it failed"},
		{"its reload fails", Restart, Unit{State: "active", Run: "1", Bad: "exit-code"}, "", true, "failed: it could not be reloaded (exit-code)"},
		{"it hangs", Restart, Unit{State: "deactivating", Run: "1", Busy: true}, "", false, "failed: it takes too long, and goes on without us"},
		{"systemd refuses", Restart, Unit{State: "active", Run: "1"}, "Operation refused", true, "failed: Operation refused"},
		{"what was being started is there", Follow, Unit{State: "active", Run: "1"}, "", false, "done: "},
		{"or not", Follow, Unit{State: "failed", Run: "1"}, "", false, "failed: it failed"},
		{"nothing happened", Restart, Unit{State: "active", Run: "1"}, "", false, "failed: it was not restarted"},
	} {
		result := Job{Unit: "x", Reload: c.reload}.Judge(c.call, before, c.after, c.refusal)
		if got := string(result.Outcome) + ": " + result.Note; got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}
