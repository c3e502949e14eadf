package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The hosts here are doubles that record what they are told; tests/hosts has
// real ones. What is tested is the order of steps and who waits for whom.

// double is a host without a machine.
type double struct {
	run      func(program string, stdin io.Reader, stdout io.Writer) error
	current  string // the system it runs, "" for none
	profile  string // the one that it boots
	mu       sync.Mutex
	commands []string
	closed   bool
	cut      chan struct{} // closed when ctx is done, unless nil
	stores   int           // those that were not closed
}

// called takes a command apart: the mark that the host has to say first, and
// the program.
var called = regexp.MustCompile(`^(?:timeout \d+ )?sh -c 'echo (\S+)""(\S+); (.*)'$`)

func (d *double) Run(ctx context.Context, command string, stdin io.Reader, stdout, stderr io.Writer) error {
	parts := called.FindStringSubmatch(command)
	if parts == nil {
		return fmt.Errorf("this is not how a host is told to run something: %s", command)
	}
	fmt.Fprintf(stdout, "%s%s\n", parts[1], parts[2])
	d.mu.Lock()
	d.commands = append(d.commands, parts[3])
	d.mu.Unlock()
	if d.cut != nil && !strings.Contains(parts[3], "readlink") {
		defer context.AfterFunc(ctx, func() { close(d.cut) })()
	}
	switch {
	case d.cut != nil && !strings.Contains(parts[3], "readlink"):
		d.run(command, stdin, stdout)
		return context.Cause(ctx)
	case d.run != nil && !strings.Contains(parts[3], "readlink"), d.run != nil && d.current == "gone":
		return d.run(command, stdin, stdout)
	case strings.Contains(parts[3], "readlink"):
		fmt.Fprintf(stdout, "%s\n%s\n.\n", cmp.Or(d.current, "-"), cmp.Or(d.profile, "-"))
		return nil
	}
	return errors.New("a double runs nothing else")
}

func (d *double) self() *double { return d }

func (d *double) Close() error {
	d.closed = true
	return nil
}

// storeDouble is the store of a double, which lacks everything.
type storeDouble struct {
	*double
	add func(paths []string, begin func(string), sent func(int)) error
}

func (s storeDouble) Lacks(paths []string) ([]string, error) { return paths, nil }
func (s storeDouble) Fetch(paths []string) (lacked, lacks []string, err error) {
	return paths, paths, nil
}
func (s storeDouble) Add(paths []string, begin func(string), sent func(int)) error {
	return s.add(paths, begin, sent)
}
func (s storeDouble) Give(paths []string, begin func(string), sent func(int)) ([]string, error) {
	return paths, s.add(paths, begin, sent)
}
func (s storeDouble) Close() { s.stores-- }

// copying is a Tools.Store whose hosts get their paths that way.
func copying(add func(paths []string) error) func(context.Context, Host, []string, func(string)) Store {
	return func(_ context.Context, host Host, _ []string, _ func(string)) Store {
		d := host.(interface{ self() *double }).self()
		d.stores++
		return storeDouble{d, func(paths []string, _ func(string), _ func(int)) error { return add(paths) }}
	}
}

// journal is a sink and a record of what the tools were asked.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (j *journal) Emit(event.Event) {}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.lines, "; ")
}

func node(name string) hive.Node {
	return hive.Node{Name: name, Target: &hive.Target{Host: name}, ReplaceUnknownProfiles: true,
		Toplevel: &hive.Toplevel{DrvPath: "/drv-" + name, OutPath: "/out-" + name}}
}

