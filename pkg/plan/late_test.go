package plan

import (
	"slices"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

func TestWhichKeysComeAfterTheActivation(t *testing.T) {
	keys := []hive.Key{{Attr: "early", UploadAt: hive.PreActivation}, {Attr: "owed", UploadAt: hive.PreActivation}, {Attr: "late", UploadAt: hive.PostActivation}}
	for name, c := range map[string]struct {
		facts           Facts
		late, postponed []string
	}{
		"those for then":                     {Facts{}, []string{"late"}, []string{"late"}},
		"and those whose owner was absent":   {Facts{Owed: []string{"owed"}}, []string{"owed", "late"}, []string{"late"}},
		"but not what it waited for":         {Facts{Early: true}, nil, nil},
		"which an absent owner did not have": {Facts{Early: true, Owed: []string{"owed"}}, []string{"owed"}, nil},
	} {
		var late, postponed []string
		for _, key := range keys {
			if c.facts.Late(key) {
				late = append(late, key.Attr)
			}
		}
		for _, step := range c.facts.Postponed(keys) {
			postponed = append(postponed, step.Key.Attr)
			if step.Change != Skipped || step.Note == "" {
				t.Errorf("%s: %+v", name, step)
			}
		}
		if !slices.Equal(late, c.late) || !slices.Equal(postponed, c.postponed) {
			t.Errorf("%s: late %q, postponed %q", name, late, postponed)
		}
	}
}

func TestRootHoldsKeysForOwnersWhomTheActivationMakes(t *testing.T) {
	steps := KeyPlan{{WantedKey: WantedKey{Key: hive.Key{Attr: "has"}}}, {WantedKey: WantedKey{Key: hive.Key{Attr: "waits"}}, OwnerPending: true}}
	for name, c := range map[string]struct {
		goal hive.Goal
		step Step
		want []string
	}{
		"before a switch": {hive.Switch, Step{Kind: Upload, Phase: hive.PreActivation}, []string{"waits"}},
		"before a boot":   {hive.Boot, Step{Kind: Upload, Phase: hive.PreActivation}, nil},
		"after it":        {hive.Switch, Step{Kind: Upload, Phase: hive.PostActivation}, nil},
		"all at once":     {hive.Keys, Step{Kind: Upload}, nil},
	} {
		if got := (Want{Goal: c.goal}).Owes(c.step, steps); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestARebootToComeEmptiesMemory(t *testing.T) {
	for _, c := range []struct {
		want   Want
		booted bool
		is     bool
	}{
		{Want{Goal: hive.Switch}, false, false}, {Want{Goal: hive.Switch, Reboot: Always}, false, true},
		{Want{Goal: hive.Switch, Reboot: IfNeeded}, false, false}, {Want{Goal: hive.Reboot}, false, true}, {Want{Goal: hive.Reboot, Reboot: Always}, true, false},
	} {
		if got := c.want.Empties(Step{Booted: c.booted}); got != c.is {
			t.Errorf("%+v, booted %v: %v", c.want, c.booted, got)
		}
	}
}
