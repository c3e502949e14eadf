package deploy

import (
	"context"
	"maps"
	"slices"

	"github.com/colmena-go/colmena-go/pkg/activation"
	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/memory"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/secret"
	"github.com/colmena-go/colmena-go/pkg/status"
	"github.com/colmena-go/colmena-go/pkg/upload"
)

// The steps of a dry run, which find out what the others would do. What they cannot find
// out is part of the outlook, and no failure.

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
	for _, system := range n.outlook.Suspects() {
		known, err := n.tools.Known(ctx, system)
		if err != nil {
			return err
		}
		if !known {
			n.outlook.Disown(system)
		}
	}
	return nil
}

// compare finds out what a step would do.
func (n *nodeRun) compare(ctx context.Context, step plan.Step) error {
	switch step.Of {
	case plan.Upload:
		if step.Stale {
			return n.foreseeStale(ctx)
		}
		return n.foreseeKeys(ctx)
	case plan.Activate:
		return n.foreseeUnits(ctx)
	case plan.Reboot:
		n.outlook.SeeReboot(n.booted, n.opts.Reboot)
		return nil
	}
	return n.foreseePush(ctx)
}

// foreseePush finds out what is to be copied, and in which packages the systems differ.
func (n *nodeRun) foreseePush(ctx context.Context) error {
	n.quietly("comparing the systems")
	o := n.outlook
	o.New = status.Here(o.Brings, o.Runs, o.Boots)
	found, err := n.tools.Compare(ctx, n.host, closure.Pair{
		Old: o.Old(), New: o.New, There: n.known.Has || n.opts.Local, Builds: n.opts.BuildsOnHost(n.node),
	})
	if err != nil {
		return err
	}
	o.Compared(found)
	n.known.Has, n.known.Same = o.There, o.Same
	return nil
}

// Compare compares two systems by what this machine knows of them, and the host. What both
// need is not kept: of many hosts it would be much.
func (t Tools) Compare(ctx context.Context, host Host, pair closure.Pair) (closure.Found, error) {
	var err error
	for _, system := range []*closure.System{&pair.Old, &pair.New} {
		if system.Known() {
			continue
		}
		if system.Sizes, err = t.sizesHere(ctx, system.Path); err != nil {
			return closure.Found{}, err
		}
	}
	says := closure.Answer{}
	if q := pair.Question(); !q.Empty() {
		says, err = t.AskStore(ctx, host, q)
	}
	if err != nil {
		return closure.Found{}, err
	}
	return pair.Compare(says), nil
}

// sizesHere is what a path needs, nil if this machine does not have it.
func (t Tools) sizesHere(ctx context.Context, system string) (map[string]int64, error) {
	if system == "" {
		return nil, nil
	}
	known, err := t.Known(ctx, system)
	if err != nil || !known {
		return nil, err
	}
	return t.Closure(ctx, system)
}

// foreseeKeys finds out what would become of the keys, of all phases. Those that come
// after the activation may wait for it to make their owners.
func (n *nodeRun) foreseeKeys(ctx context.Context) error {
	n.quietly("asking the host for its keys")
	phases := []phase{n.keys.all()}
	if n.opts.Goal.Activates() {
		late := n.keys.after
		late.policy = late.policy.Ahead()
		phases = []phase{n.keys.before, late}
	}
	var list []plan.KeyOutlook
	places := plan.Places{}
	for _, p := range phases {
		var left plan.Jobs
		steps, err := n.needed(ctx, p, func(p phase) (plan.KeyPlan, error) {
			return upload.Look(ctx, n.host, upload.Request{
				Root: n.opts.KeyRoot, Keys: p.items, Dirs: n.node.Directories, Policy: p.policy, Earlier: places, Who: n.opts.Who, Note: n.note,
				Recall: func(m *memory.Memory) { left = plan.Left(n.node, m) },
			})
		})
		if err != nil {
			return err
		}
		places.Add(steps)
		list = append(list, steps.Outlook()...)
		if n.opts.Goal != hive.Boot && n.opts.KeyRoot == "" {
			n.outlook.Jobs = n.outlook.Jobs.With(left).With(steps.Jobs())
		}
	}
	for i := range list {
		list[i].Path = n.keyPath(list[i].Path)
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
		n.outlook.Units = &units
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case n.lost(err):
		return err
	default:
		n.outlook.Unknown = append(n.outlook.Unknown, "units: "+err.Error())
	}
	return nil
}

// agreed looks whether the host is still what was shown.
func (n *nodeRun) agreed(has activation.State) error {
	if shown := n.shown(); shown != nil && shown.Goal.NeedsToplevel() {
		return shown.SameSystems(has.Current, has.Profile)
	}
	return nil
}

// agreedKeys looks whether keys are to be changed that were shown so. Those after the
// activation, which may have changed theirs, are sent all the same: see agreedLate.
func (n *nodeRun) agreedKeys(at hive.UploadAt) func(plan.KeyPlan) error {
	shown := n.shown()
	if shown == nil || at == hive.PostActivation || n.result.Rebooted {
		return nil
	}
	return shown.SameKeys
}

// agreedLate looks the same of the keys after the activation, before anything on the host
// changes.
func (n *nodeRun) agreedLate(ctx context.Context) error {
	shown := n.shown()
	if shown == nil || n.result.Rebooted || !n.opts.Goal.Activates() || len(n.keys.after.items) == 0 {
		return nil
	}
	late := n.keys.after
	late.policy = late.policy.Ahead()
	steps, err := n.needed(ctx, late, func(p phase) (plan.KeyPlan, error) {
		return upload.Look(ctx, n.host, upload.Request{
			Keys: p.items, Dirs: n.node.Directories, Policy: p.policy, Who: n.opts.Who, Note: n.note,
		})
	})
	if err != nil {
		return err
	}
	return shown.SameKeys(steps)
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
