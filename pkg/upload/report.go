package upload

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/printable"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// This file reads what the host's half reports. A host may lie: whatever does not fit
// is an error, and no line of a report is quoted, since some hold digests.

// modeRegular is S_IFREG, in the raw mode that stat -c %f prints (inode(7)).
const modeRegular = 0o100000

// errProtocol: the host's half did not speak as expected.
var errProtocol = errors.New("the host ended the upload early or gave an answer that makes no sense")

// refusal is a `fail` line: the host's half gave up on its own, having put
// everything back.
type refusal struct {
	code  string
	dir   int // from 1; 0 for none
	text  string
	label string
}

func (r *refusal) Error() string { return r.label }

func (r *refusal) explain(dirs []directory, stderr string) error {
	label, kind := r.text, ErrHost
	switch r.code {
	case "lock":
		label, kind = "held by "+r.text+"; wait for it to end, then run again", ErrLocked
	case "root":
		label = fmt.Sprintf("cannot write /run on the host as %s: set deployment.targetUser = \"root\" or a working deployment.privilegeEscalationCommand", r.text)
	case "tools":
		label = fmt.Sprintf("the host has no %s: an upload needs coreutils, util-linux (flock) and GNU tar, in PATH or /run/current-system/sw/bin", strings.Join(strings.Fields(r.text), ", "))
	case "input":
		label = "the connection was lost"
	case "base":
		label = "--root: " + r.text
	case "torn":
		kind = ErrTorn
	}
	if r.dir > 0 && r.dir <= len(dirs) {
		label = fmt.Sprintf("destDir %s (%s): %s", dirs[r.dir-1].path, names(dirs[r.dir-1]), label)
	}
	if stderr != "" && r.code != "lock" {
		label += "; the host says: " + stderr
	}
	r.label = label
	return fmt.Errorf("%w: %w", kind, r)
}

// names tells which keys a directory is for, the first few of them.
func names(dir directory) string {
	list := make([]string, len(dir.keys))
	for i, want := range dir.keys {
		list[i] = strconv.Quote(want.Key.Attr)
	}
	if len(list) == 1 {
		return "key " + list[0]
	}
	return "keys " + hive.FirstFew(list)
}

// lines reads a host's report line by line.
type lines struct{ *bufio.Reader }

// next splits the next line into at most n words.
func (l *lines) next(n int) ([]string, error) {
	text, err := l.ReadString('\n')
	if err != nil {
		return nil, errProtocol
	}
	words := strings.SplitN(strings.TrimSuffix(text, "\n"), " ", n)
	if words[0] == "fail" {
		all := strings.SplitN(strings.TrimSuffix(text, "\n"), " ", 4)
		if len(all) != 4 {
			return nil, errProtocol
		}
		dir, _ := strconv.Atoi(all[2])
		return nil, &refusal{code: all[1], dir: dir, text: printable.Said(all[3], tailSize)}
	}
	return words, nil
}

