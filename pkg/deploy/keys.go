package deploy

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/upload"
)

// phase is a set of keys that are uploaded together.
type phase struct {
	items  []upload.Item
	policy plan.Policy
	agree  func(plan.KeyPlan) error // may refuse it; or nil
}

// keySet is a node's keys on their way through the phases.
type keySet struct {
	before phase // pre-activation
	after  phase // post-activation

	pending []upload.Item // from before, held by root until their owner exists
}

// lookForSources sees whether the keys can be resolved at all: what is missing is
// told before a long build, not after it.
func (n *nodeRun) lookForSources(ctx context.Context) error {
	n.quietly("looking for what the keys are made from")
	return n.tools.CheckSources(ctx, n.node)
}

// resolve gets the content of every key of every phase, before anything on the
// host changes; after a reboot, once more.
func (n *nodeRun) resolve(ctx context.Context, step plan.Step) error {
	n.begin("resolving " + count(n.node.Keys))
	content, err := n.tools.Resolve(ctx, n.node, n.warn)
	if err != nil {
		return err
	}
	goal := n.opts.Goal
	if step.Booted {
		goal = hive.Keys
	}
	set := &n.keys
	*set = keySet{}
	for _, key := range n.node.Keys {
		item := upload.Item{Key: key, Content: content[key.Attr]}
		if key.UploadAt == hive.PostActivation {
			set.after.items = append(set.after.items, item)
		} else {
			set.before.items = append(set.before.items, item)
		}
	}
	if err := n.agreedContents(set.all().items); err != nil {
		return err
	}
	set.before.policy = plan.PolicyFor(goal, hive.PreActivation)
	set.after.policy = plan.PolicyFor(goal, hive.PostActivation)
	return nil
}

// all is every key at once, for the goal keys, where both policies are one.
func (s *keySet) all() phase {
	return phase{items: append(append([]upload.Item{}, s.before.items...), s.after.items...), policy: s.before.policy}
}

// units are those that the switch may wait for.
func (s *keySet) units() []string {
	var units []string
	for _, item := range s.after.items {
		units = append(units, item.Key.Unit())
	}
	return units
}

// owe remembers the keys that root holds for an owner who is yet to be made.
func (s *keySet) owe(steps plan.KeyPlan) {
	absent := map[string]bool{}
	for _, step := range steps {
		absent[step.Key.Attr] = step.OwnerPending
	}
	for _, item := range s.before.items {
		if absent[item.Key.Attr] {
			s.pending = append(s.pending, item)
		}
	}
}

// keysOf is the keys that a phase has to bring, "" being all at once.
func (n *nodeRun) keysOf(at hive.UploadAt) phase {
	switch at {
	case hive.PreActivation:
		return n.keys.before
	case hive.PostActivation:
		return n.lateKeys()
	}
	return n.keys.all()
}

// lateKeys is what is left to do after activation: the post-activation keys, and
// those whose owner was absent before it.
func (n *nodeRun) lateKeys() phase {
	left := phase{policy: n.keys.after.policy, items: slices.Clone(n.keys.pending)}
	if !n.known.Early {
		left.items = append(left.items, n.keys.after.items...)
	}
	return left
}

// sendEarly uploads the post-activation keys while switch-to-configuration
// waits for one of them.
func (n *nodeRun) sendEarly(ctx context.Context) (err error) {
	defer crash.Recover(&err)
	_, err = n.deliver(ctx, n.keys.after)
	n.known.Early = err == nil // or else they are still due
	return err
}

// skipLateKeys records the post-activation keys of a system that takes effect only
// with the next boot.
func (n *nodeRun) skipLateKeys() {
	if n.known.Early {
		return
	}
	var steps plan.KeyPlan
	for _, item := range n.keys.after.items {
		steps = append(steps, plan.KeyStep{WantedKey: plan.WantedKey{Key: item.Key}, Change: plan.Skipped,
			Note: "its system takes effect with the next boot; run upload-keys after it"})
	}
	n.record(steps)
}

func count[T any](keys []T) string {
	if len(keys) == 1 {
		return "1 key"
	}
	return fmt.Sprintf("%d keys", len(keys))
}

// upload brings one phase's keys to the host.
func (n *nodeRun) upload(ctx context.Context, step plan.Step) error {
	p := n.keysOf(step.Phase)
	n.begin("bringing " + count(p.items) + " up to date")
	p.agree = n.agreedKeys(step.Phase)
	steps, err := n.deliver(ctx, p)
	// With boot, owners come with the reboot.
	if err == nil && step.Phase == hive.PreActivation && n.opts.Goal != hive.Boot {
		n.keys.owe(steps)
		n.known.Owed = len(n.keys.pending) > 0
	}
	return err
}

// deliver uploads a phase and records what became of each key. Of two, one has
// ended before the other begins.
func (n *nodeRun) deliver(ctx context.Context, p phase) (plan.KeyPlan, error) {
	steps, err := upload.Run(ctx, n.host, upload.Request{
		Node: n.node.Name, Keys: p.items, Policy: p.policy, Earlier: n.places, Who: n.opts.Who, Note: n.note, Warn: n.warn,
		Begin: func() { n.changing = true }, Agree: p.agree,
	})
	if err != nil {
		return nil, err
	}
	n.places.Add(steps)
	n.record(steps)
	return steps, nil
}

// tellNotes says what there is to say of keys, each thing once for all of them.
func (n *nodeRun) tellNotes(steps plan.KeyPlan) {
	var notes []string
	names := map[string][]string{}
	for _, step := range steps {
		if step.Change == plan.Skipped && n.opts.Reboot == plan.Always {
			continue // it is sent after the reboot
		}
		if names[step.Note] == nil && step.Note != "" {
			notes = append(notes, step.Note)
		}
		names[step.Note] = append(names[step.Note], strconv.Quote(step.Key.Attr))
	}
	for _, note := range notes {
		keys := "keys"
		if len(names[note]) == 1 {
			keys = "key"
		}
		n.note(fmt.Sprintf("%s %s: %s", keys, hive.FirstFew(names[note]), note))
	}
}

// record adds a phase's outcome to the result. A key that comes twice, since
// its owner was absent the first time, keeps the greater change.
func (n *nodeRun) record(steps plan.KeyPlan) {
	n.tellNotes(steps)
	n.mu.Lock()
	defer n.mu.Unlock()
next:
	for _, step := range steps {
		fresh := event.KeyResult{Name: step.Key.Attr, Path: step.Key.Path(), Change: step.Change, Note: step.Note}
		for i, old := range n.result.Keys {
			if old.Name == fresh.Name {
				if old.Change.Exceeds(fresh.Change) {
					fresh.Change = old.Change
				}
				n.result.Keys[i] = fresh
				continue next
			}
		}
		n.result.Keys = append(n.result.Keys, fresh)
	}
}
