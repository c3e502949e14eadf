package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

// WayState is a directory of deployment.keyDirectories that is there already.
type WayState struct {
	ID       string
	UID, GID int
	Mode     uint32
	RootOnly bool // only root can have put it there
}

// DirectoryStep is what is to be done for such a directory.
type DirectoryStep struct {
	hive.Directory
	ID       string // of one that is there, and is given to its owner; "" for one that is made if it is missing
	UID, GID int
	Mode     uint32
}

// Given reports whether the directory is there, and gets its owner.
func (d DirectoryStep) Given() bool { return d.ID != "" }

// Directories plans the directories on the way to the keys of a plan. An owner that does not
// exist yet leaves one to root, whom alone it lets in until the owner is there: the steps of
// keys below it are then OwnerPending. Those notes of steps are set that have none. What is
// below another comes before it, as only root's are given. Every directory that cannot be made
// adds a [KeyError] to the returned multierror.
func (p KeyPlan) Directories(dirs []hive.Directory, seen Observed, policy Policy) ([]DirectoryStep, error) {
	problems := &multierror.Error{ErrorFormat: hive.ListErrors}
	var steps []DirectoryStep
	for _, dir := range slices.Backward(slices.SortedFunc(slices.Values(dirs), byPath)) {
		below := p.below(dir)
		there, exists := seen.Ways[dir.Path]
		if len(below) == 0 || exists && !there.awaitsOwner(dir) {
			continue
		}
		owner := ownership{user: dir.User, group: dir.Group}
		if absent := owner.settle(seen); len(absent) > 0 && !policy.AbsentOwnerIsRoot {
			for _, option := range absent {
				problems = multierror.Append(problems, &KeyError{below[0].Key.Attr, "keyDirectories", fmt.Sprintf(
					"there is no %s on the host to own %s; create it (apply does, if the configuration declares it) or correct the name", option, dir.Path)})
			}
			continue
		} else if len(absent) > 0 {
			tell(below, fmt.Sprintf("%s: root owns %s until the activation", notYet(absent), dir.Path))
			for _, step := range below {
				step.OwnerPending = true
			}
			if !exists {
				steps = append(steps, DirectoryStep{Directory: dir, Mode: forRoot(dir.Mode)})
			}
			continue
		}
		if exists && !there.RootOnly {
			tell(below, fmt.Sprintf("%s stays root's, as others can write on the way there: remove it, and an upload makes it anew", dir.Path))
			continue
		}
		steps = append(steps, DirectoryStep{dir, there.ID, owner.uid, owner.gid, dir.Mode})
	}
	return steps, problems.ErrorOrNil()
}

func byPath(a, b hive.Directory) int { return strings.Compare(a.Path, b.Path) }

// forRoot is the mode of a directory whose owner is yet to be made.
func forRoot(mode uint32) uint32 { return mode & 0o700 }

// awaitsOwner: it is as an upload leaves it whose owner does not exist. What is otherwise
// was made by somebody else, or is as it should be.
func (w WayState) awaitsOwner(dir hive.Directory) bool {
	return w.UID == 0 && w.GID == 0 && w.Mode == forRoot(dir.Mode) && (dir.User != "root" || dir.Group != "root")
}

// below are the steps of keys for which the directory is needed.
func (p KeyPlan) below(dir hive.Directory) (below []*KeyStep) {
	for i := range p {
		if p[i].Change != Skipped && dir.Leads(p[i].Key.DestDir) {
			below = append(below, &p[i])
		}
	}
	return below
}

// tell notes something of keys.
func tell(steps []*KeyStep, note string) {
	for _, step := range steps {
		if step.Note == "" {
			step.Note = note
		}
	}
}
