package plan

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/memory"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// WantedKey is a key as the hive wants it on the host.
type WantedKey struct {
	Key    hive.Key
	Size   int64 // bytes
	Digest secret.Digest
	Held   bool // its content is not here, but on the host: see [Held]
}

// Policy says how a phase treats what it cannot have yet.
type Policy struct {
	// AbsentOwnerIsRoot lets root own a key whose user or group does not exist
	// until activation creates it; otherwise that is an error.
	AbsentOwnerIsRoot bool
	// SkipVolatile leaves out keys in directories that a reboot empties.
	SkipVolatile bool
	// Anew replaces files where changing their owner or mode would do, since they may be those
	// of somebody else by another name.
	Anew bool
}

// PolicyFor is the policy of a goal's phase. Before activation, owners may yet
// have to be made; with boot they are not made until the reboot, which also
// empties directories in memory; with keys nothing will make them.
func PolicyFor(goal hive.Goal, phase hive.UploadAt) Policy {
	switch {
	case goal == hive.Boot:
		return Policy{AbsentOwnerIsRoot: true, SkipVolatile: true}
	case goal == hive.Keys || phase == hive.PostActivation:
		return Policy{}
	}
	return Policy{AbsentOwnerIsRoot: true}
}

// Observed is what a host has, as far as the wanted keys are concerned.
type Observed struct {
	Users  map[string]int      // uid by name, only those that exist
	Groups map[string]int      // gid by name, only those that exist
	Dirs   map[string]DirState // by destDir
	Ways   map[string]WayState // directories of deployment.keyDirectories that are there, by path
	Files  map[string]FileState
	Memory memory.Memory // what it remembers of all its keys
}

// DirState is what matters about a destination directory.
type DirState struct {
	ID       string // the same for two paths to one directory
	RootOnly bool   // only root can change anything in it
	Volatile bool   // on a file system in memory
	Covered  bool   // of another root: a boot mounts something over it
	Fixed    string // why nothing in it can be changed, "" if that can be tried
}

// FileState is what is at a key's path.
type FileState struct {
	Obstacle string // what is in the way of a regular file, e.g. "a directory"
	Present  bool   // a regular file; the fields below are its own
	Mode     uint32
	UID, GID int
	ACL      bool // it has an access control list, which opens it to others than its mode says
	Size     int64
	Digest   secret.Digest // zero when the size already tells that it differs
}

// KeyStep is what is to be done for one key.
type KeyStep struct {
	WantedKey
	Place    string // the same for two paths to one file on the host
	Change   Change
	Send     bool // content travels; Mended without Send is chown and chmod in place
	UID, GID int
	Mode     uint32
	Was      FileState
	// OwnerPending: the user or group is absent, so root stands in for it.
	OwnerPending bool
	Volatile     bool // it is in memory, which a reboot empties
	Note         string
}

// KeyPlan is what is to be done for one phase, in the order of the wanted keys.
type KeyPlan []KeyStep

// KeyError is a key that cannot be put where the hive wants it.
type KeyError struct {
	Key    string // attribute name
	Option string // the deployment.keys option at fault
	Text   string // what is wrong and what to do
}

func (e *KeyError) Error() string {
	return fmt.Sprintf("key %q (%s): %s", e.Key, e.Option, e.Text)
}

// Places are the files on a host that keys of earlier phases went to, with the
// keys' attribute names.
type Places map[string]string

// Add records where a plan's keys go.
func (p Places) Add(steps KeyPlan) {
	for _, step := range steps {
		p[step.Place] = step.Key.Attr
	}
}

// Keys plans one phase. Every key that cannot be delivered adds a [KeyError]
// to the returned multierror; with an error nothing must be executed.
func Keys(wanted []WantedKey, seen Observed, policy Policy, earlier Places) (KeyPlan, error) {
	problems := &multierror.Error{ErrorFormat: hive.ListErrors}
	steps := make(KeyPlan, 0, len(wanted))
	taken := maps.Clone(earlier)
	if taken == nil {
		taken = Places{}
	}
	for _, want := range wanted {
		place := seen.Dirs[want.Key.DestDir].ID + "/" + want.Key.Name
		if other, ok := taken[place]; ok && other != want.Key.Attr {
			problems = multierror.Append(problems, &KeyError{want.Key.Attr, "destDir, name", fmt.Sprintf(
				"%s is the same file on the host as that of key %q: give one of them another name", want.Key.Path(), other)})
			continue
		}
		taken[place] = want.Key.Attr
		step, err := planKey(want, seen, policy)
		if err != nil {
			problems = multierror.Append(problems, err)
			continue
		}
		step.Place = place
		steps = append(steps, step)
	}
	if err := problems.ErrorOrNil(); err != nil {
		return nil, err
	}
	return steps, nil
}

