package evaluate

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nixeval"
)

// buggy is a double of an Evaluator in which there is a bug.
type buggy struct{ waited <-chan struct{} }

func (b buggy) Run(context.Context, nixeval.Part, nixeval.Hooks) error {
	<-b.waited
	panic("a bug")
}

// A bug that a node's texts bring to light leaves nobody waiting.
func TestABugInATurnForTextsEndsIt(t *testing.T) {
	waited := make(chan struct{})
	e := &Evaluation{texts: texts{evaluator: buggy{waited}}}
	errs := make([]error, 2)
	var all sync.WaitGroup
	for i, name := range []string{"a", "b"} {
		all.Go(func() {
			defer crash.Recover(&errs[i])
			_, errs[i] = e.WithTexts(t.Context(), hive.Node{Name: name, Keys: []hive.Key{{Attr: "k", TextLater: true}}})
		})
	}
	close(waited)
	all.Wait()
	for _, err := range errs {
		if bug := (*crash.Error)(nil); !errors.As(err, &bug) {
			t.Errorf("it fails with %v", err)
		}
	}
}

// edited is a double of an Evaluator of a flake in which somebody has just replaced a
// key by another.
type edited struct{ mode string }

func (e edited) Run(_ context.Context, _ nixeval.Part, hooks nixeval.Hooks) error {
	hooks.Done([]byte(`{"name":"a","deployment":{"targetHost":"h","keys":{"k":{"name":"k","destDir":"/run/keys","user":"root","group":"root","permissions":"` + e.mode + `","uploadAt":"pre-activation","text":"s3cret"}}}}`))
	return nil
}

func TestATextGoesOnlyWhereItIsMeantTo(t *testing.T) {
	node := hive.Node{Name: "a", Keys: []hive.Key{{Attr: "k", Name: "k", DestDir: "/run/keys", User: "root", Group: "root", Mode: 0o644, UploadAt: hive.PreActivation, TextLater: true}}}
	for mode, want := range map[string]bool{"0644": true, "0600": false} {
		e := &Evaluation{texts: texts{evaluator: edited{mode}}}
		full, err := e.WithTexts(t.Context(), node)
		switch {
		case want && (err != nil || full.Keys[0].Text == nil):
			t.Errorf("%s: %v", mode, err)
		case !want && (err == nil || !strings.Contains(err.Error(), "run the command again")):
			t.Errorf("%s: the text has another key's mode: %v", mode, err)
		}
	}
}

// The texts of all nodes that are known by then are evaluated in one process, and
// one that is broken is the failure of its own node.
func TestATextThatIsBrokenFailsItsNodeAlone(t *testing.T) {
	for name, broken := range map[string]error{
		"an error of Nix":        &nixeval.EvalError{Node: "n01", Message: "no such thing"},
		"a text that is no text": &hive.Problem{Node: "n01", Text: "no such thing"},
	} {
		t.Run(name, func(t *testing.T) {
			d := &double{names: all(4), late: true}
			e := Start(t.Context(), d, nixeval.Request{Keys: true}, Limits{Workers: 1}, nil, zerolog.Nop())
			var nodes []hive.Node
			for node := range e.Nodes() {
				nodes = append(nodes, node.Node)
			}
			d.wrong = map[string]error{"n01": broken}
			before := len(d.parts)
			for _, node := range nodes {
				full, err := e.WithTexts(t.Context(), node)
				if node.Name == "n01" {
					if err == nil || !strings.Contains(err.Error(), "no such thing") {
						t.Errorf("the broken one: %v", err)
					}
				} else if err != nil || string(full.Keys[0].Text.Reveal()) != "s3cret of "+node.Name {
					t.Errorf("%s: %v", node.Name, err)
				}
			}
			parts := d.parts[before:]
			if len(parts) != 2 || !slices.Equal(parts[0].Only, all(4)) || !slices.Equal(parts[1].Only, []string{"n02", "n03"}) {
				t.Errorf("they were evaluated in %d processes: %+v", len(parts), parts)
			}
		})
	}
}

func TestWhoWaitsForTextsObeysAnInterrupt(t *testing.T) {
	waited := make(chan struct{})
	e := &Evaluation{texts: texts{evaluator: buggy{waited}, turn: make(chan struct{})}}
	ctx, stop := context.WithCancelCause(t.Context())
	why := errors.New("interrupted")
	stop(why)
	ended := make(chan error, 1)
	go func() {
		_, err := e.WithTexts(ctx, hive.Node{Name: "a", Keys: []hive.Key{{Attr: "k", TextLater: true}}})
		ended <- err
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, why) {
			t.Errorf("%v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it waits on")
	}
}

// textless tells nodes without the texts that they had.
type textless struct{}

func (textless) Run(_ context.Context, part nixeval.Part, hooks nixeval.Hooks) error {
	for _, node := range part.Only {
		hooks.Done([]byte(`{"name":"` + node + `","deployment":{"targetHost":"h","keys":{}}}`))
	}
	return nil
}

func TestAKeyWhoseTextIsGoneIsNotUploadedWithoutIt(t *testing.T) {
	e := &Evaluation{texts: texts{evaluator: textless{}}}
	_, err := e.WithTexts(t.Context(), hive.Node{Name: "a", Keys: []hive.Key{{Attr: "token", TextLater: true}}})
	if err == nil || !strings.Contains(err.Error(), `key "token"`) || !strings.Contains(err.Error(), "run the command again") {
		t.Errorf("%v", err)
	}
}

// Texts of nodes that together take too much memory are evaluated one by one.
func TestTextsThatDoNotFitTogetherAreEvaluatedOneByOne(t *testing.T) {
	d := &double{names: all(4), late: true}
	e := Start(t.Context(), d, nixeval.Request{Keys: true}, Limits{Workers: 1, Memory: 1 << 30}, nil, zerolog.Nop())
	var nodes []hive.Node
	for node := range e.Nodes() {
		nodes = append(nodes, node.Node)
	}
	d.wrong = map[string]error{"n01": nixeval.ErrMemory}
	before := len(d.parts)
	for _, node := range nodes {
		if full, err := e.WithTexts(t.Context(), node); err != nil || full.Keys[0].Text == nil {
			t.Errorf("%s: %v", node.Name, err)
		}
	}
	if n := len(d.parts) - before; n != 4 {
		t.Errorf("%d processes", n)
	}
	e.texts.got = nil
	d.wrong = map[string]error{"n02": nixeval.ErrMemory}
	var large *TooLarge
	if _, err := e.WithTexts(t.Context(), nodes[2]); !errors.As(err, &large) || large.Node != "n02" || large.Limit != 1<<30 {
		t.Errorf("%v", err)
	}
}

// outside is a double of an Evaluator whose process takes memory that Nix's collector does
// not know of.
type outside struct{}

func (outside) Run(ctx context.Context, part nixeval.Part, hooks nixeval.Hooks) error {
	hooks.Started(os.Getpid())
	<-ctx.Done()
	return context.Cause(ctx)
}

func TestTextsThatTakeTooMuchMemoryAreEnded(t *testing.T) {
	e := &Evaluation{texts: texts{evaluator: outside{}, most: 1, limit: Limits{Memory: 1 << 20}}}
	_, err := e.WithTexts(t.Context(), hive.Node{Name: "a", Keys: []hive.Key{{Attr: "k", TextLater: true}}})
	var large *TooLarge
	if !errors.As(err, &large) || large.Node != "a" {
		t.Errorf("%v", err)
	}
}
