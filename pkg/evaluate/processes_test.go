package evaluate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rs/zerolog"

	"github.com/colmena-go/colmena-go/pkg/nix"
	"github.com/colmena-go/colmena-go/pkg/nixeval"
	"github.com/colmena-go/colmena-go/tests/nixenv"
)

// dearHive has nodes that cost Nix a while each, one of which more so.
const dearHive = `let
	spin = n: builtins.foldl' (a: b: a + b) 0 (builtins.genList (x: x) n);
	node = n: { deployment.tags = [ (toString (spin n)) ]; };
in { a = node 300000; b = node 300001; c = node 300002; d = node 300003; e = node 300004; f = node 300005; }`

// watched is an Evaluator of real processes whose ids are known.
type watched struct {
	*nixeval.Evaluator
	begun func(node string, pid int)

	mu   sync.Mutex
	pids []int
}

func (w *watched) Run(ctx context.Context, part nixeval.Part, hooks nixeval.Hooks) error {
	id := 0
	started, begun := hooks.Started, hooks.Begun
	hooks.Started = func(pid int) {
		w.mu.Lock()
		id = pid
		w.pids = append(w.pids, pid)
		w.mu.Unlock()
		started(pid)
	}
	hooks.Begun = func(node string) {
		begun(node)
		if w.begun != nil {
			w.begun(node, id)
		}
	}
	return w.Evaluator.Run(ctx, part, hooks)
}

