package report

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/record"
)

// tests/page looks at the page in a browser.

func pageOf(t *testing.T, r *record.Record) string {
	t.Helper()
	var out bytes.Buffer
	if err := Page(&out, r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestThePageOfAPlanSaysWhatWouldChange(t *testing.T) {
	r := &record.Record{Command: "plan", Goal: hive.Switch, Begin: noon}
	for name, o := range map[string]*plan.Outlook{
		"web": {Goal: hive.Switch, Brings: "/nix/store/new", Packages: &closure.Diff{Changed: []closure.Change{{Name: "nginx", Old: []string{"1"}, New: []string{"2"}}}}},
		"db":  {Goal: hive.Switch, Brings: "/nix/store/same", Same: true},
	} {
		r.Add(event.Event{Time: noon, Node: name, Kind: event.End, Result: &event.Result{Node: name, Status: event.Succeeded, Outlook: o}})
	}
	r.Close(noon.Add(time.Second), record.AllDone, nil)
	page := pageOf(t, r)
	for _, want := range []string{"would change", "nothing to do", "nginx 1 → 2"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in\n%s", want, page)
		}
	}
}

func TestWhatIsOfManyNodesIsBounded(t *testing.T) {
	r := &record.Record{Command: "apply", Goal: hive.Switch, Begin: noon}
	diff := &closure.Diff{}
	for i := range 500 {
		diff.Added = append(diff.Added, closure.Change{Name: fmt.Sprint("package-", i), New: []string{"1"}})
	}
	for i := range 300 {
		name := fmt.Sprint("web-", i)
		r.Add(event.Event{Time: noon, Node: name, Kind: event.End, Result: &event.Result{Node: name, Status: event.Succeeded, Packages: diff}})
	}
	r.Close(noon.Add(time.Second), record.AllDone, nil)
	page := pageOf(t, r)
	if len(page) > 6<<20 || !strings.Contains(page, "and 280 more") || !strings.Contains(page, "200 more are told of their nodes alone") {
		t.Errorf("the page has %d bytes", len(page))
	}
}

func TestTicksAreRoundTimesAndFew(t *testing.T) {
	for whole, want := range map[time.Duration]string{
		0:                       "",
		300 * time.Millisecond:  "0.0 s, 0.1 s, 0.2 s",
		9 * time.Second:         "0.0 s, 2.0 s, 4.0 s, 6.0 s, 8.0 s",
		61 * time.Second:        "0.0 s, 15 s, 30 s, 45 s, 1:00 min",
		3 * time.Hour:           "0.0 s, 1:00 h, 2:00 h",
		7 * time.Minute:         "0.0 s, 2:00 min, 4:00 min, 6:00 min",
		48 * time.Second:        "0.0 s, 10 s, 20 s, 30 s, 40 s",
		1500 * time.Millisecond: "0.0 s, 0.5 s, 1.0 s",
	} {
		var texts []string
		for _, tick := range ticks(whole) {
			texts = append(texts, tick.Text)
		}
		if got := strings.Join(texts, ", "); got != want {
			t.Errorf("%s: %s, want %s", whole, got, want)
		}
	}
}