// readLook reads the host's state up to `observed`. note and warn may be nil. A directory
// that is not there is, in the place of dir, `absent FSTYPE PATH`; `fixed N` tells what
// cannot be changed.
func readLook(l *lines, dirs []directory, ways []hive.Directory, note, warn func(string)) (plan.Observed, error) {
	seen := plan.Observed{
		Users: map[string]int{"root": 0}, Groups: map[string]int{"root": 0},
		Dirs: map[string]plan.DirState{}, Ways: map[string]plan.WayState{}, Files: map[string]plan.FileState{},
	}
	at, waited := -1, false
	for {
		words, err := l.next(7)
		if err != nil {
			return seen, err
		}
		switch {
		case words[0] == "observed":
			if at != len(dirs)-1 {
				return seen, errProtocol
			}
			return seen, nil
		case words[0] == "wait":
			if note != nil && !waited {
				waited = true
				note("waiting for another upload on this host, by " + printable.Said(strings.Join(words[1:], " "), 100))
			}
		case words[0] == "busy":
			if note != nil && !waited {
				waited = true
				note("another upload is under way on this host, by " + printable.Said(strings.Join(words[1:], " "), 100) + ": its changes are not included here")
			}
		case words[0] == "memory" && len(words) == 3:
			err = readMemory(l, &seen.Memory, words, warn)
		case words[0] == "unread" && len(words) >= 3:
			tellUnread(warn, words[1], printable.Said(strings.Join(words[2:], " "), 200))
		case words[0] == "recorded":
			if warn != nil {
				warn("sudo on the host records all that it is sent, secrets too (log_input in sudoers): turn that off for this user, or deploy as root")
			}
		case words[0] == "passwd" && len(words) >= 3:
			err = addID(seen.Users, words)
		case words[0] == "group" && len(words) >= 3:
			err = addID(seen.Groups, words)
		case words[0] == "dir" && len(words) == 5 && at < len(dirs)-1:
			at++
			err = addDir(seen, dirs[at], words)
		case words[0] == "absent" && len(words) >= 3 && at < len(dirs)-1:
			at++
			seen.Dirs[dirs[at].path] = plan.DirState{ID: strings.Join(words[2:], " "), Volatile: volatile(words[1])}
		case words[0] == "covered" && at < len(dirs)-1:
			at++
			seen.Dirs[dirs[at].path] = plan.DirState{ID: dirs[at].path, Covered: true}
		case words[0] == "way" && len(words) == 7:
			err = addWay(seen, ways, words)
		case words[0] == "fixed" && len(words) == 2 && at >= 0:
			err = addFixed(seen, dirs[at], words[1])
		case at >= 0:
			err = addFile(l, seen, dirs[at], words)
		default:
			err = errProtocol
		}
		if err != nil {
			return seen, err
		}
	}
}

func addID(ids map[string]int, words []string) error {
	id, err := strconv.ParseUint(words[1], 10, 32)
	if err != nil {
		return errProtocol
	}
	ids[strings.Join(words[2:], " ")] = int(id)
	return nil
}

// addDir reads `dir FSTYPE DEV:INODE UID MODE`.
func addDir(seen plan.Observed, dir directory, words []string) error {
	mode, err := strconv.ParseUint(words[4], 8, 16)
	if err != nil {
		return errProtocol
	}
	seen.Dirs[dir.path] = plan.DirState{
		ID:       words[2],
		RootOnly: words[3] == "0" && mode&0o022 == 0,
		Volatile: volatile(words[1]),
	}
	return nil
}

// addWay reads `way N DEV:INODE UID GID MODE +`, with a dash where others can write on the way.
func addWay(seen plan.Observed, ways []hive.Directory, words []string) error {
	i, err1 := strconv.Atoi(words[1])
	uid, err2 := strconv.ParseUint(words[3], 10, 32)
	gid, err3 := strconv.ParseUint(words[4], 10, 32)
	mode, err4 := strconv.ParseUint(words[5], 8, 16)
	if errors.Join(err1, err2, err3, err4) != nil || i < 1 || i > len(ways) || words[2] == "" {
		return errProtocol
	}
	seen.Ways[ways[i-1].Path] = plan.WayState{ID: words[2], UID: int(uid), GID: int(gid), Mode: uint32(mode), RootOnly: words[6] == "+"}
	return nil
}

// volatile: a file system of this type is in memory.
func volatile(fstype string) bool { return fstype == "tmpfs" || fstype == "ramfs" }

// addFixed reads what keeps a directory from being changed: with 0 itself, or else the
// file of so many.
func addFixed(seen plan.Observed, dir directory, number string) error {
	i, err := strconv.Atoi(number)
	if err != nil || i < 0 || i > len(dir.keys) {
		return errProtocol
	}
	state := seen.Dirs[dir.path]
	if state.Fixed = "nothing can be written there (read-only, or immutable)"; i > 0 {
		state.Fixed = fmt.Sprintf("%s there cannot be linked (immutable, or a mount point)", dir.keys[i-1].Key.Name)
	}
	seen.Dirs[dir.path] = state
	return nil
}