func tools(j *journal, hosts map[string]*double) Tools {
	return Tools{
		Open: func(_ context.Context, n hive.Node, _ func(string)) (Host, error) {
			j.add("dial " + n.Name)
			return hosts[n.Name], nil
		},
		CheckSources: func(_ context.Context, n hive.Node) error { j.add("sources " + n.Name); return nil },
		Build: func(_ context.Context, n hive.Node, _ func(string)) error {
			j.add("build " + n.Name)
			return nil
		},
		BuildThere: func(_ context.Context, _ Host, n hive.Node, _ func(string)) error {
			j.add("build there " + n.Name)
			return nil
		},
		Closure: func(_ context.Context, path string) (map[string]int64, error) {
			return map[string]int64{path: 1000}, nil
		},
		Store: func(_ context.Context, host Host, roots []string, _ func(string)) Store {
			j.add(fmt.Sprint("keep ", strings.Join(roots, " ")))
			d := host.(interface{ self() *double }).self()
			d.stores++
			return storeDouble{d, func(paths []string, _ func(string), _ func(int)) error {
				j.add("copy " + strings.Join(paths, " "))
				return nil
			}}
		},
		Release: func(_ context.Context, _ Host, roots []string) error {
			j.add(fmt.Sprint("release ", strings.Join(roots, " ")))
			return nil
		},
		Known: func(context.Context, string) (bool, error) { return true, nil },
		Resolve: func(context.Context, hive.Node, func(string)) (map[string]secret.Secret, error) {
			j.add("resolve")
			return nil, errors.New("the vault is sealed")
		},
	}
}

// atOnce lets so many nodes push and be changed at once.
func atOnce(most int) Schedule {
	both := NewLimit(most, "--parallel")
	return Schedule{Push: both, Change: both}
}

func TestStepsComeInOrderAndOnlyThoseOfTheGoal(t *testing.T) {
	for goal, want := range map[hive.Goal]string{
		hive.Build: "build web",
		hive.Push:  "dial web; build web; keep /out-web; copy /out-web; release /out-web",
	} {
		j, host := &journal{}, &double{}
		results := Run(t.Context(), Evaluated([]hive.Node{node("web")}), Options{Want: plan.Want{Goal: goal}}, tools(j, map[string]*double{"web": host}), j)
		if host.stores != 0 {
			t.Error("the host's store is left open")
		}
		if results[0].Status != event.Succeeded || j.String() != want {
			t.Errorf("%s: %s, %v; %s, want %s", goal, results[0].Status, results[0].Err, j, want)
		}
		if goal.NeedsHost() && !host.closed {
			t.Errorf("%s: the connection stays open", goal)
		}
	}
}

func TestKeysThatCannotBeResolvedStopTheNodeBeforeItsFirstChange(t *testing.T) {
	j, host := &journal{}, &double{}
	n := node("web")
	n.Keys = []hive.Key{{Attr: "k", Command: []string{"vault"}}}
	results := Run(t.Context(), Evaluated([]hive.Node{n}), Options{Want: plan.Want{Goal: hive.Keys}}, tools(j, map[string]*double{"web": host}), j)
	if results[0].Status != event.Failed || results[0].Step != plan.Resolve || len(host.commands) > 0 {
		t.Errorf("%+v, commands %q", results[0], host.commands)
	}
	// Nor is anything resolved that is not to be uploaded.
	j = &journal{}
	Run(t.Context(), Evaluated([]hive.Node{n}), Options{Want: plan.Want{Goal: hive.Switch, NoKeys: true}}, tools(j, map[string]*double{"web": host}), j)
	if strings.Contains(j.String(), "resolve") {
		t.Errorf("with NoKeys: %s", j)
	}
}

