package report

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/status"
	"github.com/colmena-go/colmena-go/tests/manual"
)

// pictures are what docs/commands.md shows of what is printed.
func pictures(t *testing.T) (list []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	page, err := manual.Parse("docs/commands.md", string(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range page.Steps {
		if step.How == "shown" && step.Arg == "pkg/report tests it to the byte" {
			list = append(list, step.Text)
		}
	}
	return list
}

func TestTheManualShowsWhatIsPrinted(t *testing.T) {
	shown := pictures(t)
	if len(shown) != 2 {
		t.Fatalf("%d pictures", len(shown))
	}
	var diff, statuses bytes.Buffer
	if err := Diffs(&diff, diffsOfTheManual(), false); err != nil {
		t.Fatal(err)
	}
	if err := Statuses(&statuses, statusesOfTheManual(), false, 0); err != nil {
		t.Fatal(err)
	}
	for i, printed := range []string{diff.String(), statuses.String()} {
		if shown[i] != printed {
			t.Errorf("docs/commands.md shows\n%s\nand not\n%s", shown[i], printed)
		}
	}
}

func diffsOfTheManual() []Diff {
	old, new := needing("25.05.1", "6.6.30"), needing("25.05.2", "6.6.31")
	had := pathsOf(map[string]int64{"nginx-1.26.1": 4e6, "nano-7.2": 1e6, "openssl-3.0.13": 5e6, "linux-6.6": 1.2397e9})
	needs := pathsOf(map[string]int64{"nginx-1.26.2": 5.2e6, "htop-3.3": 2e5, "openssl-3.0.14": 5e6, "linux-6.6": 1.2397e9})
	changed := status.Comparison{Host: status.State{Current: old, Booted: old, Next: old}, Wanted: new}
	was, is := old, new
	was.Sizes, is.Sizes = had, needs
	changed.Found = closure.Pair{Old: was, New: is}.Compare(closure.Answer{})
	changed.Copy = &closure.Copy{Paths: 31, Bytes: 52e6}
	same := status.Comparison{Host: status.State{Current: new, Booted: new, Next: new}, Wanted: new}
	of := func(node string, c status.Comparison) Diff {
		return Diff{event.Result{Node: node, Status: event.Succeeded}, &c}
	}
	return []Diff{of("web-1", changed), of("web-2", changed), of("web-3", same)}
}

func statusesOfTheManual() []Status {
	now := time.Unix(2_000_000_000, 0)
	old, new := needing("25.05.1", "6.6.30"), needing("25.05.2", "6.6.31")
	of := func(node string, current, booted closure.System, generation, days int) Status {
		since := now.Add(-time.Duration(days) * 24 * time.Hour)
		return Status{Result: event.Result{Node: node, Status: event.Succeeded, Toplevel: new.Path}, State: &status.State{
			Now: now, Current: current, Booted: booted, Next: current, CurrentSince: since, BootedSince: since, Running: "running",
			Generations: map[string]status.Generation{current.Path: {Number: generation, Made: now}},
		}}
	}
	one, two := of("web-01", new, old, 44, 4), of("web-02", old, old, 41, 12)
	one.State.CurrentSince = now.Add(-3 * time.Hour)
	one.Keys = []status.Key{{Place: status.InPlace}, {Place: status.InPlace}, {Place: status.InPlace}}
	two.Keys = []status.Key{{Name: "token", Place: status.Missing}}
	two.State.Failed, two.State.Units, two.State.Running = []string{"nginx.service"}, 1, "degraded"
	dead := errors.New("cannot reach db-01:22: connection refused")
	return []Status{{Result: event.Result{Node: "db-01", Status: event.Failed, Step: plan.Connect, Err: dead}}, one, two}
}
