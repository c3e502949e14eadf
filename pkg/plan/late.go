package plan

import (
	"slices"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

// What comes after an activation, or only after a reboot.

// Late reports whether a key is left to be brought after the activation: it is one for
// then, unless it was sent while the activation waited for it, or its owner was made there.
func (f Facts) Late(key hive.Key) bool {
	if key.UploadAt == hive.PostActivation {
		return !f.Early
	}
	return slices.Contains(f.Owed, key.Attr)
}

// Owes names the keys of an upload that root holds for owners whom the activation makes.
// With boot, they come with the reboot.
func (w Want) Owes(s Step, steps KeyPlan) (keys []string) {
	if s.Phase != hive.PreActivation || w.Goal == hive.Boot {
		return nil
	}
	for _, step := range steps {
		if step.OwnerPending {
			keys = append(keys, step.Key.Attr)
		}
	}
	return keys
}

// Postponed are the post-activation keys of a system that takes effect only with the next
// boot: nothing is sent.
func (f Facts) Postponed(keys []hive.Key) (steps KeyPlan) {
	for _, key := range keys {
		if key.UploadAt == hive.PostActivation && !f.Early {
			steps = append(steps, KeyStep{WantedKey: WantedKey{Key: key}, Change: Skipped,
				Note: "its system takes effect with the next boot; run upload-keys after it"})
		}
	}
	return steps
}

// Empties reports whether a reboot that takes what is in memory is yet to come after a step.
func (w Want) Empties(s Step) bool {
	return (w.Reboot == Always || w.Goal == hive.Reboot) && !s.Booted
}

// Ahead is the policy for a look before the activation, which may make owners.
func (p Policy) Ahead() Policy {
	p.AbsentOwnerIsRoot = true
	return p
}
