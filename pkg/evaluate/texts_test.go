package evaluate

import (
	"context"
	"errors"
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
