package evaluate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nixeval"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// double stands in for Nix: it "evaluates" nodes, each in some time, and is told
// which go wrong. What real processes do is tested in tests/cli and pkg/nixeval.
type double struct {
	names []string
	each  time.Duration
	wrong map[string]error // by node, once each
	late  bool             // the texts of keys come apart
	head  error

	mu    sync.Mutex
	parts []nixeval.Part
	now   int // processes
	most  int
}

func (d *double) Run(ctx context.Context, part nixeval.Part, hooks nixeval.Hooks) error {
	d.mu.Lock()
	part.Only = slices.Clone(part.Only) // which is the caller's again later
	d.parts = append(d.parts, part)
	d.now++
	d.most = max(d.most, d.now)
	d.mu.Unlock()
	defer func() { d.mu.Lock(); d.now--; d.mu.Unlock() }()
	if d.head != nil {
		return d.head
	}
	nodes := part.Only
	if hooks.Head != nil {
		nodes = slices.DeleteFunc(slices.Clone(d.names), func(n string) bool { return slices.Contains(part.Without, n) })
		if err := d.takeWrong("head"); err != nil {
			return err
		}
		hooks.Head(fmt.Appendf(nil, `{"names":["%s"],"selected":["%[1]s"]}`, strings.Join(nodes, `","`)))
	}
	for _, node := range nodes[:min(len(nodes), part.Most)] {
		if hooks.Begun != nil {
			hooks.Begun(node)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(d.each):
		}
		if err := d.takeWrong(node); err != nil {
			return err
		}
		key := `"text":"s3cret of ` + node + `"`
		if d.late && !part.Texts {
			key = `"textLater":true`
		}
		hooks.Done(fmt.Appendf(nil, `{"name":%q,"deployment":{"targetHost":"h","keys":{"k":{"name":"k","destDir":"/run/keys","user":"root","group":"root","permissions":"0600","uploadAt":"pre-activation",%s}}}}`, node, key))
	}
	return nil
}

func (d *double) takeWrong(node string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.wrong[node]
	delete(d.wrong, node)
	return err
}

// outcome is what became of each node: "ok" or its error.
func (d *double) outcome(t *testing.T, limits Limits) (map[string]string, *Evaluation) {
	t.Helper()
	e := Start(t.Context(), d, nixeval.Request{}, limits, nil, zerolog.Nop())
	if _, err := e.Hive(); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for node := range e.Nodes() {
		if _, twice := got[node.Name]; twice {
			t.Errorf("%s came twice", node.Name)
		}
		got[node.Name] = "ok"
		if node.Err != nil {
			got[node.Name] = node.Err.Error()
		}
	}
	return got, e
}

func TestEachNodeIsHandedOutWhenItIsDone(t *testing.T) {
	d := &double{names: all(6), each: 50 * time.Millisecond}
	e := Start(t.Context(), d, nixeval.Request{}, Limits{Workers: 1}, nil, zerolog.Nop())
	h, err := e.Hive()
	if err != nil || len(h.Selected) != 6 {
		t.Fatal(h, err)
	}
	first := <-e.Nodes()
	if got := e.Progress(); !strings.HasPrefix(got, "evaluating, ") || !strings.HasSuffix(got, " of 6 nodes done") {
		t.Errorf("it says %q", got)
	}
	d.mu.Lock()
	if d.now != 1 {
		t.Errorf("%s came after the end", first.Name)
	}
	d.mu.Unlock()
	for range e.Nodes() {
	}
}

func TestDearNodesAreEvaluatedSideBySideAndOnce(t *testing.T) {
	d := &double{names: all(40), each: 30 * time.Millisecond}
	got, e := d.outcome(t, Limits{Workers: 3})
	if len(got) != 40 || e.Err() != nil {
		t.Errorf("%d nodes, %v", len(got), e.Err())
	}
	if d.most != 3 {
		t.Errorf("%d processes at most, want 3", d.most)
	}
}