// addFile reads one of
//
//	blocked INDEX WHAT
//	file INDEX MODE UID GID SIZE ACL
//	sums (then a line per hashed file, in order, and `end`; a dash is for one that
//	could not be read, which counts as another content)
func addFile(l *lines, seen plan.Observed, dir directory, words []string) error {
	if words[0] == "sums" {
		return addSums(l, seen, dir)
	}
	if len(words) < 3 {
		return errProtocol
	}
	i, err := strconv.Atoi(words[1])
	if err != nil || i < 1 || i > len(dir.keys) {
		return errProtocol
	}
	path := dir.keys[i-1].Key.Path()
	switch {
	case words[0] == "blocked":
		seen.Files[path] = plan.FileState{Obstacle: printable.Said(strings.Join(words[2:], " "), 100)}
		return nil
	case words[0] == "file" && len(words) == 7:
		mode, err1 := strconv.ParseUint(words[2], 16, 32)
		uid, err2 := strconv.ParseUint(words[3], 10, 32)
		gid, err3 := strconv.ParseUint(words[4], 10, 32)
		size, err4 := strconv.ParseInt(words[5], 10, 64)
		if errors.Join(err1, err2, err3, err4) != nil || mode&0o170000 != modeRegular {
			return errProtocol
		}
		state := plan.FileState{Present: true, Mode: uint32(mode) & 0o7777, UID: int(uid), GID: int(gid), Size: size, ACL: words[6] != "-"}
		seen.Files[path] = state
		return nil
	}
	return errProtocol
}

func addSums(l *lines, seen plan.Observed, dir directory) error {
	for _, want := range dir.keys {
		state := seen.Files[want.Key.Path()]
		if !state.Present || state.Size != want.Size { // the others alone are hashed
			continue
		}
		words, err := l.next(2)
		if err != nil {
			return err
		}
		if words[0] == "-" {
			continue
		}
		// sha256sum marks a line whose file name it had to escape.
		digest, err := secret.ParseDigest(strings.TrimPrefix(words[0], `\`))
		if err != nil {
			return errProtocol
		}
		state.Digest = digest
		seen.Files[want.Key.Path()] = state
	}
	if words, err := l.next(2); err != nil || words[0] != "end" {
		return errProtocol
	}
	return nil
}

// readDone waits for the end of the commit. What it returns are directories that could not
// be given to their owners (`kept N`); runs is told what is behind `units SIZE`.
func readDone(l *lines, ways []plan.DirectoryStep, warn, runs func(string)) (kept []plan.DirectoryStep, err error) {
	for {
		words, err := l.next(2)
		switch {
		case err != nil:
			return nil, err
		case words[0] == "done":
			return kept, nil
		case words[0] == "forgot" && len(words) == 2:
			tell(warn, "the host cannot write down what it has got ("+printable.Said(words[1], 100)+" is full, or read-only?): it will not recognise these keys")
			continue
		case words[0] == "units" && len(words) == 2:
			if err := readRuns(l, words[1], runs); err != nil {
				return nil, err
			}
			continue
		case words[0] != "kept" || len(words) != 2:
			return nil, errProtocol
		}
		i, err := strconv.Atoi(words[1])
		if err != nil || i < 1 || i > len(ways) || len(kept) == len(ways) {
			return nil, errProtocol
		}
		kept = append(kept, ways[i-1])
	}
}

// runsSize is far more than systemctl says of the units that keys name, in bytes.
const runsSize = 1 << 20

func readRuns(l *lines, size string, runs func(string)) error {
	n, err := strconv.Atoi(size)
	if err != nil || n < 0 || n > runsSize {
		return errProtocol
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(l, text); err != nil {
		return errProtocol
	}
	if runs != nil {
		runs(string(text))
	}
	return nil
}

// tail keeps the last part of the host's stderr: names of programs and files,
// never content, which no program is given as an argument.
type tail struct{ text []byte }

const tailSize = 400

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if extra := len(t.text) - tailSize; extra > 0 {
		t.text = t.text[extra:]
	}
	return len(p), nil
}

func (t *tail) String() string { return printable.Said(string(t.text), tailSize) }
