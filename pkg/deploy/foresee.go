package deploy

import (
	"context"
	"maps"
	"path"
	"slices"

	"github.com/colmena-go/colmena-go/pkg/activation"
	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/secret"
	"github.com/colmena-go/colmena-go/pkg/status"
	"github.com/colmena-go/colmena-go/pkg/upload"
)

// The steps of a dry run, which find out what the others would do. What they cannot find
// out is part of the outlook, and no failure.

// StoreQuestion is what a host's store is asked; nothing changes there.
type StoreQuestion struct {
	Closures []string // paths: what does each need?
	Wanted   []string // paths: which of them are not there?
}

// StoreAnswer is what it says.
type StoreAnswer struct {
	Closures map[string]map[string]int64 // of each path that is there, with the size of each part in bytes
	Lacks    []string
}

// foresee asks the host what it is like, and begins the outlook with that.
func (n *nodeRun) foresee(ctx context.Context) (activation.State, error) {
	state, err := status.Ask(ctx, n.host, nil)
	if err != nil {
		return activation.State{}, err
	}
	o := n.outlook
	o.Runs, o.Boots, n.booted = state.Current, state.Next, state.Booted
	if n.node.Toplevel != nil {
		o.Brings = n.node.Toplevel.OutPath
		o.Same = plan.Done(n.opts.Goal, o.Brings, o.Runs.Path, o.Boots.Path)
		n.known.Same = o.Same
	}
	return activation.State{Current: state.Current.Path, Profile: state.Next.Path}, nil
}

// seeForeign looks which systems of the host's this machine does not know.
func (n *nodeRun) seeForeign(ctx context.Context) error {
	o := n.outlook
	for _, system := range slices.Compact([]string{o.Runs.Path, o.Boots.Path}) {
		if system == "" || system == o.Brings || !n.opts.Goal.Activates() {
			continue
		}
		known, err := n.tools.Known(ctx, system)
		if err != nil {
			return err
		}
		if !known {
			o.Foreign = append(o.Foreign, plan.Foreign{Path: system, Runs: system == o.Runs.Path, Boots: system == o.Boots.Path})
		}
	}
	return nil
}

// compare finds out what a step would do.
func (n *nodeRun) compare(ctx context.Context, step plan.Step) error {
	switch step.Of {
	case plan.Upload:
		return n.foreseeKeys(ctx)
	case plan.Activate:
		return n.foreseeUnits(ctx)
	case plan.Reboot:
		n.foreseeReboot()
		return nil
	}
	return n.foreseePush(ctx)
}

// foreseePush finds out what is to be copied, and in which packages the systems differ.
func (n *nodeRun) foreseePush(ctx context.Context) error {
	n.quietly("comparing the systems")
	o := n.outlook
	o.New = n.systemHere()
	old := o.Old()
	ask := StoreQuestion{}
	var err error
	if o.New.Sizes, err = n.sizesHere(ctx, o.Brings); err != nil {
		return err
	}
	if old.Sizes, err = n.sizesHere(ctx, old.Path); err != nil {
		return err
	}
	if n.opts.Local {
		n.known.Has = true
	}
	switch {
	case n.known.Has && o.New.Sizes == nil:
		ask.Closures = append(ask.Closures, o.Brings)
	case n.known.Has:
	case o.New.Sizes == nil: // the host is to build it
		ask.Wanted = []string{o.Brings}
		ask.Closures = append(ask.Closures, o.Brings)
	default:
		ask.Wanted = slices.Sorted(maps.Keys(o.New.Sizes))
	}
	// What is elsewhere than in its store, a host's Nix would not answer for.
	if old.Path != o.Brings && old.Sizes == nil && path.Dir(old.Path) == path.Dir(o.Brings) {
		ask.Closures = append(ask.Closures, old.Path)
	}
	answer := StoreAnswer{}
	if len(ask.Closures)+len(ask.Wanted) > 0 {
		if answer, err = n.tools.AskStore(ctx, n.host, ask); err != nil {
			return err
		}
	}
	n.judgeStore(answer, old)
	o.New.Sizes = nil // of hundreds of nodes they would be many
	return nil
}

// judgeStore makes the outlook of what the stores have.
func (n *nodeRun) judgeStore(answer StoreAnswer, old closure.System) {
	o := n.outlook
	if o.New.Sizes == nil {
		o.New.Sizes = answer.Closures[o.Brings]
	}
	if old.Sizes == nil {
		old.Sizes = answer.Closures[old.Path]
	}
	n.known.Has = n.known.Has || len(answer.Lacks) == 0
	o.There = n.known.Has
	if n.opts.Goal == hive.Push {
		o.Same = o.There
		n.known.Same = o.There
	}
	if n.opts.Goal.Activates() && !o.There {
		o.Unknown = append(o.Unknown, "units: the host does not have the system yet (apply push brings it)")
	}
	builds := n.opts.BuildsOnHost(n.node) && !o.There
	switch {
	case o.There:
		o.Copy = &plan.Copy{}
	case builds:
		o.Unknown = append(o.Unknown, "the host builds the system itself: how much is copied is known only after the build")
	case o.New.Known():
		o.Copy = &plan.Copy{Paths: len(answer.Lacks), Bytes: sum(o.New.Sizes, answer.Lacks)}
	}
	switch {
	case o.Same:
	case builds && !o.New.Known():
		o.Unknown = append(o.Unknown, "packages: the system is not built yet")
	case old.Path == "" || old.Path == o.Brings:
	case old.Known() && o.New.Known():
		diff := closure.Compare(old, o.New)
		o.Packages = &diff
	default:
		o.Unknown = append(o.Unknown, "packages: the host does not tell what "+old.Path+" needs")
	}
}

