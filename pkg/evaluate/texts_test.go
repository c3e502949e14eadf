package evaluate

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nix"
)

// buggy is a double of an Evaluator in which there is a bug.
type buggy struct{ waited <-chan struct{} }

func (b buggy) Run(context.Context, nix.Part, nix.Hooks) error {
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

func (e edited) Run(_ context.Context, _ nix.Part, hooks nix.Hooks) error {
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
