package deploy

import (
	"errors"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

func TestTheEndOfANodeSaysWhatBecameOfItsKeys(t *testing.T) {
	keys := []KeyResult{{Change: plan.Unchanged}, {Change: plan.Changed}, {Change: plan.Unchanged}}
	for want, r := range map[string]Result{
		"switch done": {Goal: hive.Switch, Status: Succeeded},
		"switch done; keys: 1 changed, 2 unchanged": {Goal: hive.Switch, Status: Succeeded, Keys: keys},
		"keys done: 1 skipped":                      {Goal: hive.Keys, Status: Succeeded, Keys: []KeyResult{{Change: plan.Skipped}}},
		"failed: it broke":                          {Goal: hive.Keys, Status: Failed, Err: errors.New("it broke"), Keys: keys},
	} {
		if got := summary(r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// told is a sink that keeps notes.
type told []string

func (n *told) Emit(e Event) { *n = append(*n, e.Text) }

func TestANoteOnKeysNamesThemAndCountsNothing(t *testing.T) {
	var said told
	n := &nodeRun{deployment: &deployment{sink: &said}}
	step := func(name, note string) plan.KeyStep {
		return plan.KeyStep{WantedKey: plan.WantedKey{Key: hive.Key{Attr: name}}, Note: note}
	}
	n.tellNotes(plan.KeyPlan{step("a", "one"), step("b", "more"), step("c", "more"), step("d", "")})
	if want := (told{`key "a": one`, `keys "b", "c": more`}); len(said) != 2 || said[0] != want[0] || said[1] != want[1] {
		t.Errorf("%q, want %q", said, want)
	}
}
