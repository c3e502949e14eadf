package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/activation"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// pushes is a sink that keeps what is told of copies.
type pushes struct {
	mu     sync.Mutex
	events []event.Event
}

func (p *pushes) Emit(e event.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.Kind == event.Progress || e.Kind == event.Note {
		p.events = append(p.events, e)
	}
}

// fetching is a store of a host that fetches some paths by itself.
type fetching struct {
	storeDouble
	lacked, lacks []string
}

func (f fetching) Fetch([]string) (lacked, lacks []string, err error) { return f.lacked, f.lacks, nil }

func TestAPushTellsHowFarItIsAndWhatItWas(t *testing.T) {
	for _, c := range []struct {
		name          string
		lacks, copied []string
		sent          int
		first, last   string
	}{
		{"all that it lacks", []string{"/a", "/b"}, []string{"/a", "/b"}, 52_100_000, "52000000 in 2", "copied 52 MB in 2 paths"},
		{"one of three", []string{"/b"}, []string{"/b"}, 50_000_100, "50000000 in 1", "copied 50 MB in 1 path"},
		{"not what it fetches itself", []string{"/a", "/b", "/c"}, []string{"/c"}, 900, "1000 in 1", "copied 1.0 kB in 1 path; the host fetched 2 paths by itself"},
		{"what it fetches all", []string{"/a", "/b"}, nil, 0, "", "the host fetched 2 paths by itself"},
		{"nothing", nil, nil, 0, "", ""},
	} {
		j, told := &journal{}, &pushes{}
		with := tools(j, map[string]*double{"web": {}})
		with.Closure = func(context.Context, string) (map[string]int64, error) {
			return map[string]int64{"/a": 2_000_000, "/b": 50_000_000, "/c": 1000}, nil
		}
		with.Store = func(_ context.Context, host Host, _ []string, _ func(string)) Store {
			return fetching{storeDouble{host.(interface{ self() *double }).self(), func(paths []string, begin func(string), sent func(int)) error {
				if !slices.Equal(paths, c.copied) || len(paths) == 0 {
					t.Errorf("%s: %q are copied", c.name, paths)
				}
				for _, path := range paths {
					begin(path)
				}
				sent(c.sent)
				return nil
			}}, c.lacks, c.copied}
		}
		result := Run(t.Context(), Evaluated([]hive.Node{node("web")}), Options{Want: plan.Want{Goal: hive.Push}, Substitute: true}, with, told)[0]
		if result.Status != event.Succeeded {
			t.Errorf("%s: %v", c.name, result.Err)
		}
		if c.last == "" {
			if len(told.events) > 0 {
				t.Errorf("%s: %+v", c.name, told.events)
			}
			continue
		}
		first, last := told.events[0], told.events[len(told.events)-1]
		if last.Text != c.last || last.Done != last.Total || last.Paths != len(c.copied) || last.Step != plan.Push {
			t.Errorf("%s: at the end %+v", c.name, last)
		}
		if len(c.copied) > 0 && (first.Kind != event.Progress || first.Done > first.Total || fmt.Sprintf("%d in %d", first.Total, first.Paths) != c.first) {
			t.Errorf("%s: first %+v", c.name, first)
		}
	}
}

// What was brought is let go of, unless something on the host needs it still.
func TestTheHostKeepsWhatAnActivationThatGoesOnNeeds(t *testing.T) {
	for why, want := range map[error]bool{errors.New("it failed"): true, fmt.Errorf("lost: %w", activation.ErrGoesOn): false} {
		j := &journal{}
		n := &nodeRun{deployment: &deployment{tools: tools(j, nil), sink: j}, roots: []string{"/out"}, failures: []failure{{err: why}}}
		n.release()
		if got := strings.Contains(j.String(), "release"); got != want {
			t.Errorf("%v: it is let go of: %t", why, got)
		}
	}
}

// asking is a store that tells how it is used.
type asking struct {
	storeDouble
	j      *journal
	refuse bool // what is given without a question
}

func (a asking) Lacks(paths []string) ([]string, error) {
	a.j.add("ask")
	return a.storeDouble.Lacks(paths)
}

func (a asking) Give(paths []string, _ func(string), _ func(int)) ([]string, error) {
	a.j.add("give " + strings.Join(paths, " "))
	if a.refuse {
		return nil, errors.New("it lacks what they need")
	}
	return paths, nil
}

func TestFewBytesAreSentRatherThanAskedAbout(t *testing.T) {
	closures := map[string]map[string]int64{
		"/s/new": {"/s/new": 100, "/s/shared": 50_000_000, "/s/large": 0},
		"/s/old": {"/s/old": 100, "/s/shared": 50_000_000},
	}
	for _, c := range []struct {
		name, runs, boots string
		large             int64
		refuse            bool
		want              string
	}{
		{"it runs a system that is known here", "/s/old", "", 0, false, "give /s/large /s/new"},
		{"it boots one", "", "/s/old", 0, false, "give /s/large /s/new"},
		{"it lacks something all the same", "/s/old", "", 0, true, "give /s/large /s/new; ask; copy /s/large /s/new /s/shared"},
		{"much is new", "/s/old", "", 200_000, false, "ask; copy /s/large /s/new /s/shared"},
		{"it runs one that is not known", "/s/strange", "", 0, false, "ask; copy /s/large /s/new /s/shared"},
		{"it runs something else", "/etc/old", "", 0, false, "ask; copy /s/large /s/new /s/shared"},
		{"it runs none", "", "", 0, false, "ask; copy /s/large /s/new /s/shared"},
	} {
		j, host := &journal{}, &double{current: c.runs, profile: c.boots}
		closures["/s/new"]["/s/large"] = c.large
		with := tools(&journal{}, map[string]*double{"web": host})
		with.Closure = func(_ context.Context, path string) (map[string]int64, error) {
			if !strings.HasPrefix(path, "/s/") {
				t.Errorf("%s: Nix is asked for %s", c.name, path)
			}
			if closures[path] == nil {
				return nil, errors.New("not here")
			}
			return closures[path], nil
		}
		with.Store = func(context.Context, Host, []string, func(string)) Store {
			host.stores++
			return asking{storeDouble{host, func(paths []string, _ func(string), _ func(int)) error {
				j.add("copy " + strings.Join(paths, " "))
				return nil
			}}, j, c.refuse}
		}
		n := node("web")
		n.Toplevel.OutPath = "/s/new"
		if r := Run(t.Context(), Evaluated([]hive.Node{n}), Options{Want: plan.Want{Goal: hive.Push}}, with, j)[0]; r.Status != event.Succeeded || j.String() != c.want || host.stores != 0 {
			t.Errorf("%s: %v; %s, want %s; %d stores are open", c.name, r.Err, j, c.want, host.stores)
		}
	}
}
