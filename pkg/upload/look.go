package upload

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/memory"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// lookLimit is how long a host may take to tell what it has.
const lookLimit = 2 * time.Minute

// errUntold is of a host that has not told it by then.
var errUntold = fmt.Errorf("the host did not tell its keys within %s", lookLimit+grace)

// Look tells what [Run] would do, and changes nothing on the host: no directory, stage,
// file or lock is made there, and not even the time of a key's last access is. Digests of what the host has come back; none goes
// there. An upload that is under way is noted and not waited for.
func Look(ctx context.Context, host hostscript.Runner, req Request) (plan.KeyPlan, error) {
	if len(req.Keys) == 0 {
		return nil, nil
	}
	wanted, _, _ := contents(req.Keys)
	c, stop := begin(ctx, host, lookLimit, errUntold)
	defer stop()
	seen, err := c.look(req, noStage, byDirectory(wanted))
	if err != nil {
		return nil, err
	}
	c.send(words(nil).bytes())
	if req.Recall != nil {
		req.Recall(&seen.Memory)
	}
	steps, _, err := req.plan(wanted, seen)
	return steps, err
}

// Holding tells which of the keys the host holds the content of, by attribute name: it
// remembers their fingerprints, and the files are as they were. No content is needed, and
// nothing is changed, as by [Look]. A host that cannot be looked at holds none.
func Holding(ctx context.Context, host hostscript.Runner, req Request) (map[string]memory.Entry, error) {
	c, stop := begin(ctx, host, lookLimit, errUntold)
	defer stop()
	keys := req.Keys
	req.Keys = nil
	req.Note, req.Warn = nil, nil // who looks then for good has all to tell
	seen, err := c.look(req, noStage, nil)
	if err != nil {
		return nil, err
	}
	entries := map[string]memory.Entry{}
	var wanted []plan.WantedKey
	for _, item := range keys {
		if entry, ok := marked(&seen.Memory, item.Key); ok {
			entries[item.Key.Attr] = entry
			wanted = append(wanted, plan.WantedKey{Key: item.Key, Size: entry.Size, Held: true})
		}
	}
	if len(wanted) > 0 {
		there, err := c.lookAgain(byDirectory(wanted))
		var refused *refusal
		if err != nil && !errors.As(err, &refused) {
			return nil, err
		}
		there.Memory = seen.Memory
		var gone *plan.NotHeldError
		if _, err := plan.Held(wanted, there); errors.As(err, &gone) {
			for _, key := range gone.Keys {
				delete(entries, key)
			}
		}
	}
	c.send(words(nil).bytes())
	return entries, nil
}

// marked is the entry of a key that bears its fingerprint.
func marked(m *memory.Memory, key hive.Key) (memory.Entry, bool) {
	for _, entry := range slices.Backward(m.Of(key.Path())) {
		if key.Fingerprint != "" && entry.Fingerprint == key.Fingerprint {
			return entry, true
		}
	}
	return memory.Entry{}, false
}
