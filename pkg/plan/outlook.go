package plan

import (
	"slices"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// Outlook is what a deployment would do to a node's host, as far as that is known without
// doing it.
type Outlook struct {
	Goal   hive.Goal
	Brings string // the system's store path; "" where the goal is about none
	Same   bool   // what the goal does with the system has been done before
	There  bool   // the host has the system with its closure

	Runs, Boots, New closure.System // as far as they are known
	Copy             *closure.Copy  // what the host lacks of the closure; nil: not known
	Packages         *closure.Diff  // against what it runs or, with boot, boots; nil: not known, or the same system
	Units            *Units         // nil: not known, or none are touched
	Keys             []KeyOutlook
	Jobs             Jobs // of units whose keys change
	Foreign          []Foreign
	Due              string   // why the host wants a reboot, after the deployment; "" where it does not
	DueParts         []string // those of [closure.BootParts] for which it does
	Reboots          bool     // the deployment reboots it

	Unknown []string // what cannot be told before it is done, and why
}

// Units are those that switch-to-configuration says it would touch.
type Units struct {
	Stop, Start, Restart, Reload []string
	Keep                         []string // that differ and are left as they run
}

// Foreign is a system of the host's that this machine does not know: somebody else has
// deployed it.
type Foreign struct {
	Path        string
	Runs, Boots bool
}

// KeyOutlook is what would become of a key. Of its content it has the digest alone.
type KeyOutlook struct {
	Name     string // attribute name
	Path     string
	Change   Change
	New      bool     // nothing is at its path yet
	Differs  []string // of one that is there: content, owner, group, mode, access list
	Note     string
	InMemory bool          // which a reboot empties
	Digest   secret.Digest // of the wanted content
}

// Changes reports whether anything would be done to the host that changes it.
func (o *Outlook) Changes() bool {
	return o.ChangesSystem() || o.Reboots || len(o.Jobs) > 0 || slices.ContainsFunc(o.Keys, KeyOutlook.changes)
}

// ChangesSystem reports whether the goal does something with the system that has not been done.
func (o *Outlook) ChangesSystem() bool { return o.Brings != "" && !o.Same }

func (k KeyOutlook) changes() bool {
	return k.Change == Changed || k.Change == Mended || k.Change == Removed
}

// Removes reports whether it was shown that a file is removed.
func (o *Outlook) Removes(f StaleFile) bool {
	return slices.ContainsFunc(o.Keys, func(k KeyOutlook) bool { return k.Change == Removed && k.Path == f.Path })
}

// WantsReboot reports whether the host is to be rebooted, or waits for that then.
func (o *Outlook) WantsReboot() bool { return o.Reboots || o.ChangesSystem() && o.Due != "" }

// Old is the system that the new one takes the place of.
func (o *Outlook) Old() closure.System {
	if o.Goal == hive.Boot {
		return o.Boots
	}
	return o.Runs
}

// Done reports whether what a goal does with a system has been done on a host that runs
// and boots these.
func Done(goal hive.Goal, system, runs, boots string) bool {
	switch goal {
	case hive.Switch:
		return runs == system && boots == system
	case hive.Boot:
		return boots == system
	case hive.Test:
		return runs == system
	case hive.Push:
		return runs == system || boots == system
	}
	return false
}

// Suspects are those systems of the host's that may be somebody else's.
func (o *Outlook) Suspects() (paths []string) {
	for _, path := range slices.Compact([]string{o.Runs.Path, o.Boots.Path}) {
		if path != "" && path != o.Brings && o.Goal.Activates() {
			paths = append(paths, path)
		}
	}
	return paths
}

// Disown adds one of the host's systems that this machine does not know.
func (o *Outlook) Disown(path string) {
	o.Foreign = append(o.Foreign, Foreign{Path: path, Runs: path == o.Runs.Path, Boots: path == o.Boots.Path})
}

// Compared adds what became of comparing the system with [Outlook.Old].
func (o *Outlook) Compared(found closure.Found) {
	o.There, o.Copy = found.There, found.Copy
	if o.Goal == hive.Push {
		o.Same = o.There
	}
	if o.Goal.Activates() && !o.There {
		o.Unknown = append(o.Unknown, "units: the host does not have the system yet (apply push brings it)")
	}
	if !o.Same {
		o.Packages = found.Packages
		o.Unknown = append(o.Unknown, found.Unknown...)
	}
}

// SeeReboot adds whether the host, which booted that, will want a reboot, and whether it
// is rebooted.
func (o *Outlook) SeeReboot(booted closure.System, when When) {
	boots := o.Boots
	if o.Goal.SetsProfile() && boots.Path != o.Brings {
		boots = o.New
	}
	switch {
	case booted.Path == "":
		o.Unknown = append(o.Unknown, "reboot: the host was not booted with NixOS (it has no /run/booted-system), so there is nothing to compare with")
	case boots.Boot == nil:
		o.Unknown = append(o.Unknown, "reboot: the kernel of the system is not known yet")
	default:
		o.Due, o.DueParts = closure.RebootReason(booted, boots), closure.RebootParts(booted, boots)
	}
	if when == Always || when == IfNeeded && o.Due != "" {
		o.reboot()
	}
}

// Outlook is what a plan means for the keys. An owner that is yet to be made by an
// activation is no obstacle to keys that come after it.
func (p KeyPlan) Outlook() []KeyOutlook {
	list := make([]KeyOutlook, len(p))
	for i, step := range p {
		list[i] = KeyOutlook{
			Name: step.Key.Attr, Path: step.Key.Path(), Change: step.Change, New: step.Change == Changed && !step.Was.Present,
			Differs: step.differs(), Note: step.Note, InMemory: step.Volatile, Digest: step.Digest,
		}
		if step.OwnerPending && step.Key.UploadAt == hive.PostActivation {
			list[i].Note = "its owner does not exist yet: the activation has to make it"
		}
	}
	return list
}

// reboot adds that the host is rebooted: keys in memory go with it, and are sent again.
func (o *Outlook) reboot() {
	o.Reboots = true
	o.Jobs = nil // all units are started anew
	for i := range o.Keys {
		if k := &o.Keys[i]; k.InMemory && k.Change != Removed {
			k.Change, k.New, k.Differs, k.Note = Changed, true, nil, "after the reboot"
		}
	}
}

// differs says in what a file that is there is another one than is wanted.
func (s KeyStep) differs() (list []string) {
	if !s.Was.Present || s.Change != Changed && s.Change != Mended {
		return nil
	}
	for _, part := range []struct {
		name    string
		differs bool
	}{
		{"content", s.Change == Changed},
		{"owner", s.Was.UID != s.UID},
		{"group", s.Was.GID != s.GID},
		{"mode", s.Was.Mode != s.Mode},
		{"access list", s.Was.ACL},
	} {
		if part.differs {
			list = append(list, part.name)
		}
	}
	return list
}

// SameKeys looks whether a plan does no more to keys than was shown. Its error names the
// first of which that is not so.
func (o *Outlook) SameKeys(steps KeyPlan) error {
	for _, step := range steps {
		if step.Change != Changed && step.Change != Mended {
			continue
		}
		if i := o.key(step.Key.Attr); i < 0 || !o.Keys[i].changes() || step.Change.Exceeds(o.Keys[i].Change) {
			return &DriftError{"key " + step.Key.Attr + " would be " + string(step.Change) + " now: the host has another one than it had"}
		}
	}
	return nil
}

// SameContent looks whether a key of which no other content was shown has its content still.
func (o *Outlook) SameContent(key string, digest secret.Digest) error {
	i := o.key(key)
	if i < 0 || o.Keys[i].Change != Unchanged && o.Keys[i].Change != Mended {
		return nil
	}
	if !o.Keys[i].Digest.Equal(digest) {
		return &DriftError{"the content of key " + key + " is another one than it was"}
	}
	return nil
}

func (o *Outlook) key(name string) int {
	return slices.IndexFunc(o.Keys, func(k KeyOutlook) bool { return k.Name == name && k.Change != Removed })
}

// SameSystems looks whether the host runs and boots what was shown.
func (o *Outlook) SameSystems(runs, boots string) error {
	var now []string
	if runs != o.Runs.Path {
		now = append(now, "runs "+orNone(runs))
	}
	if boots != o.Boots.Path {
		now = append(now, "boots "+orNone(boots))
	}
	if len(now) > 0 {
		return &DriftError{"the host " + strings.Join(now, " and ") + " now"}
	}
	return nil
}

func orNone(system string) string {
	if system == "" {
		return "no NixOS system"
	}
	return system
}

// DriftError: something is not as it was shown, so that what was agreed to would not be
// what is done.
type DriftError struct{ What string }

func (e *DriftError) Error() string {
	return "not as it was shown: " + e.What + "; nothing was changed: run again to see the new plan"
}
