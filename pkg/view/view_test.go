package view

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/printable"
	"github.com/colmena-go/colmena-go/pkg/record"
)

var update = flag.Bool("update", false, "write testdata/*.golden anew")

// run is a record that is told events at seconds after its beginning.
type run struct {
	*record.Record
	Meter
}

var begin = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time {
	return begin.Add(time.Duration(seconds * float64(time.Second)))
}

func newRun(names ...string) *run {
	r := &run{Record: &record.Record{Command: "apply", Goal: hive.Switch, Begin: begin}}
	r.Expect(names, begin)
	return r
}

func (r *run) tell(seconds float64, e event.Event) {
	e.Time = at(seconds)
	r.Record.Add(e)
	r.Meter.Add(e)
}

// at has a node, evaluated long ago, be at a step since then.
func (r *run) at(seconds float64, node string, step plan.StepKind, text string) {
	r.tell(seconds, event.Event{Node: node, Step: plan.Evaluate, Kind: event.Over})
	r.tell(seconds, event.Event{Node: node, Step: step, Kind: event.Begin, Text: text})
}

func (r *run) ends(seconds float64, node string, result event.Result) {
	result.Node, result.Goal = node, hive.Switch
	r.tell(seconds, event.Event{Node: node, Step: result.Step, Kind: event.End, Result: &result})
}

// twenty are 20 nodes in the middle of a deployment.
func twenty() *run {
	names := []string{"web-01", "web-02", "web-03", "web-04", "web-05", "web-06", "web-07", "web-08", "web-09", "db-01", "db-02",
		"mx-1", "mx-2", "ci-1", "ci-2", "ci-3", "ci-4", "ci-5", "mon", "backup"}
	r := newRun(names...)
	for i, name := range names {
		r.at(float64(i)/10, name, plan.Connect, "connecting to root@"+name)
	}
	for _, name := range []string{"web-01", "web-02", "web-06", "web-07", "db-02", "mx-1", "mx-2"} {
		r.ends(12, name, event.Result{Status: event.Succeeded})
	}
	r.ends(14, "web-09", event.Result{Status: event.Failed, Step: plan.Connect, Err: errors.New("cannot reach 10.0.0.9:22: connection refused\nhint: is sshd up?")})
	r.at(32, "web-03", plan.Push, "copying /nix/store/00000000000000000000000000000000-nixos-system-web-03")
	for s := range 36 {
		r.tell(32+float64(s)/4, event.Event{Node: "web-03", Step: plan.Push, Kind: event.Progress, Done: int64(s) * 900_000, Total: 52_000_000, Paths: 9})
	}
	r.at(38, "web-04", plan.Activate, "activating: switch")
	r.tell(38, event.Event{Node: "web-04", Step: plan.Activate, Kind: event.Output, Text: "restarting the following units: nginx.service"})
	r.at(35, "db-01", plan.Resolve, "resolving 3 keys")
	r.tell(35, event.Event{Node: "db-01", Step: plan.Resolve, Kind: event.Progress, Text: "db-password: vault"})
	for i, name := range []string{"web-05", "web-08", "ci-1", "ci-2", "ci-3", "ci-4", "ci-5"} {
		r.at(19+float64(i), name, plan.Build, "building /nix/store/00000000000000000000000000000000-nixos-system-"+name)
		r.tell(19+float64(i), event.Event{Node: name, Step: plan.Build, Kind: event.Progress, Text: "waits for linux-6.6.31"})
	}
	for _, name := range []string{"mon", "backup"} {
		r.tell(36, event.Event{Node: name, Step: plan.Push, Kind: event.Wait, Text: "a slot (-p 10)"})
	}
	r.tell(5, event.Event{Kind: event.Building, Builds: &event.Builds{Expected: 57}})
	r.tell(40, event.Event{Kind: event.Building, Builds: &event.Builds{Done: 43, Expected: 57, Running: []event.Work{{Name: "linux-6.6.31", Since: at(19)}}}})
	return r
}

