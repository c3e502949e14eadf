package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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

// sending is a double that sends bytes.
type sending struct {
	*double
	sent *atomic.Int64
}

func (s sending) Traffic() (int64, int64) { return s.sent.Load(), 0 }

func TestAPushTellsHowFarItIsAndWhatItWas(t *testing.T) {
	for _, c := range []struct {
		name          string
		lacks, copied []string
		sent          int64
		first, last   string
	}{
		{"all that it lacks", []string{"/a", "/b"}, []string{"/a", "/b"}, 52_100_000, "52000000 in 2", "copied 52 MB in 2 paths"},
		{"one of three", []string{"/b"}, []string{"/b"}, 50_000_100, "50000000 in 1", "copied 50 MB in 1 path"},
		{"not what it fetches itself", []string{"/a", "/b", "/c"}, []string{"/c"}, 900, "52001000 in 3", "copied 1.0 kB in 1 path; the host fetched 2 paths by itself"},
		{"nothing", nil, nil, 0, "", ""},
	} {
		j, told, sent := &journal{}, &pushes{}, &atomic.Int64{}
		sent.Store(70)
		with := tools(j, nil)
		with.Open = func(context.Context, hive.Node, func(string)) (Host, error) { return sending{&double{}, sent}, nil }
		with.Closure = func(context.Context, string) (map[string]int64, error) {
			return map[string]int64{"/a": 2_000_000, "/b": 50_000_000, "/c": 1000}, nil
		}
		asked := 0
		with.Lacks = func(_ context.Context, _ Host, _, paths []string) ([]string, error) {
			if asked++; asked > 1 {
				return c.copied, nil
			}
			if !slices.Equal(paths, []string{"/a", "/b", "/c"}) {
				t.Errorf("%s: asked for %q", c.name, paths)
			}
			return c.lacks, nil
		}
		with.Copy = func(_ context.Context, what Copy) error {
			if c.lacks == nil {
				t.Errorf("%s: it is copied", c.name)
			}
			what.Left(len(c.copied))
			sent.Add(c.sent)
			for _, path := range c.copied {
				what.Copying(path)
			}
			return nil
		}
		result := Run(t.Context(), Evaluated([]hive.Node{node("web")}), Options{Want: plan.Want{Goal: hive.Push}}, with, told)[0]
		if result.Status != event.Succeeded {
			t.Errorf("%s: %v", c.name, result.Err)
		}
		if c.first == "" {
			if len(told.events) > 0 {
				t.Errorf("%s: %+v", c.name, told.events)
			}
			continue
		}
		first, last := told.events[0], told.events[len(told.events)-1]
		if last.Text != c.last || last.Done != last.Total || last.Paths != len(c.copied) || last.Step != plan.Push {
			t.Errorf("%s: at the end %+v", c.name, last)
		}
		// The first is told while Nix begins, before or after it says what is left.
		if first.Kind != event.Progress || first.Done > first.Total || fmt.Sprintf("%d in %d", first.Total, first.Paths) != c.first && len(c.copied) == len(c.lacks) {
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