// left are processes of these that run still.
func (w *watched) left() (pids []int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, pid := range w.pids {
		if syscall.Kill(pid, 0) == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// evaluator evaluates a hive.nix with the Nix of this machine.
func evaluator(t *testing.T, text string) *watched {
	t.Helper()
	for _, v := range append(nixenv.Env(t), "NIX_PATH=nixpkgs="+nixenv.Nixpkgs(t)) {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	file := filepath.Join(t.TempDir(), "hive.nix")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return &watched{Evaluator: nixeval.New(nixeval.Tool{Tool: nix.Tool{Log: zerolog.Nop()}}, nixeval.Source{File: file})}
}

func TestNodesOfAProcessThatIsKilledAreDoneByOthers(t *testing.T) {
	w := evaluator(t, dearHive)
	var once sync.Once
	w.begun = func(node string, pid int) {
		if node == "c" {
			once.Do(func() { syscall.Kill(pid, syscall.SIGKILL) })
		}
	}
	e := Start(t.Context(), w, nixeval.Request{}, Limits{Workers: 2}, nil, zerolog.Nop())
	done := map[string]bool{}
	for node := range e.Nodes() {
		if node.Err != nil || done[node.Name] {
			t.Errorf("%s: %v", node.Name, node.Err)
		}
		done[node.Name] = true
	}
	if e.Err() != nil || len(done) != 6 {
		t.Errorf("%v: %v", e.Err(), done)
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
}

func TestAnInterruptLeavesNoProcess(t *testing.T) {
	w := evaluator(t, dearHive)
	ctx, stop := context.WithCancelCause(t.Context())
	w.begun = func(node string, _ int) {
		if node == "b" {
			stop(errors.New("interrupted"))
		}
	}
	e := Start(ctx, w, nixeval.Request{}, Limits{Workers: 2}, nil, zerolog.Nop())
	for range e.Nodes() {
	}
	if e.Err() == nil || len(w.left()) > 0 {
		t.Errorf("%v; processes %v are left", e.Err(), w.left())
	}
}

// A process that takes more than its share ends after the node at hand, and another
// takes over. Each of these nodes keeps some 80 MB.
func TestProcessesStayWithinTheirShareOfMemory(t *testing.T) {
	const text = `let node = n: { config, ... }: { deployment.tags = [ (toString (builtins.length (builtins.genList (x: toString (x + n)) 600000))) ]; };
	in { a = node 1; b = node 2; c = node 3; d = node 4; }`
	for share, several := range map[int64]bool{110 << 20: true, 4 << 30: false} {
		w := evaluator(t, text)
		e := Start(t.Context(), w, nixeval.Request{}, Limits{Workers: 1, Memory: share}, nil, zerolog.Nop())
		count := 0
		for node := range e.Nodes() {
			if node.Err != nil {
				t.Error(node.Err)
			}
			count++
		}
		if count != 4 || (len(w.pids) > 1) != several {
			t.Errorf("%d nodes in %d processes of %d bytes: %v", count, len(w.pids), share, e.Err())
		}
	}
}

func TestTheFirstNodeIsThereLongBeforeTheLast(t *testing.T) {
	w := evaluator(t, dearHive)
	var begun []string
	var mu sync.Mutex
	w.begun = func(node string, _ int) { mu.Lock(); begun = append(begun, node); mu.Unlock() }
	e := Start(t.Context(), w, nixeval.Request{}, Limits{Workers: 1}, nil, zerolog.Nop())
	<-e.Nodes()
	mu.Lock()
	if n := len(begun); n > 3 {
		t.Errorf("the first came when %d were begun", n)
	}
	mu.Unlock()
	for range e.Nodes() {
	}
}

// holding is a node that keeps so many strings while it is evaluated, each of which takes
// some 130 bytes.
func holding(strings int) string {
	return fmt.Sprintf(`{ deployment.tags = let l = builtins.genList (x: toString x) %d; in builtins.deepSeq l [ (toString (builtins.length l)) ]; }`, strings)
}

func TestANodeThatNeedsTooMuchMemoryFailsAlone(t *testing.T) {
	const limit = 300 << 20
	w := evaluator(t, "{ a = "+holding(1000)+"; b = "+holding(20000000)+"; c = "+holding(1001)+"; d = "+holding(1002)+"; }")
	e := Start(t.Context(), w, nixeval.Request{}, Limits{Workers: 2, Memory: limit}, nil, zerolog.Nop())
	errs := map[string]error{}
	for node := range e.Nodes() {
		errs[node.Name] = node.Err
	}
	var large *TooLarge
	if !errors.As(errs["b"], &large) || large.Took < limit/2 || large.Took > 2*limit || !errors.Is(large, nixeval.ErrMemory) ||
		!strings.Contains(large.Error(), `node "b"`) || !strings.Contains(large.Error(), "--eval-memory") || !strings.Contains(large.Error(), "300M") {
		t.Errorf("the one that is too large: %v", errs["b"])
	}
	if len(errs) != 4 || errs["a"] != nil || errs["c"] != nil || errs["d"] != nil || e.Err() != nil {
		t.Errorf("%v: %v", e.Err(), errs)
	}
	if left := w.left(); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
}

// Each of these takes about half of it, and Nix takes some, too.
func TestNodesThatDoNotFitTogetherAreEvaluatedOneByOne(t *testing.T) {
	w := evaluator(t, "{ a = "+holding(800000)+"; b = "+holding(800001)+"; c = "+holding(800002)+"; }")
	e := Start(t.Context(), w, nixeval.Request{}, Limits{Workers: 3, PerNodes: 1, Memory: 230 << 20}, nil, zerolog.Nop())
	for node := range e.Nodes() {
		if node.Err != nil {
			t.Error(node.Err)
		}
	}
	if e.Err() != nil {
		t.Error(e.Err())
	}
}

func TestAHiveThatNeedsTooMuchMemoryIsAnErrorOfItsOwn(t *testing.T) {
	w := evaluator(t, `let l = builtins.genList (x: toString x) 20000000; in builtins.deepSeq l { a.deployment.tags = [ (toString (builtins.length l)) ]; }`)
	e := Start(t.Context(), w, nixeval.Request{}, Limits{Workers: 2, Memory: 300 << 20}, nil, zerolog.Nop())
	if _, err := e.Hive(); !errors.Is(err, nixeval.ErrMemory) || !strings.Contains(err.Error(), "--eval-memory") {
		t.Error(err)
	}
	for range e.Nodes() {
	}
}
