package report

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
	"github.com/colmena-go/colmena-go/pkg/record"
	"github.com/colmena-go/colmena-go/pkg/view"
)

var update = flag.Bool("update", false, "write testdata/*.golden anew")

// film is a run of three nodes, and all that a terminal gets of it.
type film struct {
	*Run
	begin time.Time
	area  area
	text  strings.Builder
}

func (f *film) tell(seconds float64, e event.Event) {
	e.Time = f.begin.Add(time.Duration(seconds * float64(time.Second)))
	f.Now().add(e)
}

// frame writes down what the terminal gets at a time.
func (f *film) frame(seconds float64, window view.Size, title string) {
	lines := f.Lines(window, f.begin.Add(time.Duration(seconds*float64(time.Second))))
	bytes := fmt.Sprintf("%q", f.area.draw(lines, window.Columns))
	fmt.Fprintf(&f.text, "%s, %.1f s, %dx%d:\n%s\n\n", title, seconds, window.Columns, window.Rows, strings.ReplaceAll(bytes, `\n`, "\\n\n"))
}

func newFilm(style Style) *film {
	begin := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	r := &record.Record{Command: "apply", Goal: hive.Switch, Begin: begin}
	r.Expect([]string{"web-01", "web-02", "db"}, begin)
	run := &Run{view: View{Style: style}}
	run.now.Store(&Pass{record: r})
	return &film{Run: run, begin: begin}
}

// What a terminal gets, to the byte, while a deployment goes on in a window that is made
// smaller and larger.
func TestWhatATerminalGetsOfADeployment(t *testing.T) {
	for name, style := range map[string]Style{"plain": false, "coloured": true} {
		f := newFilm(style)
		wide, large, small := view.Size{Columns: 80, Rows: 24}, view.Size{Columns: 120, Rows: 40}, view.Size{Columns: 40, Rows: 15}
		f.frame(0, wide, "the beginning")
		for _, node := range []string{"web-01", "web-02", "db"} {
			f.tell(1, event.Event{Node: node, Step: plan.Evaluate, Kind: event.Over})
			f.tell(1, event.Event{Node: node, Step: plan.Connect, Kind: event.Begin, Text: "connecting to root@" + node})
		}
		f.frame(1, wide, "all connect")
		f.frame(1.1, wide, "nothing happens")
		f.frame(2, wide, "a second goes by")
		f.tell(3, event.Event{Node: "db", Step: plan.Connect, Kind: event.End, Result: &event.Result{Node: "db", Status: event.Failed, Step: plan.Connect, Err: errors.New("refused")}})
		f.tell(3, event.Event{Node: "web-01", Step: plan.Connect, Kind: event.Over})
		f.tell(3, event.Event{Node: "web-01", Step: plan.Push, Kind: event.Begin, Text: "copying"})
		f.tell(3, event.Event{Node: "web-01", Step: plan.Push, Kind: event.Progress, Done: 1e6, Total: 40e6})
		f.frame(3, wide, "one fails, one copies")
		f.frame(3.5, small, "a smaller window")
		f.tell(4, event.Event{Node: "web-01", Step: plan.Push, Kind: event.Progress, Done: 20e6, Total: 40e6})
		f.frame(4, small, "the copy goes on")
		f.frame(4.5, large, "a larger window")
		f.tell(5, event.Event{Node: "web-02", Step: plan.Connect, Kind: event.End, Result: &event.Result{Node: "web-02", Status: event.Succeeded}})
		f.frame(5, large, "one is done")
		fmt.Fprintf(&f.text, "the end:\n%q\n", f.area.erase(large.Columns))

		golden := filepath.Join("testdata", "frames-"+name+".golden")
		if *update {
			if err := os.WriteFile(golden, []byte(f.text.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || string(want) != f.text.String() {
			t.Errorf("%v; got\n%s\nwant\n%s", err, f.text.String(), want)
		}
	}
}