func TestSourcesThatAreMissingAreToldBeforeAnythingIsBuiltOrDialled(t *testing.T) {
	lacking, sound := node("lacking"), node("sound")
	lacking.Keys = []hive.Key{{Attr: "k", File: "/none"}}
	for goal, want := range map[hive.Goal]event.Status{
		hive.Switch: event.Failed, hive.Keys: event.Failed,
		hive.Build: event.Succeeded, hive.Push: event.Succeeded,
	} {
		j := &journal{}
		ts := tools(j, map[string]*double{"lacking": {}, "sound": {}})
		ts.CheckSources = func(_ context.Context, n hive.Node) error { return errors.New("no such file") }
		results := Run(t.Context(), Evaluated([]hive.Node{lacking, sound}), Options{Want: plan.Want{Goal: goal}}, ts, j)
		if results[0].Status != want || strings.Contains(j.String(), "lacking") != (want == event.Succeeded) {
			t.Errorf("%s: %s (%v), and it came to %q", goal, results[0].Status, results[0].Err, j)
		}
		if want == event.Failed && (results[0].Step != plan.Resolve || goal.NeedsHost() && !strings.Contains(j.String(), "dial sound")) {
			t.Errorf("%s: step %s; the other node: %q", goal, results[0].Step, j)
		}
	}
}

