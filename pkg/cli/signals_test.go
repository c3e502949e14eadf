package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/record"
	"github.com/colmena-go/colmena-go/pkg/report"
)

func TestHostsAreSpokenOfOnlyWhereTheyMayBeChanged(t *testing.T) {
	screen := report.NewTerminal(&bytes.Buffer{})
	defer screen.Close(t.Context())
	of := func(goal hive.Goal) *report.Run {
		return report.NewRun(report.View{Screen: screen}, &record.Record{Goal: goal})
	}
	for name, c := range map[string]struct {
		run  *report.Run
		want bool
	}{
		"an evaluation": {nil, false}, "build": {of(hive.Build), false},
		"switch": {of(hive.Switch), true}, "keys": {of(hive.Keys), true},
	} {
		if got := strings.Contains("interrupted"+whatGoesOn(c.run, ", hosts are finished"), "hosts"); got != c.want {
			t.Errorf("%s: hosts are spoken of: %t", name, got)
		}
	}
}