func planKey(want WantedKey, seen Observed, policy Policy) (KeyStep, error) {
	key := want.Key
	dir, file := seen.Dirs[key.DestDir], seen.Files[key.Path()]
	step := KeyStep{WantedKey: want, Mode: key.Mode, Was: file, Volatile: dir.Volatile}
	if dir.Covered {
		step.Change = Skipped
		step.Note = key.DestDir + " is not on the disk of a system that runs; run upload-keys after the boot"
		return step, nil
	}
	if policy.SkipVolatile && dir.Volatile {
		step.Change = Skipped
		step.Note = key.DestDir + " does not survive the reboot; run upload-keys after it"
		return step, nil
	}
	if file.Obstacle != "" {
		return step, &KeyError{key.Attr, "destDir, name", fmt.Sprintf(
			"%s is %s, not a regular file; move it away", key.Path(), file.Obstacle)}
	}
	if err := own(&step, seen, policy); err != nil {
		return step, err
	}
	sameContent := file.Present && file.Size == want.Size && file.Digest.Equal(want.Digest)
	sameOwner := file.UID == step.UID && file.GID == step.GID && file.Mode == step.Mode && !file.ACL
	switch {
	case sameContent && sameOwner:
		step.Change = Unchanged
	case sameContent:
		step.Change, step.Send = Mended, policy.Anew || !file.rootOnly(dir)
	default:
		step.Change, step.Send = Changed, true
	}
	if dir.Fixed != "" && step.Change != Unchanged {
		return step, &KeyError{key.Attr, "destDir", key.DestDir + ": " + dir.Fixed}
	}
	return step, nil
}

// rootOnly: only root can have changed the file or have it open, and chown and
// chmod are enough to hand it on. In a directory that
// others can write, the name may lead elsewhere by then, and who could write the
// file may still have it open: a fresh one takes its place.
func (f FileState) rootOnly(dir DirState) bool {
	return dir.RootOnly && f.UID == 0 && f.Mode&0o022 == 0 && !f.ACL
}

// own settles the step's UID and GID. Its error holds a [KeyError] for each that
// does not exist.
func own(step *KeyStep, seen Observed, policy Policy) error {
	owner := ownership{user: step.Key.User, group: step.Key.Group}
	absent := owner.settle(seen)
	step.UID, step.GID = owner.uid, owner.gid
	if len(absent) == 0 {
		return nil
	}
	if policy.AbsentOwnerIsRoot {
		step.OwnerPending = true
		step.Note = notYet(absent) + ": root owns it until the activation"
		return nil
	}
	var problems *multierror.Error
	for _, a := range absent {
		problems = multierror.Append(problems, &KeyError{step.Key.Attr, a.option, fmt.Sprintf(
			"there is no %s on the host; create it (apply does, if the configuration declares it) or correct the name", a)})
	}
	return problems
}

// ownership is who is to own something, and the ids of those on the host.
type ownership struct {
	user, group string
	uid, gid    int
}

// settle finds the ids. Those that do not exist are returned, and are root's.
func (o *ownership) settle(seen Observed) (absent []absentOwner) {
	var ok bool
	if o.uid, ok = lookup(o.user, seen.Users); !ok {
		absent = append(absent, absentOwner{"user", o.user})
	}
	if o.gid, ok = lookup(o.group, seen.Groups); !ok {
		absent = append(absent, absentOwner{"group", o.group})
	}
	return absent
}

// absentOwner is a user or group that a host does not have.
type absentOwner struct{ option, name string }

func (a absentOwner) String() string { return fmt.Sprintf("%s %q", a.option, a.name) }

// notYet says so of some.
func notYet(absent []absentOwner) string {
	words := make([]string, len(absent))
	for i, a := range absent {
		words[i] = a.option + " " + a.name
	}
	do := "does"
	if len(absent) > 1 {
		do = "do"
	}
	return fmt.Sprintf("%s %s not exist yet", strings.Join(words, " and "), do)
}

// lookup finds an id; a number is its own id, as for chown(1), unless a user
// really bears it as a name.
func lookup(name string, known map[string]int) (int, bool) {
	if id, ok := known[name]; ok {
		return id, true
	}
	id, err := strconv.ParseUint(name, 10, 32)
	if err != nil {
		return 0, false
	}
	return int(id), true
}

// Idle reports whether the plan leaves the host as it is.
func (p KeyPlan) Idle() bool {
	for _, step := range p {
		if step.Change == Changed || step.Change == Mended {
			return false
		}
	}
	return true
}

// String lists the plan, a key a line, without content or digest.
func (p KeyPlan) String() string {
	var b strings.Builder
	for _, s := range p {
		fmt.Fprintf(&b, "%s %s", s.Change, s.Key.Path())
		if s.Change == Changed || s.Change == Mended {
			fmt.Fprintf(&b, " %d:%d %04o", s.UID, s.GID, s.Mode)
			if !s.Send {
				b.WriteString(" in place")
			}
		}
		if s.Note != "" {
			fmt.Fprintf(&b, " (%s)", s.Note)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
