package plan

import (
	"errors"
	"slices"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

func TestAGoalIsDoneWhereItsEffectIsThere(t *testing.T) {
	for _, c := range []struct {
		goal        hive.Goal
		runs, boots string
		want        bool
	}{
		{hive.Switch, "new", "new", true}, {hive.Switch, "new", "old", false}, {hive.Switch, "old", "new", false},
		{hive.Boot, "old", "new", true}, {hive.Boot, "new", "old", false},
		{hive.Test, "new", "old", true}, {hive.Test, "old", "new", false},
		{hive.Push, "old", "new", true}, {hive.Push, "new", "old", true}, {hive.Push, "old", "old", false},
	} {
		if got := Done(c.goal, "new", c.runs, c.boots); got != c.want {
			t.Errorf("%s of a host that runs %s and boots %s: done %v", c.goal, c.runs, c.boots, got)
		}
	}
}

func TestAnOutlookTellsWhetherAnythingChanges(t *testing.T) {
	key := func(change Change) []KeyOutlook { return []KeyOutlook{{Name: "k", Change: change}} }
	for name, c := range map[string]struct {
		o       Outlook
		changes bool
		reboots bool
	}{
		"nothing":                              {Outlook{}, false, false},
		"the same system":                      {Outlook{Brings: "s", Same: true}, false, false},
		"which waits for a reboot already":     {Outlook{Brings: "s", Same: true, Due: "kernel"}, false, false},
		"another system":                       {Outlook{Brings: "s"}, true, false},
		"that wants a reboot":                  {Outlook{Brings: "s", Due: "kernel"}, true, true},
		"a reboot":                             {Outlook{Brings: "s", Same: true, Reboots: true}, true, true},
		"a changed key":                        {Outlook{Keys: key(Changed)}, true, false},
		"a mended key":                         {Outlook{Keys: key(Mended)}, true, false},
		"a key that is there, or is left out":  {Outlook{Keys: append(key(Unchanged), key(Skipped)...)}, false, false},
		"a key of a system that stays and due": {Outlook{Brings: "s", Same: true, Due: "kernel", Keys: key(Changed)}, true, false},
	} {
		if c.o.Changes() != c.changes || c.o.WantsReboot() != c.reboots {
			t.Errorf("%s: changes %v, reboot %v", name, c.o.Changes(), c.o.WantsReboot())
		}
	}
}

func TestAKeyIsToldByWhatDiffersOfIt(t *testing.T) {
	content := secret.New([]byte("v"))
	right := FileState{Present: true, Mode: 0o600, Size: 1, Digest: content.Digest()}
	with := func(change func(*FileState)) FileState {
		state := right
		change(&state)
		return state
	}
	for name, c := range map[string]struct {
		file    FileState
		change  Change
		isNew   bool
		differs []string
	}{
		"it is not there":     {FileState{}, Changed, true, nil},
		"it is right":         {right, Unchanged, false, nil},
		"another content":     {with(func(f *FileState) { f.Size = 2 }), Changed, false, []string{"content"}},
		"and a wider mode":    {with(func(f *FileState) { f.Size, f.Mode = 2, 0o644 }), Changed, false, []string{"content", "mode"}},
		"another owner":       {with(func(f *FileState) { f.UID = 1 }), Mended, false, []string{"owner"}},
		"a group and a mode":  {with(func(f *FileState) { f.GID, f.Mode = 1, 0o640 }), Mended, false, []string{"group", "mode"}},
		"open to some others": {with(func(f *FileState) { f.ACL = true }), Mended, false, []string{"access list"}},
	} {
		key := hive.Key{Attr: "k", Name: "k", DestDir: "/d", User: "root", Group: "root", Mode: 0o600}
		steps, err := Keys([]WantedKey{{Key: key, Size: 1, Digest: content.Digest()}}, Observed{
			Users: map[string]int{"root": 0}, Groups: map[string]int{"root": 0},
			Dirs: map[string]DirState{"/d": {ID: "1", RootOnly: true}}, Files: map[string]FileState{"/d/k": c.file},
		}, Policy{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := steps.Outlook()[0]; got.Change != c.change || got.New != c.isNew || !slices.Equal(got.Differs, c.differs) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// What was agreed to may turn out to be less, and never more.
func TestWhatWasShownIsHeldAgainstWhatIs(t *testing.T) {
	old, new := secret.New([]byte("old")).Digest(), secret.New([]byte("new")).Digest()
	shown := Outlook{Runs: closure.System{Path: "a"}, Boots: closure.System{Path: "b"}, Keys: []KeyOutlook{
		{Name: "changes", Change: Changed, Digest: new}, {Name: "stays", Change: Unchanged, Digest: old}, {Name: "later", Change: Skipped, Digest: old},
		{Name: "mended", Change: Mended, Digest: old},
	}}
	step := func(name string, change Change) KeyPlan {
		return KeyPlan{{WantedKey: WantedKey{Key: hive.Key{Attr: name}}, Change: change}}
	}
	for name, c := range map[string]struct {
		err    error
		differ bool
	}{
		"the same systems":                  {shown.SameSystems("a", "b"), false},
		"it runs another one":               {shown.SameSystems("x", "b"), true},
		"it boots another one":              {shown.SameSystems("a", ""), true},
		"a key changes as it was to":        {shown.SameKeys(step("changes", Changed)), false},
		"or is there by now":                {shown.SameKeys(step("changes", Unchanged)), false},
		"one is mended as it was to be":     {shown.SameKeys(step("mended", Mended)), false},
		"one that was to be mended changes": {shown.SameKeys(step("mended", Changed)), true},
		"one that was right is not":         {shown.SameKeys(step("stays", Mended)), true},
		"one that nobody spoke of":          {shown.SameKeys(step("other", Changed)), true},
		"its content is the same":           {shown.SameContent("stays", old), false},
		"its content is another one":        {shown.SameContent("stays", new), true},
		"that of one that is mended":        {shown.SameContent("mended", new), true},
		"that of one that changes anyway":   {shown.SameContent("changes", old), false},
		"that of one that is not sent":      {shown.SameContent("later", new), false},
		"that of one that was not there":    {shown.SameContent("other", new), false},
		"a key of several that was no part": {shown.SameKeys(append(step("changes", Changed), step("stays", Changed)...)), true},
	} {
		var drift *DriftError
		if errors.As(c.err, &drift) != c.differ {
			t.Errorf("%s: %v", name, c.err)
		}
	}
}

func TestARebootTakesKeysInMemoryAlong(t *testing.T) {
	o := Outlook{Keys: []KeyOutlook{{Name: "kept", Change: Unchanged}, {Name: "gone", Change: Unchanged, InMemory: true}, {Name: "left", Change: Skipped, InMemory: true, Note: "run upload-keys"}}}
	o.SeeReboot(closure.System{}, Always)
	var got []string
	for _, k := range o.Keys {
		got = append(got, string(k.Change)+" "+k.Note)
	}
	if want := []string{"unchanged ", "changed after the reboot", "changed after the reboot"}; !slices.Equal(got, want) || !o.Changes() || !o.WantsReboot() {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAKeyWhoseOwnerIsYetToBeMadeSaysWhoMakesIt(t *testing.T) {
	for _, c := range []struct {
		at   hive.UploadAt
		want string
	}{
		{hive.PreActivation, "root owns it until the activation"},
		{hive.PostActivation, "its owner does not exist yet: the activation has to make it"},
	} {
		step := KeyStep{WantedKey: WantedKey{Key: hive.Key{UploadAt: c.at}}, OwnerPending: true, Volatile: true, Note: "root owns it until the activation"}
		if got := (KeyPlan{step}).Outlook()[0]; got.Note != c.want || !got.InMemory {
			t.Errorf("%s: %q, in memory %v", c.at, got.Note, got.InMemory)
		}
	}
}

func TestASystemIsComparedWithTheOneWhosePlaceItTakes(t *testing.T) {
	o := Outlook{Runs: closure.System{Path: "runs"}, Boots: closure.System{Path: "boots"}}
	for goal, want := range map[hive.Goal]string{hive.Switch: "runs", hive.Test: "runs", hive.Boot: "boots"} {
		if o.Goal = goal; o.Old().Path != want {
			t.Errorf("%s: what %s", goal, o.Old().Path)
		}
	}
}
