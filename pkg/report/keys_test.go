package report

import (
	"errors"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

func TestHowHostsHaveTheirKeysIsATable(t *testing.T) {
	key := func(name string, is plan.Standing, note, unit string, wrong ...string) KeyStanding {
		return KeyStanding{plan.KeyStanding{Name: name, Path: "/run/keys/" + name, Is: is, Wrong: wrong, Note: note}, name + "-key.service", unit}
	}
	list := []NodeKeys{
		{Result: event.Result{Node: "db", Status: event.Failed, Step: plan.Connect, Err: errors.New("cannot reach db:22: connection refused")}},
		{Result: event.Result{Node: "none", Status: event.Skipped}},
		{Result: event.Result{Node: "web", Status: event.Succeeded}, Keys: []KeyStanding{
			key("a", plan.InPlace, "", "active"), key("b", plan.WrongOwner, "", "active", "owner", "group", "mode"),
			key("c", plan.Differs, "its content is not what was uploaded", "failed"), key("d\x1b[2J", plan.Missing, "", "not found"), key("old", plan.Stale, "the node no longer declares it", ""),
		}},
	}
	want := `NODE  KEY         STATE                        UNIT       PATH
db    unreachable: cannot reach db:22: connection refused
none  no host: deployment.targetHost is null
web   a           in place                     active     /run/keys/a
web   b           wrong owner, group and mode  active     /run/keys/b
web   c           differs                      failed     /run/keys/c (its content is not what was uploaded)
web   "d\x1b[2J"  missing                      not found  /run/keys/d
web   old         stale                        -          /run/keys/old (the node no longer declares it)
1 of 3 hosts answer, 1 in place, 1 missing, 1 differs, 1 wrong owner or mode, 1 stale
`
	var out strings.Builder
	if err := KeyStandings(&out, list, false); err != nil || out.String() != want {
		t.Errorf("%v:\n%s\nwant:\n%s", err, out.String(), want)
	}
}
