package report

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/status"
)

func statuses() []Status {
	now := time.Unix(2_000_000_000, 0)
	old, new := needing("25.05.1", "6.6.30"), needing("25.05.2", "6.6.31")
	of := func(node string, current, booted, next closure.System) Status {
		return Status{Result: event.Result{Node: node, Status: event.Succeeded, Toplevel: new.Path}, State: &status.State{
			Now: now, Current: current, Booted: booted, Next: next, CurrentSince: now.Add(-3 * time.Hour), BootedSince: now.Add(-100 * time.Hour),
			Running: "running", Generations: map[string]status.Generation{new.Path: {Number: 44, Made: now}},
		}}
	}
	keys := of("keys", new, new, new)
	keys.Keys = []status.Key{{Name: "a b", Path: "/k/a b", Place: status.Missing}, {Name: "c", Path: "/k/c", Place: status.InPlace}, {Name: "d", Path: "/k/d", Place: status.Drifted, Note: "mode 0640 and not 0600"}}
	units := of("units", old, old, old)
	units.State.Failed, units.State.Units, units.State.Running = []string{"a.service", "b.mount"}, 7, "degraded"
	bare := of("bare", closure.System{}, closure.System{}, closure.System{})
	unasked := of("unasked", new, new, new)
	unasked.Toplevel = ""
	good := of("web", new, new, new)
	good.Keys = []status.Key{{Place: status.InPlace}, {Place: status.InPlace}}
	return []Status{
		of("atboot", old, old, new), bare,
		{Result: event.Result{Node: "dead", Status: event.Failed, Step: plan.Connect, Err: errors.New("refused\nand more")}},
		keys, {Result: event.Result{Node: "none", Status: event.Skipped}}, of("other", new, new, old), unasked, units, good,
	}
}

func TestHostsAreSeenAtAGlance(t *testing.T) {
	var out bytes.Buffer
	if err := Statuses(&out, statuses(), false, 0); err != nil {
		t.Fatal(err)
	}
	want := `NODE     SYSTEM         REBOOT                  KEYS              UNITS                                     NIXOS    GENERATION  ACTIVE  BOOTED
atboot   at next boot   kernel 6.6.30 → 6.6.31  -                 ok                                        25.05.1  -           3h      4d
bare     no NixOS       not known               -                 ok                                        -        -           3h      4d
dead     unreachable: refused
keys     as configured  -                       1 missing: "a b"  ok                                        25.05.2  44          3h      4d
none     no host: deployment.targetHost is null
other    boots other    kernel 6.6.31 → 6.6.30  -                 ok                                        25.05.2  44          3h      4d
unasked  -              -                       -                 ok                                        25.05.2  44          3h      4d
units    differs        -                       -                 7 failed: a.service, b.mount and 5 more  25.05.1  -           3h      4d
web      as configured  -                       2 in place        ok                                        25.05.2  44          3h      4d
7 of 9 hosts answer, 2 as configured, 1 differs, 1 at next boot, 1 boots other, 1 no NixOS, 2 to reboot, 1 key missing, 1 key drifted, 7 failed units
`
	if squeeze(out.String()) != squeeze(want) {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
	out.Reset()
	if err := Statuses(&out, statuses()[:1], true, 0); err != nil || !strings.Contains(out.String(), "\x1b[33mat next boot\x1b[0m") {
		t.Errorf("%q, %v", out.String(), err)
	}
}

// squeeze makes one space of many: the width of columns has a test of its own.
func squeeze(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n")
}

func TestColumnsStandBelowEachOther(t *testing.T) {
	got := grid([][]cell{{plain("A"), plain("BB"), plain("C")}, {{"äöü", red}, plain("x"), plain("a long last one")}, {plain("n"), plain("a long end that widens nothing")}}, false)
	want := "A    BB  C\näöü  x   a long last one\nn    a long end that widens nothing\n"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestAgesInAWord(t *testing.T) {
	now := time.Unix(2_000_000_000, 0)
	for ago, want := range map[time.Duration]string{
		0: "0s", 119 * time.Second: "119s", 2 * time.Minute: "2m", 119 * time.Minute: "119m", 2 * time.Hour: "2h", 47 * time.Hour: "47h", 49 * time.Hour: "2d", 9000 * time.Hour: "375d", -time.Hour: "later",
	} {
		if got := age(now, now.Add(-ago)); got != want {
			t.Errorf("%v is %q, want %q", ago, got, want)
		}
	}
	if got := age(time.Time{}, now) + age(now, time.Time{}); got != "--" {
		t.Errorf("%q", got)
	}
}

func TestHostsAsJSON(t *testing.T) {
	var out bytes.Buffer
	if err := StatusesJSON(&out, statuses()); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{
		`"reachable": false`, `"asConfigured": true`, `"asConfigured": false`, `"asConfigured": null`, `"wanted": null`, `"state": "degraded"`, `"failedCount": 7`,
		`"generation": 44`, `"generation": null`, `"since": "2033-05-18T00:33:20Z"`, `"reboot": []`, `"failedUnits": []`, `"keys": []`, `"current": null`,
		"\"state\": \"drifted\",\n          \"note\": \"mode 0640 and not 0600\"", `"error": "refused\nand more"`, "\"reboot\": [\n        \"kernel\"\n      ]",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
}

func TestATableOfManyHosts(t *testing.T) {
	var list []Status
	for i := range 300 {
		s := statuses()[i%9]
		s.Node = fmt.Sprintf("node-%03d", i)
		list = append(list, s)
	}
	var out bytes.Buffer
	if err := Statuses(&out, list, false, 0); err != nil || strings.Count(out.String(), "\n") != 302 {
		t.Errorf("%d lines, %v", strings.Count(out.String(), "\n"), err)
	}
}

// On a terminal no row is broken for what is nice to know.
func TestANarrowWindowIsSparedTheLastColumns(t *testing.T) {
	fine, all := statuses()[8:], statuses()
	fine[0].Keys = nil
	for _, c := range []struct {
		list    []Status
		columns int
		last    string
	}{
		{fine, 0, "BOOTED"}, {fine, 77, "BOOTED"}, {fine, 76, "ACTIVE"}, {fine, 69, "ACTIVE"}, {fine, 68, "GENERATION"}, {fine, 1, "UNITS"},
		{all, 0, "BOOTED"}, {all, 150, "BOOTED"}, {all, 80, "UNITS"},
	} {
		var out bytes.Buffer
		if err := Statuses(&out, c.list, false, c.columns); err != nil {
			t.Fatal(err)
		}
		head, _, _ := strings.Cut(out.String(), "\n")
		if !strings.HasSuffix(head, c.last) {
			t.Errorf("%d columns: %s, want %s last", c.columns, head, c.last)
		}
	}
}