func TestANodeThatIsBrokenStopsOnlyItself(t *testing.T) {
	d := &double{names: all(8), wrong: map[string]error{
		"n02": &nixeval.EvalError{Node: "n02", Message: "no such thing"},
		"n05": &nixeval.EvalError{Message: "stack overflow"}, // which is how Nix says it: of no node
	}}
	got, e := d.outcome(t, Limits{Workers: 1})
	if e.Err() != nil || len(got) != 8 {
		t.Errorf("%v: %v", e.Err(), got)
	}
	for _, node := range all(8) {
		want := map[string]string{"n02": `node "n02" cannot be evaluated: no such thing`, "n05": `node "n05" cannot be evaluated: stack overflow`}[node]
		if want == "" {
			want = "ok"
		}
		if got[node] != want {
			t.Errorf("%s: %s, want %s", node, got[node], want)
		}
	}
}

func TestHowLongTheEvaluationOfABrokenNodeTookIsKnown(t *testing.T) {
	d := &double{names: all(2), each: 30 * time.Millisecond, wrong: map[string]error{"n01": &nixeval.EvalError{Node: "n01", Message: "no such thing"}}}
	e := Start(t.Context(), d, nixeval.Request{}, Limits{Workers: 1}, nil, zerolog.Nop())
	for node := range e.Nodes() {
		if node.Err != nil && (node.Took < 30*time.Millisecond || node.Took > time.Minute) {
			t.Errorf("%s took %s", node.Name, node.Took)
		}
	}
}

func TestANodeWhoseTagsCannotBeReadStopsOnlyItself(t *testing.T) {
	d := &double{names: all(4), wrong: map[string]error{"head": &nixeval.EvalError{Node: "n03", Message: "no such thing"}}}
	got, e := d.outcome(t, Limits{Workers: 1})
	if e.Err() != nil || got["n03"] != `node "n03" cannot be evaluated: no such thing` || got["n00"] != "ok" || len(got) != 4 {
		t.Errorf("%v: %v", e.Err(), got)
	}
	if h, _ := e.Hive(); !slices.Equal(h.Selected, all(4)) {
		t.Errorf("selected are %q", h.Selected)
	}
}

func TestWhatTheKernelKillsIsTriedAgainByItself(t *testing.T) {
	d := &double{names: all(12), each: 20 * time.Millisecond, wrong: map[string]error{"n03": nixeval.ErrKilled}}
	got, e := d.outcome(t, Limits{Workers: 2})
	if len(got) != 12 || got["n03"] != "ok" || e.Err() != nil {
		t.Errorf("%v: %v", e.Err(), got)
	}
	if last := d.parts[len(d.parts)-1]; !slices.Equal(last.Only, []string{"n03"}) {
		t.Errorf("the last process had %q", last.Only)
	}
	again := &stubborn{double{names: all(3)}}
	got, e = again.outcome(t)
	if got["n01"] == "ok" || !strings.Contains(got["n01"], "most likely it needs more memory") || got["n02"] != "ok" || e.Err() != nil {
		t.Errorf("%v: %v", e.Err(), got)
	}
}

// stubborn is killed whenever it evaluates n01.
type stubborn struct{ double }

func (s *stubborn) Run(ctx context.Context, part nixeval.Part, hooks nixeval.Hooks) error {
	s.mu.Lock()
	s.wrong = map[string]error{"n01": nixeval.ErrKilled}
	s.mu.Unlock()
	return s.double.Run(ctx, part, hooks)
}

func (s *stubborn) outcome(t *testing.T) (map[string]string, *Evaluation) {
	e := Start(t.Context(), s, nixeval.Request{}, Limits{Workers: 1}, nil, zerolog.Nop())
	got := map[string]string{}
	for node := range e.Nodes() {
		got[node.Name] = "ok"
		if node.Err != nil {
			got[node.Name] = node.Err.Error()
		}
	}
	return got, e
}

func TestAnErrorOfTheHiveAsAWholeIsTold(t *testing.T) {
	whole := &nixeval.EvalError{Message: "meta is broken"}
	e := Start(t.Context(), &double{head: whole}, nixeval.Request{}, Limits{}, nil, zerolog.Nop())
	if h, err := e.Hive(); h != nil || !errors.Is(err, nixeval.ErrEval) {
		t.Errorf("%v, %v", h, err)
	}
	for node := range e.Nodes() {
		t.Errorf("and a node %s", node.Name)
	}
}

