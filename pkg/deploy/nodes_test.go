package deploy

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// building says which nodes are built, and when that of a node began.
func building(began chan string) Tools {
	ts := tools(&journal{}, nil)
	ts.Build = func(_ context.Context, n hive.Node, _ func(string)) error {
		began <- n.Name
		return nil
	}
	return ts
}

// statuses are the results as a line a reader takes in at once.
func statuses(results []event.Result) string {
	var words []string
	for _, r := range results {
		words = append(words, fmt.Sprintf("%s %s", r.Node, r.Status))
	}
	return strings.Join(words, ", ")
}

func TestANodeIsBuiltBeforeTheNextIsEvaluated(t *testing.T) {
	began := make(chan string)
	arrivals := func(yield func(Arrival) bool) {
		for _, name := range []string{"c", "x", "a"} {
			if !yield(Arrival{Node: node(name)}) {
				return
			}
			if got := <-began; got != name {
				t.Errorf("%s is built, not %s", got, name)
			}
		}
	}
	results := Run(t.Context(), Nodes{[]string{"a", "b", "c"}, arrivals}, Options{Want: plan.Want{Goal: hive.Build}}, building(began), &journal{})
	if got, want := statuses(results), "a succeeded, b failed, c succeeded, x succeeded"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if b := results[1]; b.Step != plan.Evaluate || !errors.Is(b.Err, ErrNotEvaluated) {
		t.Errorf("a node that never arrived: %q, %v", b.Step, b.Err)
	}
}

func TestANodeThatCannotBeEvaluatedFailsAlone(t *testing.T) {
	broken := errors.New("attribute 'x' missing")
	nodes := Nodes{[]string{"bad", "good"}, func(yield func(Arrival) bool) {
		_ = yield(Arrival{Node: hive.Node{Name: "bad"}, Err: broken}) && yield(Arrival{Node: node("good")})
	}}
	var said told
	results := Run(t.Context(), nodes, Options{Want: plan.Want{Goal: hive.Build}}, building(make(chan string, 1)), &said)
	if got := statuses(results); got != "bad failed, good succeeded" || results[0].Step != plan.Evaluate || !errors.Is(results[0].Err, broken) {
		t.Errorf("%s; step %q, %v", got, results[0].Step, results[0].Err)
	}
	if all := strings.Join(said.texts(), "\n"); !strings.Contains(all, "failed: attribute 'x' missing") {
		t.Errorf("it is not told:\n%s", all)
	}
}

func TestAnInterruptEndsTheWaitForNodes(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("interrupted")
	began := make(chan string, 3)
	nodes := Nodes{[]string{"here", "late", "never"}, func(yield func(Arrival) bool) {
		if !yield(Arrival{Node: node("here")}) {
			return
		}
		<-began
		cancel(why)
		<-ctx.Done()
		_ = yield(Arrival{Node: node("late")}) && yield(Arrival{Node: node("never")})
	}}
	results := Run(ctx, nodes, Options{Want: plan.Want{Goal: hive.Build}}, building(began), &journal{})
	if got := statuses(results[1:]); got != "late cancelled, never cancelled" || !errors.Is(results[2].Err, why) || len(began) > 0 {
		t.Errorf("%s; %v; %d more began", got, results[2].Err, len(began))
	}
}

func TestAnEvaluationThatPanicsLeavesNoNodeAlone(t *testing.T) {
	var nodes Nodes
	nodes.Names = []string{"here", "lost"}
	nodes.Arrivals = iter.Seq[Arrival](func(yield func(Arrival) bool) {
		yield(Arrival{Node: node("here")})
		panic("a bug")
	})
	results := Run(t.Context(), nodes, Options{Want: plan.Want{Goal: hive.Build}}, building(make(chan string, 1)), &journal{})
	var bug *crash.Error
	if got := statuses(results); got != "here succeeded, lost failed" || !errors.As(results[1].Err, &bug) {
		t.Errorf("%s; %v", got, results[1].Err)
	}
}

// A host would be changed by two at once.
func TestANodeThatArrivesTwiceIsDeployedOnce(t *testing.T) {
	again := true
	nodes := Nodes{nil, func(yield func(Arrival) bool) {
		for yield(Arrival{Node: node("a")}) && again {
			again = false
		}
	}}
	began := make(chan string, 2)
	results := Run(t.Context(), nodes, Options{Want: plan.Want{Goal: hive.Build}}, building(began), &journal{})
	if len(results) != 1 || len(began) != 1 {
		t.Errorf("%s; %d builds", statuses(results), len(began))
	}
}
