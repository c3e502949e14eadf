package nixbuild

import (
	"context"
	"io"
	"maps"
	"os/exec"
	"slices"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/closure"

	"github.com/colmena-go/colmena-go/tests/hostdouble"
)

// thisMachine stands in for a host: its store is this one's.
type thisMachine struct{}

func (thisMachine) Run(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) error {
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	return hostdouble.Run(ctx, cmd, hostdouble.Streams{In: stdin, Out: stdout, Err: stderr, HangUp: true})
}

func TestAHostTellsWhatItsSystemNeedsAndKeepsNothing(t *testing.T) {
	b := building(t, nil, `let dep = drv "dep-1.0" "echo dep >$out" [ ]; in {
		a = drv "a" "echo ${dep} >$out" [ dep ]; b = drv "b" "echo b >$out" [ ]; }`)
	a, missing := b.systems["a"].OutPath, b.systems["b"].OutPath
	if errs := b.together("a"); errs["a"] != nil {
		t.Fatal(errs)
	}
	want, err := b.Closure(t.Context(), a)
	if err != nil || len(want) != 2 {
		t.Fatal(want, err)
	}
	b.Close() // which keeps them

	found, err := LookThere(t.Context(), thisMachine{}, closure.Question{Closures: []string{a, missing}, Wanted: []string{a, missing}})
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(found.Closures[a], want) {
		t.Errorf("it needs %v, want %v", found.Closures[a], want)
	}
	if _, there := found.Closures[missing]; there || !slices.Equal(found.Lacks, []string{missing}) {
		t.Errorf("what is not there is told as if it were: %+v", found)
	}
	if said, err := collect(a); err != nil {
		t.Errorf("a look keeps what it looks at: %s", said)
	}
	// A store that is asked about nothing says nothing.
	if found, err := LookThere(t.Context(), thisMachine{}, closure.Question{}); err != nil || len(found.Closures)+len(found.Lacks) > 0 {
		t.Errorf("%+v, %v", found, err)
	}
}
