package plan

import (
	"slices"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

// web has a key for each phase.
func web() hive.Node {
	return hive.Node{Name: "web", Target: &hive.Target{Host: "web"}, Toplevel: &hive.Toplevel{}, Keys: []hive.Key{
		{Attr: "a", UploadAt: hive.PreActivation}, {Attr: "b", UploadAt: hive.PostActivation}}}
}

// with is web, changed.
func with(change func(*hive.Node)) hive.Node {
	n := web()
	change(&n)
	return n
}

// Each case is a node, a wish, what is known, and the steps a user would see.
func TestStepsReadAsWhatWillHappen(t *testing.T) {
	keyless := with(func(n *hive.Node) { n.Keys = nil })
	marked := with(func(n *hive.Node) { n.Keys[1].Fingerprint = "v1" })
	early := with(func(n *hive.Node) { n.Keys = n.Keys[:1] })
	none := with(func(n *hive.Node) { n.Target = nil })
	there := with(func(n *hive.Node) { n.BuildOnTarget = true })
	homeless := with(func(n *hive.Node) { n.BuildOnTarget, n.Target = true, nil })
	told := with(func(n *hive.Node) { n.Keys[1].RestartUnits = []string{"x.service"} })
	pre := Step{Kind: Upload, Phase: hive.PreActivation, Changes: true}
	activated := []Step{{Kind: Resolve, Look: true}, {Kind: Connect}, {Kind: Inspect}, {Kind: Resolve}, pre, {Kind: Activate, Changes: true}}
	for _, c := range []struct {
		name string
		node hive.Node
		want Want
		know Facts
		plan string
	}{
		{"build touches no host", web(), Want{Goal: hive.Build}, Facts{}, "build"},
		{"nor needs one", none, Want{Goal: hive.Build}, Facts{}, "build"},
		{"push changes no key", web(), Want{Goal: hive.Push}, Facts{}, "connect inspect build push"},
		{"switch", web(), Want{Goal: hive.Switch}, Facts{}, "keys? connect inspect build push keys upload:pre! activate! upload:post!"},
		{"test", web(), Want{Goal: hive.Test}, Facts{}, "keys? connect inspect build push keys upload:pre! activate! upload:post!"},
		{"boot", web(), Want{Goal: hive.Boot}, Facts{}, "keys? connect inspect build push keys upload:pre! activate! upload:post!"},
		{"dry-activate changes no key", web(), Want{Goal: hive.DryActivate}, Facts{}, "connect inspect build push activate!"},
		{"keys are sent at once", web(), Want{Goal: hive.Keys}, Facts{}, "keys? connect keys upload!"},
		{"without keys", web(), Want{Goal: hive.Switch, NoKeys: true}, Facts{}, "connect inspect build push activate!"},
		{"a node that has none", keyless, Want{Goal: hive.Switch}, Facts{}, "connect inspect build push activate!"},
		{"upload-keys to a node that has none", keyless, Want{Goal: hive.Keys}, Facts{}, "connect"},
		{"early keys alone", early, Want{Goal: hive.Switch}, Facts{}, "keys? connect inspect build push keys upload:pre! activate!"},
		{"a reboot", web(), Want{Goal: hive.Reboot, Reboot: Always}, Facts{}, "keys? connect inspect keys reboot! await! keys:booted upload:booted!"},
		{"of a node without keys", keyless, Want{Goal: hive.Reboot, Reboot: Always}, Facts{}, "connect inspect reboot! await!"},
		{"if it is needed", keyless, Want{Goal: hive.Reboot, Reboot: IfNeeded}, Facts{}, "connect inspect reboot? reboot! await!"},
		{"which is seen first", web(), Want{Goal: hive.Reboot, Reboot: IfNeeded}, Facts{}, "keys? connect inspect reboot? keys reboot! await! keys:booted upload:booted!"},
		{"and may not be so", web(), Want{Goal: hive.Reboot, Reboot: IfNeeded}, Facts{Done: slices.Concat(activated[:3], []Step{{Kind: Reboot, Look: true}}), Current: true}, ""},
		{"boot, and reboot", web(), Want{Goal: hive.Boot, Reboot: Always}, Facts{}, "keys? connect inspect build push keys upload:pre! activate! upload:post! reboot! await! keys:booted upload:booted!"},
		{"switch, and reboot if needed", early, Want{Goal: hive.Switch, Reboot: IfNeeded}, Facts{}, "keys? connect inspect build push keys upload:pre! activate! reboot? reboot! await! keys:booted upload:booted!"},
		{"without keys", web(), Want{Goal: hive.Boot, Reboot: Always, NoKeys: true}, Facts{}, "connect inspect build push activate! reboot! await!"},
		{"an activation that failed is not rebooted into", web(), Want{Goal: hive.Switch, Reboot: Always}, Facts{Done: activated, Has: true, Failed: true}, "upload:post!"},
		{"one that wants a reboot gets it", web(), Want{Goal: hive.Switch, Reboot: Always}, Facts{Done: activated, Has: true, NoEffect: true}, "reboot! await! keys:booted upload:booted!"},
		{"what differs", web(), Want{Goal: hive.Diff}, Facts{}, "connect inspect build compare"},
		{"from a system that the host has", web(), Want{Goal: hive.Diff}, Facts{Has: true}, "connect inspect compare"},
		{"from one that the host is to build", there, Want{Goal: hive.Diff}, Facts{}, "connect inspect compare"},
		{"how a host is", web(), Want{Goal: hive.Status}, Facts{}, "connect status"},
		{"a command", web(), Want{Goal: hive.Exec}, Facts{}, "connect exec"},
		{"no target", none, Want{Goal: hive.Switch}, Facts{}, ""},

		{"units of keys", told, Want{Goal: hive.Keys}, Facts{}, "keys? connect keys upload! units!"},
		{"none of which waits", told, Want{Goal: hive.Keys}, Facts{NoJobs: true}, "keys? connect keys upload!"},
		{"units are told at the end", told, Want{Goal: hive.Switch}, Facts{Done: activated, Has: true}, "upload:post! units!"},
		{"also of an activation that failed", told, Want{Goal: hive.Switch, Reboot: Always}, Facts{Done: activated, Has: true, Failed: true}, "upload:post! units!"},
		{"unless the system is for the next boot", told, Want{Goal: hive.Switch}, Facts{Done: activated, Has: true, NoEffect: true}, ""},
		{"boot restarts none", told, Want{Goal: hive.Boot}, Facts{Done: activated, Has: true}, "upload:post!"},
		{"a reboot restarts all, but those that did not wait for keys in memory", told, Want{Goal: hive.Switch, Reboot: Always}, Facts{Done: activated, Has: true}, "upload:post! reboot! await! keys:booted upload:booted! units:booted!"},
		{"which may not be needed", told, Want{Goal: hive.Switch, Reboot: IfNeeded}, Facts{Done: append(slices.Clone(activated), Step{Kind: Upload, Phase: hive.PostActivation, Changes: true}, Step{Kind: Reboot, Look: true}), Has: true, Current: true}, "units!"},
		{"without keys no unit is touched", told, Want{Goal: hive.Switch, NoKeys: true}, Facts{}, "connect inspect build push activate!"},

		{"a system that is there", web(), Want{Goal: hive.Switch}, Facts{Done: activated[:3], Has: true}, "keys upload:pre! activate! upload:post!"},
		{"is built all the same for --keep-result", web(), Want{Goal: hive.Push, AlwaysBuild: true}, Facts{Done: activated[:3], Has: true}, "build"},
		{"a switch without effect gets no late key", web(), Want{Goal: hive.Switch}, Facts{Done: activated, Has: true, NoEffect: true}, ""},
		{"late keys that the switch waited for", web(), Want{Goal: hive.Switch}, Facts{Done: activated, Has: true, Early: true}, ""},
		{"but not those of an owner that the activation made", web(), Want{Goal: hive.Switch}, Facts{Done: activated, Has: true, Early: true, Owed: []string{"a"}}, "upload:post!"},
		{"an owner that the activation makes", early, Want{Goal: hive.Switch}, Facts{Done: activated[:5], Has: true, Owed: []string{"a"}}, "activate! upload:post!"},

		{"what the host holds is not resolved", marked, Want{Goal: hive.Switch}, Facts{}, "keys? connect held? inspect build push keys upload:pre! activate! upload:post!"},
		{"unless all is to be", marked, Want{Goal: hive.Switch, ResolveAll: true}, Facts{}, "keys? connect inspect build push keys upload:pre! activate! upload:post!"},
		{"of keys alone", marked, Want{Goal: hive.Keys}, Facts{}, "keys? connect held? keys upload!"},
		{"nobody asks for keys that are not sent", marked, Want{Goal: hive.Push}, Facts{}, "connect inspect build push"},
		{"a reboot may take it away", marked, Want{Goal: hive.Reboot, Reboot: Always}, Facts{}, "keys? connect held? inspect keys reboot! await! held:booted? keys:booted upload:booted!"},
		{"a dry run asks as well", marked, Want{Goal: hive.Keys, DryRun: true}, Facts{}, "keys? connect held? keys upload?"},

		{"what is no key any more goes at the end", web(), Want{Goal: hive.Switch, PruneKeys: true}, Facts{Done: activated, Has: true}, "upload:post! stale!"},
		{"after a reboot, too", web(), Want{Goal: hive.Boot, Reboot: Always, PruneKeys: true}, Facts{Done: activated, Has: true, Early: true}, "reboot! await! keys:booted upload:booted! stale!"},
		{"the system before may want it", web(), Want{Goal: hive.Boot, PruneKeys: true}, Facts{Done: activated, Has: true, Early: true}, ""},
		{"or be gone back to", web(), Want{Goal: hive.Switch, PruneKeys: true}, Facts{Done: activated, Has: true, Early: true, Failed: true}, ""},
		{"nothing is looked for that is known not to be", web(), Want{Goal: hive.Keys, PruneKeys: true}, Facts{Tidy: true}, "keys? connect keys upload!"},
		{"of a node without keys", keyless, Want{Goal: hive.Keys, PruneKeys: true}, Facts{}, "connect stale!"},
		{"a dry run tells of it", keyless, Want{Goal: hive.Keys, PruneKeys: true, DryRun: true}, Facts{}, "connect stale?"},

		{"this machine needs no copy", web(), Want{Goal: hive.Switch, Local: true}, Facts{}, "keys? connect inspect build keys upload:pre! activate! upload:post!"},
		{"nor a push more than a build", web(), Want{Goal: hive.Push, Local: true}, Facts{}, "connect inspect build"},
		{"nor does it copy to itself", there, Want{Goal: hive.Push, Local: true}, Facts{}, "connect inspect build"},
		{"built on the host", there, Want{Goal: hive.Push}, Facts{}, "connect inspect push:drv build@host"},
		{"which build touches, too", there, Want{Goal: hive.Build}, Facts{}, "connect push:drv build@host"},
		{"unless there is none", homeless, Want{Goal: hive.Build}, Facts{}, "build"},
		{"nothing that is there is built there", there, Want{Goal: hive.Push, AlwaysBuild: true}, Facts{Done: activated[:3], Has: true}, ""},
		{"nor is it in a cache then", there, Want{Goal: hive.Push, Cache: "s3://a"}, Facts{}, "connect inspect push:drv build@host"},
		{"unless it is told otherwise", there, Want{Goal: hive.Push, BuildOn: Here}, Facts{}, "connect inspect build push"},
		{"for all nodes", web(), Want{Goal: hive.Push, BuildOn: OnHost}, Facts{}, "connect inspect push:drv build@host"},
		{"through a cache", web(), Want{Goal: hive.Push, Cache: "s3://a"}, Facts{}, "connect inspect build cache>s3://a push"},
		{"a dry run of a switch", web(), Want{Goal: hive.Switch, DryRun: true}, Facts{}, "keys? connect inspect build push? keys upload? reboot?"},
		{"of a system that is there", web(), Want{Goal: hive.Switch, DryRun: true}, Facts{Has: true}, "keys? connect inspect push? keys upload? activate? reboot?"},
		{"and does already all that it is to", web(), Want{Goal: hive.Boot, DryRun: true}, Facts{Has: true, Same: true}, "keys? connect inspect keys upload? reboot?"},
		{"of a test, which no reboot follows", web(), Want{Goal: hive.Test, DryRun: true, NoKeys: true}, Facts{}, "connect inspect build push?"},
		{"of a push", web(), Want{Goal: hive.Push, DryRun: true, Cache: "s3://a"}, Facts{}, "connect inspect build push?"},
		{"of keys alone", web(), Want{Goal: hive.Keys, DryRun: true}, Facts{}, "keys? connect keys upload?"},
		{"of what the host is to build", there, Want{Goal: hive.Push, DryRun: true}, Facts{}, "connect inspect push?"},
		{"of a node without a host", none, Want{Goal: hive.Switch, DryRun: true}, Facts{}, ""},
		{"which build has no use for", web(), Want{Goal: hive.Build, Cache: "s3://a"}, Facts{}, "build"},
	} {
		if got := Render(Steps(c.node, c.want, c.know)); got != c.plan {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.plan)
		}
	}
}

// What goes well leads through the plan as it was told, step by step.
func TestAPlanThatGoesWellIsFollowedToItsEnd(t *testing.T) {
	marked := with(func(n *hive.Node) { n.Keys[1].Fingerprint, n.Keys[1].RestartUnits = "v1", []string{"x.service"} })
	for _, goal := range hive.Goals {
		for _, on := range []Where{AsSet, Here, OnHost} {
			for _, w := range []Want{{}, {NoKeys: true}, {Reboot: Always}, {Reboot: IfNeeded}, {DryRun: true}} {
				w.Goal, w.BuildOn, w.Cache = goal, on, "s3://a"
				var know Facts
				for left := Steps(marked, w, know); len(left) > 0; {
					know.Learn(left[0])
					next := Steps(marked, w, know)
					if !slices.Equal(next, left[1:]) {
						t.Fatalf("%+v: after %s come %s, not %s", w, left[0], Render(next), Render(left[1:]))
					}
					left = next
				}
			}
		}
	}
}