// many are 300 nodes, of which every tenth has failed.
func many() *run {
	var names []string
	for i := range 300 {
		names = append(names, fmt.Sprintf("n%03d", i))
	}
	r := newRun(names...)
	for i, name := range names {
		switch {
		case i%10 == 0:
			r.at(1, name, plan.Connect, "")
			r.ends(2, name, event.Result{Status: event.Failed, Step: plan.Connect, Err: errors.New("cannot reach it")})
		case i < 150:
			r.at(1, name, plan.Activate, "")
			r.ends(20, name, event.Result{Status: event.Succeeded})
		case i < 250:
			r.at(float64(i)/10, name, plan.Upload, "uploading 3 keys")
		}
	}
	return r
}

// strange are nodes whose hosts and names say what is hard to measure.
func strange() *run {
	r := newRun("日本語のサーバー", "mail", "e\u0301tat", "👩‍👩‍👧‍👦")
	for node, says := range map[string]string{
		"日本語のサーバー":   "再起動しています: 全角文字の長い長い長い長い長い長い長い長い長い長い長い長い説明",
		"mail":       "\x1b[31mred\x1b[0m 🇩🇪 👍🏽 ❤️ \u202eevil\u202c zero\u200bwidth \x07bell\ttab",
		"e\u0301tat": "Zo\u0308e\u0301 a" + strings.Repeat("\u0301", 40) + " 한국어 \u1112\u1161\u11ab",
		"👩‍👩‍👧‍👦":    "👩‍👩‍👧‍👦 family, and a control: \x9b31m",
	} {
		r.at(3, node, plan.Activate, "activating: switch")
		r.tell(3, event.Event{Node: node, Step: plan.Activate, Kind: event.Output, Text: says})
	}
	return r
}