func TestANodeThatIsDialledHoldsNoSlot(t *testing.T) {
	j := &journal{}
	ts := tools(j, map[string]*double{"quick": {}})
	release := make(chan struct{})
	dial := ts.Open
	ts.Open = func(ctx context.Context, n hive.Node, _ func(string)) (Host, error) {
		if n.Name == "dead" {
			<-release
			return nil, errors.New("no answer")
		}
		return dial(ctx, n, nil)
	}
	ts.Store = copying(func([]string) error {
		close(release) // the dead one is let go only after the quick one came this far
		return nil
	})
	done := make(chan []event.Result)
	go func() {
		done <- Run(t.Context(), Evaluated([]hive.Node{node("dead"), node("quick")}), Options{Want: plan.Want{Goal: hive.Push}, Schedule: atOnce(1)}, ts, j)
	}()
	select {
	case results := <-done:
		if results[0].Status != event.Failed || results[1].Status != event.Succeeded {
			t.Errorf("%+v", results)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the dead node holds the only slot")
	}
}

func TestSlotsLimitHowManyNodesAreAtWork(t *testing.T) {
	j := &journal{}
	hosts := map[string]*double{"a": {}, "b": {}, "c": {}}
	ts := tools(j, hosts)
	var mu sync.Mutex
	now, most := 0, 0
	ts.Store = copying(func([]string) error {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		time.Sleep(20 * time.Millisecond)
		mu.Lock()
		now--
		mu.Unlock()
		return nil
	})
	Run(t.Context(), Evaluated([]hive.Node{node("a"), node("b"), node("c")}), Options{Want: plan.Want{Goal: hive.Push}, Schedule: atOnce(2)}, ts, j)
	if most != 2 {
		t.Errorf("%d at once, want 2", most)
	}
}

// notes is a sink that keeps what is noted.
type notes struct{ texts chan string }

func (n notes) Emit(e event.Event) {
	if e.Kind == event.Still {
		n.texts <- e.Text
	}
}

func TestAStepThatTakesLongSaysWhatItWaitsFor(t *testing.T) {
	defer func(usual time.Duration) { firstWait = usual }(firstWait)
	firstWait = 10 * time.Millisecond
	said := notes{make(chan string, 100)}
	var blocker atomic.Value
	blocker.Store("")
	ts := tools(&journal{}, nil)
	ts.Build = func(context.Context, hive.Node, func(string)) error {
		for range 2 {
			if text := <-said.texts; !strings.HasPrefix(text, "still building /out-web (") {
				t.Errorf("said %q", text)
			}
		}
		blocker.Store("waiting for linux-6.6.31, 12 of 43 builds left")
		for {
			if text := <-said.texts; strings.HasPrefix(text, "still building /out-web: waiting for linux-6.6.31, 12 of 43 builds left (") {
				return nil
			}
		}
	}
	ts.BuildWaitsFor = func(hive.Node) string { return blocker.Load().(string) }
	Run(t.Context(), Evaluated([]hive.Node{node("web")}), Options{Want: plan.Want{Goal: hive.Build}}, ts, said)
	for len(said.texts) > 0 {
		<-said.texts
	}
	time.Sleep(50 * time.Millisecond)
	if len(said.texts) > 0 {
		t.Errorf("after the end: %q", <-said.texts)
	}
}

func TestNodesWithoutAHostAreSkipped(t *testing.T) {
	n := node("local")
	n.Target = nil
	j := &journal{}
	for goal, want := range map[hive.Goal]event.Status{hive.Build: event.Succeeded, hive.Push: event.Skipped, hive.Switch: event.Skipped, hive.Keys: event.Skipped} {
		if got := Run(t.Context(), Evaluated([]hive.Node{n}), Options{Want: plan.Want{Goal: goal}}, tools(j, nil), j)[0].Status; got != want {
			t.Errorf("%s: %s, want %s", goal, got, want)
		}
	}
	if strings.Contains(j.String(), "dial") {
		t.Error("a host that does not exist was dialled")
	}
}

func TestAnInterruptBeginsNothingNew(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("interrupted")
	j := &journal{}
	ts := tools(j, map[string]*double{"web": {}})
	ts.Build = func(ctx context.Context, _ hive.Node, _ func(string)) error {
		cancel(why)
		<-ctx.Done()
		return context.Cause(ctx)
	}
	result := Run(ctx, Evaluated([]hive.Node{node("web")}), Options{Want: plan.Want{Goal: hive.Push}}, ts, j)[0]
	if result.Status != event.Cancelled || !errors.Is(result.Err, why) || strings.Contains(j.String(), "copy") {
		t.Errorf("%+v; %s", result, j)
	}
}

// switching is a host whose switch waits for a key and ends with a status, and
// which refuses every upload.
func switching(t *testing.T, exit int, uploads chan struct{}) *double {
	return &double{run: func(command string, stdin io.Reader, stdout io.Writer) error {
		if strings.HasPrefix(command, "timeout") {
			uploads <- struct{}{}
			return errors.New("the host is locked")
		}
		words := listed(t, command, stdin)
		mark, top := words[2], words[5]
		fmt.Fprintf(stdout, "\r%s launch\n\r%[1]s began\n", mark)
		if exit == 0 {
			for range 3 { // which counts once
				fmt.Fprintf(stdout, "\r%s job late-key.service\n", mark)
			}
			<-uploads
		}
		current := top
		if exit == 1 || exit == 100 {
			current = "-"
		}
		fmt.Fprintf(stdout, "\r%s state %s %s\n\r%s exit %d\n", mark, current, top, mark, exit)
		return nil
	}}
}

// listed reads past the script to the words behind it.
func listed(t *testing.T, command string, stdin io.Reader) []string {
	t.Helper()
	var length, size int
	_, program, _ := strings.Cut(command, "; ")
	if _, err := fmt.Sscanf(program, `eval "$(head -c %d)"'`, &length); err != nil {
		t.Errorf("%s: %v", command, err)
	}
	io.CopyN(io.Discard, stdin, int64(length))
	if _, err := fmt.Fscanf(stdin, "%d\n", &size); err != nil {
		t.Error(err)
	}
	list := make([]byte, size)
	if _, err := io.ReadFull(stdin, list); err != nil {
		t.Error(err)
	}
	return strings.Split(string(list), "\n")
}

// lateNode has one post-activation key.
func lateNode() hive.Node {
	n := node("web")
	n.Toplevel.OutPath = "/nix/store/system"
	n.Keys = []hive.Key{{Attr: "late", Name: "late", DestDir: "/run/keys", User: "root", Group: "root", Mode: 0o600, UploadAt: hive.PostActivation}}
	return n
}

// lateTools have its content.
func lateTools(j *journal, host *double) Tools {
	with := tools(j, map[string]*double{"web": host})
	with.Resolve = func(context.Context, hive.Node, func(string)) (map[string]secret.Secret, error) {
		return map[string]secret.Secret{"late": secret.New([]byte("v"))}, nil
	}
	return with
}

// switchWithLateKey switches a node that has one post-activation key.
func switchWithLateKey(t *testing.T, host *double) event.Result {
	j := &journal{}
	return Run(t.Context(), Evaluated([]hive.Node{lateNode()}), Options{Want: plan.Want{Goal: hive.Switch}}, lateTools(j, host), j)[0]
}

// A switch may end well although the key it waited for was not ours: then the
// keys whose upload failed are still due, and a node without them has failed.
func TestAnEarlyUploadThatFailsIsMadeUpForOrReported(t *testing.T) {
	uploads := make(chan struct{}, 2)
	r := switchWithLateKey(t, switching(t, 0, uploads))
	if r.Status != event.Failed || r.Step != plan.Upload || !strings.Contains(fmt.Sprint(r.Err), "locked") {
		t.Errorf("the node ended as %s in step %q: %v", r.Status, r.Step, r.Err)
	}
	if len(uploads) != 1 {
		t.Error("the keys were not sent again after the switch")
	}
}

// With --no-keys nobody brings the key that the switch waits for.
func TestASwitchThatWaitsForAKeyThatIsLeftOutIsNotWaitedFor(t *testing.T) {
	going := make(chan struct{})
	host := &double{}
	host.run = func(command string, stdin io.Reader, stdout io.Writer) error {
		words := listed(t, command, stdin)
		fmt.Fprintf(stdout, "\r%s launch\n\r%[1]s began\n\r%[1]s job late-key.service\n", words[2])
		<-going // as long as the switch waits
		return nil
	}
	n := node("web")
	n.Toplevel.OutPath = "/nix/store/system"
	n.Keys = []hive.Key{{Attr: "late", Name: "late"}}
	j := &journal{}
	host.cut = going
	r := Run(t.Context(), Evaluated([]hive.Node{n}), Options{Want: plan.Want{Goal: hive.Switch, NoKeys: true}}, tools(j, map[string]*double{"web": host}), j)[0]
	for _, says := range []string{"late-key.service", "--no-keys", "run upload-keys"} {
		if r.Status != event.Failed || r.Step != plan.Activate || !strings.Contains(fmt.Sprint(r.Err), says) {
			t.Errorf("%s in step %q: %v; want one that says %q", r.Status, r.Step, r.Err, says)
		}
	}
}

func TestAFailedUnitDoesNotKeepTheKeysBack(t *testing.T) {
	uploads := make(chan struct{}, 2)
	r := switchWithLateKey(t, switching(t, 4, uploads))
	if r.Status != event.Failed || r.Step != plan.Activate || len(uploads) != 1 || !strings.Contains(fmt.Sprint(r.Err), "locked") || !strings.Contains(fmt.Sprint(r.Err), "units failed") {
		t.Errorf("%d uploads; the node ended as %s: %v", len(uploads), r.Status, r.Err)
	}
}

func TestASystemThatIsNotActiveGetsNoLateKeys(t *testing.T) {
	uploads := make(chan struct{}, 2)
	if r := switchWithLateKey(t, switching(t, 1, uploads)); r.Status != event.Failed || len(uploads) != 0 || len(r.Keys) != 0 {
		t.Errorf("%d uploads; the node ended as %s: %+v", len(uploads), r.Status, r.Keys)
	}
}

func TestNoLimitMeansAllAtOnce(t *testing.T) {
	const n = 30
	var meet sync.WaitGroup
	meet.Add(n)
	var nodes []hive.Node
	for i := range n {
		nodes = append(nodes, node(fmt.Sprint(i)))
	}
	j := &journal{}
	with := tools(j, nil)
	with.Build = func(context.Context, hive.Node, func(string)) error {
		meet.Done()
		meet.Wait() // for ever, if one is kept waiting
		return nil
	}
	for _, r := range Run(t.Context(), Evaluated(nodes), Options{Want: plan.Want{Goal: hive.Build}}, with, j) {
		if r.Status != event.Succeeded {
			t.Errorf("%+v", r)
		}
	}
}

func TestKeysOfASystemThatWaitsForARebootAreReportedAsSkipped(t *testing.T) {
	r := switchWithLateKey(t, switching(t, 100, nil))
	if r.Status != event.Succeeded || !r.RebootNeeded || len(r.Keys) != 1 || r.Keys[0].Change != plan.Skipped || !strings.Contains(r.Keys[0].Note, "upload-keys") {
		t.Errorf("%+v", r)
	}
}

// A host that is gone is not one that lacks the system.
func TestALostConnectionIsNotBuiltFor(t *testing.T) {
	gone := errors.New("gone")
	host := &double{current: "gone", run: func(string, io.Reader, io.Writer) error { return gone }}
	j := &journal{}
	r := Run(t.Context(), Evaluated([]hive.Node{node("web")}), Options{Want: plan.Want{Goal: hive.Switch}}, tools(j, map[string]*double{"web": host}), j)[0]
	if r.Status != event.Failed || r.Step != plan.Inspect || !errors.Is(r.Err, gone) || strings.Contains(j.String(), "build") {
		t.Errorf("%s in step %q: %v; %s", r.Status, r.Step, r.Err, j)
	}
}

func TestWhatSomebodyElseDeployedIsReplacedOnlyWhenAllowed(t *testing.T) {
	const ours, theirs = "/nix/store/0-ours", "/nix/store/0-theirs"
	for _, c := range []struct {
		current, profile string
		allowed, force   bool
		goal             hive.Goal
		goes             bool
	}{
		{ours, "", false, false, hive.Switch, true}, {theirs, "", false, false, hive.Switch, false},
		{theirs, "", true, false, hive.Switch, true}, {theirs, "", false, true, hive.Switch, true},
		{theirs, "", false, false, hive.Boot, false}, {theirs, "", false, false, hive.Push, true},
		{ours, theirs, false, false, hive.Switch, false}, {ours, ours, false, false, hive.Switch, true},
		{ours, theirs, false, true, hive.Switch, true}, {theirs, ours, false, false, hive.Boot, false},
		{"", "", false, false, hive.Switch, true}, {"/out-web", "", false, false, hive.Switch, true},
	} {
		n := node("web")
		n.ReplaceUnknownProfiles = c.allowed
		j, host := &journal{}, &double{current: c.current, profile: c.profile}
		with := tools(j, map[string]*double{"web": host})
		with.Known = func(_ context.Context, path string) (bool, error) { return path == ours, nil }
		r := Run(t.Context(), Evaluated([]hive.Node{n}), Options{Want: plan.Want{Goal: c.goal}, ForceReplaceUnknownProfiles: c.force}, with, j)[0]
		if stopped := r.Step == plan.Inspect; stopped == c.goes || stopped && !strings.Contains(fmt.Sprint(r.Err), theirs) {
			t.Errorf("%+v: %s in step %q: %v", c, r.Status, r.Step, r.Err)
		}
	}
}

// A bug that one node brings to light is that node's failure.
func TestAPanicFailsItsNodeAlone(t *testing.T) {
	j := &journal{}
	with := tools(j, nil)
	with.Build = func(_ context.Context, n hive.Node, _ func(string)) error {
		if n.Name == "bad" {
			var none []int
			_ = none[len(n.Name)]
		}
		return nil
	}
	results := Run(t.Context(), Evaluated([]hive.Node{node("bad"), node("good")}), Options{Want: plan.Want{Goal: hive.Build}}, with, j)
	var caught *crash.Error
	if results[0].Status != event.Failed || results[0].Step != plan.Build || !errors.As(results[0].Err, &caught) || len(caught.Stack) == 0 {
		t.Errorf("%+v", results[0])
	}
	if results[1].Status != event.Succeeded {
		t.Errorf("%+v", results[1])
	}
}