// systemHere is what the system is like, as far as it is in this machine's store.
func (n *nodeRun) systemHere() closure.System {
	for _, there := range []closure.System{n.outlook.Runs, n.outlook.Boots} {
		if there.Path == n.outlook.Brings {
			return there
		}
	}
	return status.Here(n.outlook.Brings)
}

// sizesHere is what a path needs, nil if this machine does not have it.
func (n *nodeRun) sizesHere(ctx context.Context, system string) (map[string]int64, error) {
	if system == "" {
		return nil, nil
	}
	known, err := n.tools.Known(ctx, system)
	if err != nil || !known {
		return nil, err
	}
	return n.tools.Closure(ctx, system)
}

// foreseeKeys finds out what would become of the keys, of all phases. Those that come
// after the activation may wait for it to make their owners.
func (n *nodeRun) foreseeKeys(ctx context.Context) error {
	n.quietly("asking the host for its keys")
	phases := []phase{n.keys.all()}
	if n.opts.Goal.Activates() {
		late := n.keys.after
		late.policy.AbsentOwnerIsRoot = true
		phases = []phase{n.keys.before, late}
	}
	var list []plan.KeyOutlook
	places := plan.Places{}
	for _, p := range phases {
		steps, err := n.needed(ctx, p, func(p phase) (plan.KeyPlan, error) {
			return upload.Look(ctx, n.host, upload.Request{
				Keys: p.items, Dirs: n.node.Directories, Policy: p.policy, Earlier: places, Who: n.opts.Who, Note: n.note,
			})
		})
		if err != nil {
			return err
		}
		places.Add(steps)
		list = append(list, steps.Outlook()...)
	}
	n.outlook.Keys = list
	return nil
}

// foreseeUnits finds out what would become of units.
func (n *nodeRun) foreseeUnits(ctx context.Context) error {
	n.quietly("asking the system what its activation would do")
	units, err := activation.DryRun(ctx, n.host, n.outlook.Brings)
	switch {
	case err == nil:
		found := plan.Units(units)
		n.outlook.Units = &found
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case n.lost(err):
		return err
	default:
		n.outlook.Unknown = append(n.outlook.Unknown, "units: "+err.Error())
	}
	return nil
}

// foreseeReboot finds out whether the host will want a reboot.
func (n *nodeRun) foreseeReboot() {
	o := n.outlook
	boots := o.Boots
	if n.opts.Goal.SetsProfile() && boots.Path != o.Brings {
		boots = o.New
	}
	switch {
	case n.booted.Path == "":
		o.Unknown = append(o.Unknown, "reboot: the host was not booted with NixOS (it has no /run/booted-system), so there is nothing to compare with")
	case boots.Boot == nil:
		o.Unknown = append(o.Unknown, "reboot: the kernel of the system is not known yet")
	default:
		o.Due = closure.RebootReason(n.booted, boots)
	}
	if n.opts.Reboot == plan.Always || n.opts.Reboot == plan.IfNeeded && o.Due != "" {
		o.Reboot()
	}
}

// agreed looks whether the host is still what was shown.
func (n *nodeRun) agreed(has activation.State) error {
	if shown := n.shown(); shown != nil && shown.Goal.NeedsToplevel() {
		return shown.SameSystems(has.Current, has.Profile)
	}
	return nil
}

// agreedKeys looks whether keys are to be changed that were shown so. Those after the
// activation, which may have changed theirs, are sent all the same.
func (n *nodeRun) agreedKeys(at hive.UploadAt) func(plan.KeyPlan) error {
	shown := n.shown()
	if shown == nil || at == hive.PostActivation || n.result.Rebooted {
		return nil
	}
	return shown.SameKeys
}

// agreedContents looks whether contents are still those that were shown.
func (n *nodeRun) agreedContents(content map[string]secret.Secret) error {
	shown := n.shown()
	if shown == nil || n.result.Rebooted {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(content)) {
		if err := shown.SameContent(key, content[key].Digest()); err != nil {
			return err
		}
	}
	return nil
}

// shown is what was agreed to for the node, nil where nobody was asked.
func (n *nodeRun) shown() *plan.Outlook { return n.opts.Shown[n.node.Name] }

// foretold is how the outlook ends.
func foretold(o *plan.Outlook) string {
	if !o.Changes() {
		return "nothing to do"
	}
	return "would change"
}