// Nix keeps on with the builds of others, and tells why one failed at the end of all.
func TestANodeWhoseBuildCannotSucceedAnyMoreIsAmongThoseThatFailed(t *testing.T) {
	r := newRun("a", "b")
	for node, what := range map[string]string{"a": "waits for linux-6.6.31", "b": "failed: zlib-1.3 failed to build"} {
		r.at(1, node, plan.Build, "building /nix/store/00000000000000000000000000000000-nixos-system-"+node)
		r.tell(2, event.Event{Node: node, Step: plan.Build, Kind: event.Progress, Text: what})
	}
	lines := r.Lines(r.Record, Size{80, 10}, Look{}, at(5))
	want := []string{"  working 1 · failed 1", "", "✗ b  build     zlib-1.3 failed to build", "▸ a  build     waits for linux-6.6.31"}
	if got := lines[2:]; len(got) != len(want) || strings.Join(got[:3], "\n") != strings.Join(want[:3], "\n") || !strings.HasPrefix(got[3], want[3]) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestInAWideWindowABuilderIsHeard(t *testing.T) {
	r := newRun("web-01")
	r.at(1, "web-01", plan.Build, "building /nix/store/00000000000000000000000000000000-nixos-system-web-01")
	r.tell(2, event.Event{Node: "web-01", Step: plan.Build, Kind: event.Progress, Text: "waits for linux-6.6.31"})
	r.tell(3, event.Event{Node: "web-01", Step: plan.Build, Kind: event.Output, Text: "linux> CC fs/ext4/inode.o"})
	for columns, want := range map[int]string{120: "waits for linux-6.6.31: linux> CC fs/ext4/inode.o", 80: "waits for linux-6.6.31"} {
		lines := strings.Join(r.Lines(r.Record, Size{columns, 24}, Look{}, at(5)), "\n")
		if !strings.Contains(lines, want+"  ") {
			t.Errorf("%d columns:\n%s", columns, lines)
		}
	}
}

// A host takes some time for what it has got: nothing looks done before it is.
func TestACopyThatIsSentIsNotOver(t *testing.T) {
	r := newRun("web-01")
	r.at(1, "web-01", plan.Push, "copying")
	for _, c := range []struct {
		done       int64
		all, ofOne string
	}{{53_000_000, "copy ███████░ 53/54 MB", "███████████░ 53/54 MB"}, {54_000_000, "copied 54 MB", "54 MB sent, the host stores it"}} {
		r.tell(2, event.Event{Node: "web-01", Step: plan.Push, Kind: event.Progress, Done: c.done, Total: 54_000_000, Paths: 9})
		lines := strings.Join(r.Lines(r.Record, Size{80, 24}, Look{}, at(5)), "\n")
		if !strings.Contains(lines, c.all) || !strings.Contains(lines, "▸ web-01  copy      "+c.ofOne) {
			t.Errorf("%d sent:\n%s", c.done, lines)
		}
	}
}

func TestInANarrowWindowABuildIsWhatItWaitsFor(t *testing.T) {
	r := newRun("web-01")
	r.at(1, "web-01", plan.Build, "building")
	r.tell(2, event.Event{Node: "web-01", Step: plan.Build, Kind: event.Progress, Text: "waits for linux-6.6.31"})
	if lines, want := r.Lines(r.Record, Size{40, 10}, Look{}, at(5)), "▸ web-01  build  linux-6.6.31      0:04"; lines[len(lines)-1] != want {
		t.Errorf("got %q, want %q", lines[len(lines)-1], want)
	}
}

func TestAFailureIsToldWithoutHashes(t *testing.T) {
	r := newRun("a")
	r.at(1, "a", plan.Build, "building")
	r.ends(2, "a", event.Result{Status: event.Failed, Step: plan.Build, Err: errors.New("builder for '/nix/store/00000000000000000000000000000000-zlib-1.3.drv' failed with exit code 1")})
	if lines, want := r.Lines(r.Record, Size{80, 10}, Look{}, at(5)), "✗ a  build     zlib-1.3 failed with exit code 1"; lines[len(lines)-1] != want {
		t.Errorf("got %q, want %q", lines[len(lines)-1], want)
	}
}

var windows = []Size{{80, 24}, {120, 40}, {40, 15}, {20, 10}, {1, 24}, {80, 3}}

func TestAPictureIsWhatPeopleWantToKnow(t *testing.T) {
	for name, r := range map[string]*run{
		"twenty": twenty(), "many": many(), "strange": strange(),
		"beginning": {Record: &record.Record{Command: "apply", Goal: hive.Switch, Begin: begin}},
	} {
		for _, window := range windows {
			if name != "twenty" && window.Columns < 40 {
				continue
			}
			title := fmt.Sprintf("%s-%dx%d", name, window.Columns, window.Rows)
			t.Run(title, func(t *testing.T) {
				picture := strings.Join(r.Lines(r.Record, window, Look{}, at(41)), "\n") + "\n"
				golden := filepath.Join("testdata", title+".golden")
				if *update {
					if err := os.WriteFile(golden, []byte(picture), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil || string(want) != picture {
					t.Errorf("%v; got\n%swant\n%s", err, picture, want)
				}
			})
		}
	}
}

func TestNoPictureIsLargerThanItsRoom(t *testing.T) {
	for name, r := range map[string]*run{"twenty": twenty(), "many": many(), "strange": strange()} {
		for columns := range 140 {
			for rows := range 45 {
				window := Size{columns, rows}
				lines := r.Lines(r.Record, window, Look{Colour: true}, at(41))
				if len(lines) > max(0, rows-1) {
					t.Fatalf("%s in %v: %d lines", name, window, len(lines))
				}
				for _, line := range lines {
					if w := printable.Width(line); w > max(0, columns-1) {
						t.Fatalf("%s in %v: %d columns: %q", name, window, w, line)
					}
				}
			}
		}
	}
}
