package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/memory"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/secret"
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
	before phase                   // pre-activation
	after  phase                   // post-activation
	held   map[string]memory.Entry // those whose content the host has, by attribute name
}

// lookForSources sees whether the keys can be resolved at all: what is missing is
// told before a long build, not after it.
func (n *nodeRun) lookForSources(ctx context.Context) error {
	n.quietly("looking for what the keys are made from")
	return n.tools.CheckSources(ctx, n.with(func(k hive.Key) bool { return k.Fingerprint == "" || n.opts.ResolveAll }))
}

// with is the node with those of its keys.
func (n *nodeRun) with(keys func(hive.Key) bool) hive.Node {
	node := n.node
	node.Keys = nil
	for _, key := range n.node.Keys {
		if keys(key) {
			node.Keys = append(node.Keys, key)
		}
	}
	return node
}

// lookForHeld asks the host of which keys it has the content, as their fingerprints say,
// and looks for the sources of the others that have one. What the coming reboot takes away
// counts as not there: it has to be resolved then.
func (n *nodeRun) lookForHeld(ctx context.Context, step plan.Step) error {
	n.quietly("asking the host which keys it holds")
	var items []upload.Item
	for _, key := range n.node.Keys {
		items = append(items, upload.Item{Key: key})
	}
	held, err := upload.Holding(ctx, n.host, upload.Request{Root: n.opts.KeyRoot, Keys: items, Who: n.opts.Who})
	if err != nil {
		return err
	}
	if n.opts.Empties(step) {
		maps.DeleteFunc(held, func(_ string, e memory.Entry) bool { return e.Volatile })
	}
	n.keys.held = held
	return n.tools.CheckSources(ctx, n.with(func(k hive.Key) bool { return k.Fingerprint != "" && !n.holds(k) }))
}

// holds reports whether the host has the content of a key, as far as is known.
func (n *nodeRun) holds(key hive.Key) bool {
	_, ok := n.keys.held[key.Attr]
	return ok
}

// resolve gets the content of every key of every phase, but for those that the host holds,
// before anything on the host changes; after a reboot, once more.
func (n *nodeRun) resolve(ctx context.Context, step plan.Step) error {
	wanted := n.with(func(k hive.Key) bool { return !n.holds(k) })
	text := "resolving " + count(wanted.Keys)
	if held := len(n.keys.held); held > 0 {
		text += fmt.Sprintf(", the host holds %d", held)
	}
	n.begin(text)
	content, err := n.contents(ctx, wanted)
	if err != nil {
		return err
	}
	goal := n.opts.Goal
	if step.Booted {
		goal = hive.Keys
	}
	set := &n.keys
	*set = keySet{held: set.held}
	for _, key := range n.node.Keys {
		item := upload.Item{Key: key, Content: content[key.Attr]}
		if entry, ok := set.held[key.Attr]; ok {
			item.Held = &entry
		}
		if key.UploadAt == hive.PostActivation {
			set.after.items = append(set.after.items, item)
		} else {
			set.before.items = append(set.before.items, item)
		}
	}
	set.before.policy = plan.PolicyFor(goal, hive.PreActivation)
	set.after.policy = plan.PolicyFor(goal, hive.PostActivation)
	if n.opts.KeyRoot != "" { // the first boot makes its users
		set.before.policy.AbsentOwnerIsRoot = true
	}
	return n.agreedLate(ctx)
}

// contents resolves the keys of a node, whose contents are those that were agreed to.
func (n *nodeRun) contents(ctx context.Context, node hive.Node) (map[string]secret.Secret, error) {
	if len(node.Keys) == 0 {
		return nil, nil
	}
	content, err := n.tools.Resolve(ctx, node, n.warn)
	if err == nil {
		err = n.agreedContents(content)
	}
	return content, err
}

// needed runs what needs the keys' content, of which held ones have none: those that the
// host no longer holds are resolved, and it is run again.
func (n *nodeRun) needed(ctx context.Context, p phase, run func(phase) (plan.KeyPlan, error)) (plan.KeyPlan, error) {
	for {
		steps, err := run(p)
		var gone *plan.NotHeldError
		if !errors.As(err, &gone) {
			return steps, err
		}
		n.note(gone.Error() + ": resolving them")
		content, err := n.contents(ctx, n.with(func(k hive.Key) bool { return slices.Contains(gone.Keys, k.Attr) }))
		if err != nil {
			return nil, err
		}
		for key := range content {
			delete(n.keys.held, key)
		}
		p.fill(content)
		n.keys.before.fill(content)
		n.keys.after.fill(content)
	}
}

// fill gives its content to each key that has got it.
func (p *phase) fill(content map[string]secret.Secret) {
	for i, item := range p.items {
		if c, ok := content[item.Key.Attr]; ok {
			p.items[i] = upload.Item{Key: item.Key, Content: c}
		}
	}
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
	left := phase{policy: n.keys.after.policy}
	for _, item := range n.keys.all().items {
		if n.known.Late(item.Key) {
			left.items = append(left.items, item)
		}
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
	n.known.Owed = append(n.known.Owed, n.opts.Owes(step, steps)...)
	return err
}

// deliver uploads a phase and records what became of each key. Of two, one has
// ended before the other begins.
func (n *nodeRun) deliver(ctx context.Context, p phase) (plan.KeyPlan, error) {
	var jobs *unitJobs
	steps, err := n.needed(ctx, p, func(p phase) (plan.KeyPlan, error) {
		request := upload.Request{
			Root: n.opts.KeyRoot, Node: n.node.Name, Keys: p.items, Dirs: n.node.Directories, Policy: p.policy, Earlier: n.places, Who: n.opts.Who, Note: n.note, Warn: n.warn,
			Begin: func() { n.changing = true }, Agree: p.agree,
		}
		jobs = n.jobsOf(&request)
		jobsLeft := request.Recall
		request.Recall = func(m *memory.Memory) {
			n.recall(m)
			if jobsLeft != nil {
				jobsLeft(m)
			}
		}
		return upload.Run(ctx, n.host, request)
	})
	if err != nil {
		return nil, err
	}
	n.jobs.with(jobs)
	n.known.NoJobs = len(n.jobs.due) == 0
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

// keyPath is where a key is on the host that is reached, which may not run the system yet.
func (n *nodeRun) keyPath(inSystem string) string { return n.opts.KeyRoot + inSystem }

// record adds a phase's outcome to the result. A key that comes twice, since
// its owner was absent the first time, keeps the greater change.
func (n *nodeRun) record(steps plan.KeyPlan) {
	n.tellNotes(steps)
	n.mu.Lock()
	defer n.mu.Unlock()
next:
	for _, step := range steps {
		fresh := event.KeyResult{Name: step.Key.Attr, Path: n.keyPath(step.Key.Path()), Change: step.Change, Note: step.Note}
		for i, old := range n.result.Keys {
			if old.Name == fresh.Name && old.Change != plan.Removed {
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
