package deploy

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// One host is being changed until all three have their system: who waits to be
// changed is not in the way of who is to be copied to.
func TestWhoWaitsHoldsNoSlotOfAnotherKind(t *testing.T) {
	var nodes []hive.Node
	hosts := map[string]*double{}
	for i := range 3 {
		n := node(fmt.Sprint(i))
		n.Keys = []hive.Key{{Attr: "k"}}
		nodes, hosts[n.Name] = append(nodes, n), &double{}
	}
	j := &journal{}
	with := tools(j, hosts)
	var copies atomic.Int32
	allThere := make(chan struct{})
	with.Store = copying(func([]string) error {
		if copies.Add(1) == 3 {
			close(allThere)
		}
		return nil
	})
	var changed atomic.Int32
	with.Resolve = func(context.Context, hive.Node, func(string)) (map[string]secret.Secret, error) {
		if now := changed.Add(1); now > 1 {
			t.Errorf("%d are being changed at once", now)
		}
		defer changed.Add(-1)
		select {
		case <-allThere:
		case <-time.After(20 * time.Second):
			t.Error("whoever waits keeps others from being copied to")
		}
		return nil, errors.New("the vault is sealed")
	}
	opts := Options{Want: plan.Want{Goal: hive.Switch}, Schedule: Schedule{Push: NewLimit(1, ""), Change: NewLimit(1, "")}}
	for _, r := range Run(t.Context(), Evaluated(nodes), opts, with, j) {
		if r.Step != plan.Resolve {
			t.Errorf("%s ended in step %q: %v", r.Node, r.Step, r.Err)
		}
	}
}

func TestALimitThatTwoKindsShareIsKeptFromOneToTheOther(t *testing.T) {
	a, b := node("a"), node("b")
	a.Keys, b.Keys = []hive.Key{{Attr: "k"}}, []hive.Key{{Attr: "k"}}
	j := &journal{}
	with := tools(j, map[string]*double{"a": {}, "b": {}})
	with.Store = copying(func([]string) error { j.add("copy"); return nil })
	with.Build = func(context.Context, hive.Node, func(string)) error { return nil }
	with.Open = func(_ context.Context, n hive.Node, _ func(string)) (Host, error) { return &double{}, nil }
	with.CheckSources = func(context.Context, hive.Node) error { return nil }
	with.Release = func(context.Context, Host, []string) error { return nil }
	Run(t.Context(), Evaluated([]hive.Node{a, b}), Options{Want: plan.Want{Goal: hive.Switch}, Schedule: atOnce(1)}, with, j)
	if got, want := j.String(), "copy; resolve; copy; resolve"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A host may build for long: others are copied to and changed meanwhile.
func TestAHostThatBuildsHoldsNoSlotButThatOfBuilds(t *testing.T) {
	there, other := node("there"), node("other")
	there.BuildOnTarget = true
	j := &journal{}
	with := tools(j, map[string]*double{"there": {}, "other": {}})
	building, copied := make(chan struct{}), make(chan struct{})
	with.BuildThere = func(context.Context, Host, hive.Node, func(string)) error {
		close(building)
		select {
		case <-copied:
			return nil
		case <-time.After(20 * time.Second):
			return errors.New("nobody else is copied to meanwhile")
		}
	}
	with.Build = func(context.Context, hive.Node, func(string)) error { <-building; return nil }
	with.Store = copying(func(paths []string) error {
		switch paths[0] {
		case "/drv-there":
		case "/out-other":
			close(copied)
		default:
			t.Errorf("%q are copied", paths)
		}
		return nil
	})
	opts := Options{Want: plan.Want{Goal: hive.Push}, Schedule: atOnce(1)}
	opts.Schedule.Build = NewLimit(1, "")
	for _, r := range Run(t.Context(), Evaluated([]hive.Node{there, other}), opts, with, j) {
		if r.Err != nil {
			t.Errorf("%s: %v", r.Node, r.Err)
		}
	}
}

func TestEveryStepThatTakesLongHasALimit(t *testing.T) {
	s := Schedule{Push: NewLimit(1, "push"), Build: NewLimit(1, "build"), Change: NewLimit(1, "change")}
	for _, c := range []struct {
		step plan.Step
		want *Limit
	}{
		{plan.Step{Kind: plan.Push}, s.Push},
		{plan.Step{Kind: plan.Push, Recipe: true}, s.Push},
		{plan.Step{Kind: plan.Cache, To: "s3://b"}, s.Push},
		{plan.Step{Kind: plan.Build, OnHost: true}, s.Build},
		{plan.Step{Kind: plan.Build}, nil}, // Nix has its own
		{plan.Step{Kind: plan.Resolve, Look: true}, nil},
		{plan.Step{Kind: plan.Resolve}, s.Change},
		{plan.Step{Kind: plan.Upload, Changes: true}, s.Change},
		{plan.Step{Kind: plan.Activate, Changes: true}, s.Change},
		{plan.Step{Kind: plan.Connect}, nil},
	} {
		if s.of(c.step) != c.want {
			t.Errorf("%s has another limit", c.step)
		}
	}
}

func TestWhoWaitsToBeLetInObeysAnInterrupt(t *testing.T) {
	limit := NewLimit(1, "")
	if err := limit.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancelCause(t.Context())
	why := errors.New("interrupted")
	ended := make(chan error, 1)
	go func() { ended <- limit.take(ctx) }()
	stop(why)
	select {
	case err := <-ended:
		if !errors.Is(err, why) {
			t.Errorf("%v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it waits on")
		limit.release()
	}
	limit.release()
	if err := limit.take(t.Context()); err != nil {
		t.Errorf("nobody is in, and %v", err)
	}
}
