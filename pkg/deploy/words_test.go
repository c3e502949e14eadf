package deploy

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

func TestTheEndOfANodeSaysWhatBecameOfItsKeys(t *testing.T) {
	keys := []event.KeyResult{{Change: plan.Unchanged}, {Change: plan.Changed}, {Change: plan.Unchanged}}
	for want, r := range map[string]event.Result{
		"switch done": {Goal: hive.Switch, Status: event.Succeeded},
		"switch done; keys: 1 changed, 2 unchanged": {Goal: hive.Switch, Status: event.Succeeded, Keys: keys},
		"keys done: 1 skipped":                      {Goal: hive.Keys, Status: event.Succeeded, Keys: []event.KeyResult{{Change: plan.Skipped}}},
		"failed: it broke":                          {Goal: hive.Keys, Status: event.Failed, Err: errors.New("it broke"), Keys: keys},
	} {
		if got := summary(r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// told is a sink that keeps texts.
type told struct {
	mu   sync.Mutex
	said []string
}

// Emit implements [event.Sink].
func (n *told) Emit(e event.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.said = append(n.said, e.Text)
}

func (n *told) texts() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.said)
}

func TestANoteOnKeysNamesThemAndCountsNothing(t *testing.T) {
	var said told
	n := &nodeRun{deployment: &deployment{sink: &said}}
	step := func(name, note string) plan.KeyStep {
		return plan.KeyStep{WantedKey: plan.WantedKey{Key: hive.Key{Attr: name}}, Note: note}
	}
	n.tellNotes(plan.KeyPlan{step("a", "one"), step("b", "more"), step("c", "more"), step("d", "")})
	if got, want := said.texts(), []string{`key "a": one`, `keys "b", "c": more`}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