func TestNodesThatFailAlikeAreKnownAsThat(t *testing.T) {
	d := &double{names: all(3), wrong: map[string]error{}}
	for _, node := range all(3) {
		d.wrong[node] = &nixeval.EvalError{Node: node, Message: "the defaults are broken"}
	}
	e := Start(t.Context(), d, nixeval.Request{}, Limits{Workers: 1}, nil, zerolog.Nop())
	others := map[string]string{}
	for node := range e.Nodes() {
		var alike *Alike
		if errors.As(node.Err, &alike) {
			others[node.Name] = alike.Other
		}
	}
	if len(others) != 2 || others["n01"] != "n00" || others["n02"] != "n00" {
		t.Errorf("%v", others)
	}
}

// What all share costs a few processes, and is claimed of those alone that were tried:
// the first, the last, and one between.
func TestWhereNodesFromAllPartsFailAlikeTheOthersAreNotTried(t *testing.T) {
	for _, workers := range []int{1, 2} {
		d := &double{names: all(30), each: 20 * time.Millisecond, wrong: map[string]error{}}
		for _, node := range all(30) {
			d.wrong[node] = &nixeval.EvalError{Node: node, Message: "the defaults are broken for host " + node}
		}
		e := Start(t.Context(), d, nixeval.Request{}, Limits{Workers: workers}, nil, zerolog.Nop())
		var untried *Untried
		var seen []string
		count := 0
		for node := range e.Nodes() {
			if count++; node.Err == nil {
				t.Errorf("%s is sound", node.Name)
			}
			if !errors.As(node.Err, &untried) {
				seen = append(seen, node.Name)
			}
		}
		slices.Sort(seen)
		if count != 30 || e.Err() != nil || len(seen) > 4 || untried == nil || !slices.Equal(untried.Others, seen) {
			t.Fatalf("%d nodes, %v; tried %q, told %v", count, e.Err(), seen, untried)
		}
		if workers == 1 && (len(seen) != 3 || seen[0] != "n00" || seen[2] != "n29") {
			t.Errorf("tried %q", seen)
		}
		if len(d.parts) > 5 {
			t.Errorf("%d processes", len(d.parts))
		}
	}
}

func TestOneSoundNodeIsEnoughToTryAll(t *testing.T) {
	d := &double{names: all(12), wrong: map[string]error{}}
	for _, node := range all(11) {
		d.wrong[node] = &nixeval.EvalError{Node: node, Message: "broken"}
	}
	got, _ := d.outcome(t, Limits{Workers: 1})
	for node, what := range got {
		if strings.Contains(what, "not evaluated") {
			t.Errorf("%s: %s", node, what)
		}
	}
}

func TestTagsThatCannotBeReadAnywhereAreGivenUp(t *testing.T) {
	d := &noTags{}
	e := Start(t.Context(), d, nixeval.Request{}, Limits{Workers: 1}, nil, zerolog.Nop())
	if _, err := e.Hive(); err == nil || !strings.Contains(err.Error(), "the tags of n0, n1, n2 cannot be read for one reason") || d.runs != 3 {
		t.Errorf("%d processes, %v", d.runs, err)
	}
	for range e.Nodes() {
	}
}

// noTags is a hive in which the tags of no node can be read.
type noTags struct{ runs int }

func (n *noTags) Run(context.Context, nixeval.Part, nixeval.Hooks) error {
	n.runs++
	return &nixeval.EvalError{Node: fmt.Sprintf("n%d", n.runs-1), Message: "broken"}
}

// One reason must not hide another.
func TestNodesThatFailForReasonsOfTheirOwnAreToldApart(t *testing.T) {
	d := &double{names: all(2), wrong: map[string]error{
		"n00": &nixeval.EvalError{Node: "n00", Message: "no such thing"},
		"n01": &nixeval.EvalError{Node: "n01", Message: "no such other thing"},
	}}
	e := Start(t.Context(), d, nixeval.Request{}, Limits{Workers: 1}, nil, zerolog.Nop())
	for node := range e.Nodes() {
		var alike *Alike
		if node.Err == nil || errors.As(node.Err, &alike) {
			t.Errorf("%s: %v, like %q", node.Name, node.Err, alike.Other)
		}
	}
}

