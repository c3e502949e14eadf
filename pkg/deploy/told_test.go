package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// course is the sink of what steps one node takes.
type course struct {
	node string

	mu   sync.Mutex
	said []string
}

// marks are what is of interest here.
var marks = map[event.Kind]string{event.Wait: "waits for ", event.Begin: "", event.Over: "/", event.End: "end of "}

func (c *course) Emit(e event.Event) {
	mark, ours := marks[e.Kind]
	if !ours || e.Node != c.node {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	text := mark + string(e.Step)
	if e.Kind == event.Over && (e.Err != nil) != (e.Status == event.Failed) {
		text += " ended as " + string(e.Status)
	}
	if e.Err != nil {
		text += fmt.Sprintf(" (%v)", e.Err)
	}
	if e.Time.IsZero() {
		text += " at no time"
	}
	c.said = append(c.said, text)
}

func (c *course) String() string { return strings.Join(c.said, ", ") }

func TestEveryStepIsToldWithItsEnd(t *testing.T) {
	web := node("web")
	web.Keys = []hive.Key{{Attr: "k"}}
	for name, c := range map[string]struct {
		arrival Arrival
		broken  func(*Tools)
		want    string
	}{
		"a node that cannot be evaluated": {Arrival{Node: hive.Node{Name: "web"}, Err: errors.New("no")}, func(*Tools) {}, "/evaluate (no), end of evaluate"},
		"a build that fails": {Arrival{Node: web}, func(with *Tools) {
			with.Build = func(context.Context, hive.Node, func(string)) error { return errors.New("no") }
		}, "/evaluate, keys, /keys, connect, /connect, inspect, /inspect, build, /build (no), end of build"},
		"a bug": {Arrival{Node: web}, func(with *Tools) {
			with.Build = func(context.Context, hive.Node, func(string)) error { panic("here") }
		}, "/evaluate, keys, /keys, connect, /connect, inspect, /inspect, build, /build (this is a bug of colmena-go (string): please run it again with --verbose and report what is shown then at https://github.com/colmena-go/colmena-go/issues), end of build"},
	} {
		t.Run(name, func(t *testing.T) {
			sink := &course{node: "web"}
			with := tools(&journal{}, map[string]*double{"web": {}})
			c.broken(&with)
			nodes := Nodes{Names: []string{"web"}, Arrivals: func(yield func(Arrival) bool) { yield(c.arrival) }}
			Run(t.Context(), nodes, Options{Want: plan.Want{Goal: hive.Switch}}, with, sink)
			if got := sink.String(); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestWhoMustWaitToBeLetInSaysForWhat(t *testing.T) {
	limit := NewLimit(1, "--parallel")
	if !limit.enter() {
		t.Fatal("there is no room for one")
	}
	sink := &course{node: "web"}
	with := tools(&journal{}, map[string]*double{"web": {}})
	with.Exec = func(context.Context, Host, hive.Node) (int, error) { return 0, nil }
	Run(t.Context(), Evaluated([]hive.Node{node("web")}), Options{Want: plan.Want{Goal: hive.Exec}, Schedule: Schedule{Change: limit}}, with, waited{sink, limit})
	if got, want := sink.String(), "/evaluate, connect, /connect, waits for exec, exec, /exec, end of exec"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// waited lets in who waits.
type waited struct {
	*course
	limit *Limit
}

func (w waited) Emit(e event.Event) {
	w.course.Emit(e)
	if e.Kind == event.Wait {
		w.limit.release()
	}
}