// A mistake that is to be mended in one place is told once, and one that each node has for
// itself is told of each, however alike they read.
func TestWhichMistakesAreOne(t *testing.T) {
	is := func(text string) func(string) error {
		return func(node string) error {
			return &nixeval.EvalError{Node: node, Message: strings.ReplaceAll(text, "NODE", node)}
		}
	}
	for what, one := range map[string]struct {
		err  func(node string) error
		same bool
	}{
		"words without a name":     {is("the defaults are broken"), true},
		"a shared module's":        {is("no disk is known for NODE"), true},
		"a name that is missing":   {is("attribute 'NODE' missing at /hive/lib.nix:3:5"), true},
		"the name of one of them":  {is("attribute 'web' missing at /hive/lib.nix:3:5"), true},
		"a name like a word":       {is("web is no host"), true},
		"the hive's own":           {is("The option `services.x' does not exist. Definition values:\n- In `NODE in the hive': true"), true},
		"a file for each":          {is("undefined variable 'x' at /hive/hosts/NODE.nix:3:5"), false},
		"a folder for each":        {is("undefined variable 'x' at /hive/NODE/default.nix:3:5"), false},
		"a value with the name":    {problem("is \"NODE:22\": set targetPort = 22"), false},
		"a value that is the name": {problem("is \"NODE\""), true},
	} {
		e := &Evaluation{reasons: map[string]string{}}
		first := e.alike(Node{Node: hive.Node{Name: "web"}, Err: one.err("web")})
		second := e.alike(Node{Node: hive.Node{Name: "db"}, Err: one.err("db")})
		var alike *Alike
		if errors.As(first, &alike) || errors.As(second, &alike) != one.same {
			t.Errorf("%s: %v, then %#v", what, first, second)
		}
	}
}

func problem(text string) func(string) error {
	return func(node string) error {
		return &hive.Problem{Node: node, Option: "targetHost", Text: strings.ReplaceAll(text, "NODE", node)}
	}
}

// silent ends well without a word of its last node.
type silent struct{ double }

func (s *silent) Run(ctx context.Context, part nixeval.Part, hooks nixeval.Hooks) error {
	if part.Only == nil {
		part.Most = len(s.names) - 1
	} else {
		part.Most = 0
	}
	return s.double.Run(ctx, part, hooks)
}

func TestANodeOfWhichNothingIsSaidFails(t *testing.T) {
	e := Start(t.Context(), &silent{double{names: all(3)}}, nixeval.Request{}, Limits{Workers: 1}, nil, zerolog.Nop())
	errs := map[string]error{}
	for node := range e.Nodes() {
		errs[node.Name] = node.Err
	}
	if len(errs) != 3 || errs["n00"] != nil || !errors.Is(errs["n02"], nixeval.ErrEval) || !strings.Contains(errs["n02"].Error(), `"n02"`) {
		t.Errorf("%v; %v", errs, e.Err())
	}
}

// What breaks after a node was told cannot be taken back, and is told of the whole.
func TestAnErrorOfANodeThatWasDoneIsOneOfTheWhole(t *testing.T) {
	d := &double{names: all(3), wrong: map[string]error{"n01": &nixeval.EvalError{Node: "n00", Message: "no such thing"}}}
	got, e := d.outcome(t, Limits{Workers: 1})
	if node, told := got["n00"]; told && node != "ok" || e.Err() == nil || !strings.Contains(e.Err().Error(), "no such thing") {
		t.Errorf("%v; %v", got, e.Err())
	}
}

func TestABugInAnEvaluatorIsTheErrorOfTheEvaluation(t *testing.T) {
	waited := make(chan struct{})
	close(waited)
	e := Start(t.Context(), buggy{waited}, nixeval.Request{}, Limits{}, nil, zerolog.Nop())
	var bug *crash.Error
	if _, err := e.Hive(); !errors.As(err, &bug) {
		t.Errorf("%v", err)
	}
	for node := range e.Nodes() {
		t.Errorf("and a node %s", node.Name)
	}
}

func TestAnInterruptEndsAllProcesses(t *testing.T) {
	ctx, stop := context.WithCancelCause(t.Context())
	d := &double{names: all(50), each: 50 * time.Millisecond}
	e := Start(ctx, d, nixeval.Request{}, Limits{Workers: 3}, nil, zerolog.Nop())
	<-e.Nodes()
	stop(errors.New("interrupted"))
	for range e.Nodes() {
	}
	if e.Err() == nil || e.Err().Error() != "interrupted" {
		t.Errorf("%v", e.Err())
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.now != 0 {
		t.Errorf("%d processes are left", d.now)
	}
}

func TestTextsThatCameLaterAreEvaluatedForAllWhoWait(t *testing.T) {
	d := &double{names: all(5), late: true}
	e := Start(t.Context(), d, nixeval.Request{Keys: true, Toplevel: true}, Limits{Workers: 1}, nil, zerolog.Nop())
	var wait sync.WaitGroup
	for node := range e.Nodes() {
		wait.Go(func() {
			full, err := e.WithTexts(t.Context(), node.Node)
			if err != nil || string(full.Keys[0].Text.Reveal()) != "s3cret of "+node.Name || full.Keys[0].TextLater {
				t.Errorf("%s: %v", node.Name, err)
			}
			if node.Keys[0].Text != nil {
				t.Error("the node itself has changed")
			}
		})
	}
	wait.Wait()
	if before := len(d.parts); before > 6 {
		t.Errorf("%d processes", before)
	}
	if _, err := e.WithTexts(t.Context(), hive.Node{Name: "none"}); err != nil {
		t.Errorf("who has no such key needs nothing: %v", err)
	}
}

func TestTextsOfManyNodesTakeTurns(t *testing.T) {
	d := &double{names: all(10), late: true}
	e := Start(t.Context(), d, nixeval.Request{Keys: true}, Limits{Workers: 1, PerNodes: 4}, nil, zerolog.Nop())
	var nodes []hive.Node
	for node := range e.Nodes() {
		nodes = append(nodes, node.Node)
	}
	var wait sync.WaitGroup
	for _, node := range nodes {
		wait.Go(func() {
			if full, err := e.WithTexts(t.Context(), node); err != nil || full.Keys[0].Text == nil {
				t.Errorf("%s: %v", node.Name, err)
			}
		})
	}
	wait.Wait()
	got := map[string]int{}
	for _, part := range d.parts {
		if !part.Texts {
			continue
		}
		if len(part.Only) > 4 || part.Heap == 0 {
			t.Errorf("one process had %q and %d bytes", part.Only, part.Heap)
		}
		for _, node := range part.Only {
			got[node]++
		}
	}
	for _, node := range all(10) {
		if got[node] != 1 {
			t.Errorf("the texts of %s were evaluated %d times", node, got[node])
		}
	}
}

// The node that cannot be read might have the tag that no other has.
func TestATagThatNoneHasMayBeThatOfABrokenNode(t *testing.T) {
	broken := &nixeval.EvalError{Node: "n01", Message: "no such thing"}
	d := &noMatch{double{names: all(2), wrong: map[string]error{"head": broken}}}
	e := Start(t.Context(), d, nixeval.Request{}, Limits{Workers: 1}, nil, zerolog.Nop())
	if _, err := e.Hive(); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	for range e.Nodes() {
	}
}

// noMatch is a hive in which nothing has the tag that is asked for.
type noMatch struct{ double }

func (d *noMatch) Run(ctx context.Context, part nixeval.Part, hooks nixeval.Hooks) error {
	head := hooks.Head
	hooks.Head = func([]byte) { head([]byte(`{"names":["n00","n01"],"selected":[],"unmatched":["@web"]}`)) }
	part.Most = 0
	return d.double.Run(ctx, part, hooks)
}

// What the first process was asked for is asked of the others, but for the selection,
// which is known by then: to match tags again would be to read those of all nodes.
func TestOtherProcessesSelectNothingAndLeaveOutWhatIsBroken(t *testing.T) {
	selector, err := hive.ParseSelector("@web")
	if err != nil {
		t.Fatal(err)
	}
	d := &double{names: all(6), wrong: map[string]error{"head": &nixeval.EvalError{Node: "n05", Message: "no such thing"}}}
	e := Start(t.Context(), d, nixeval.Request{Selector: selector, Keys: true}, Limits{Workers: 1, PerNodes: 2}, func([]byte) {}, zerolog.Nop())
	for range e.Nodes() {
	}
	if len(d.parts) != 4 || e.Err() != nil {
		t.Fatalf("%d processes, %v", len(d.parts), e.Err())
	}
	for i, part := range d.parts {
		first := i < 2 // the second is the first again
		if part.Selector.All() == first || !part.Keys || !part.Announce || first && part.Most != 2 || (part.Only == nil) != first {
			t.Errorf("process %d is asked for %+v", i, part)
		}
		if leftOut := i > 0; slices.Equal(part.Without, []string{"n05"}) != leftOut {
			t.Errorf("process %d leaves out %q", i, part.Without)
		}
	}
}
