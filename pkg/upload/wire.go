package upload

import (
	"archive/tar"
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/memory"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// This file writes what the host's half reads: lists of words and, for each directory
// that gets files, a tar stream, a check list for sha256sum and one for stat.

// words is a list in the making; it is split at newlines and nothing else.
type words []string

func (w *words) add(list ...string) { *w = append(*w, list...) }

func (w *words) addInt(n int) { w.add(strconv.Itoa(n)) }

func (w words) bytes() []byte { return hostscript.List(w...) }

// directory is a destination and the keys that go there.
type directory struct {
	path string
	keys []plan.WantedKey
	room int // for the names of more, in bytes of arguments
}

// argumentRoom is what the names of a directory may take as arguments of one
// program; Linux gives all of them at least 128 KiB, pointers and environment
// included (execve(2)). More names make the directory come twice.
const (
	argumentRoom = 64 << 10
	besideName   = 16 // "../", the end, the pointer
)

// byDirectory groups the keys, keeping their order.
func byDirectory(wanted []plan.WantedKey) []directory {
	var dirs []directory
	index := map[string]int{}
	for _, want := range wanted {
		size := len(want.Key.Name) + besideName
		i, ok := index[want.Key.DestDir]
		if !ok || dirs[i].room < size {
			i = len(dirs)
			index[want.Key.DestDir] = i
			dirs = append(dirs, directory{path: want.Key.DestDir, room: argumentRoom})
		}
		dirs[i].keys = append(dirs[i].keys, want)
		dirs[i].room -= size
	}
	return dirs
}

// noStage stands for the name of a stage where nothing is to be changed.
const noStage = "-"

// lookList asks for owners and for the state of every destination.
func lookList(req Request, stage string, dirs []directory) words {
	var list words
	list.add(oneLine(req.Who))
	list.addInt(int(req.LockWait.Seconds()))
	list.add(stage)
	list.add(cmp.Or(req.Root, "-"))
	var users, groups, ways []string
	for _, item := range req.Keys {
		users, groups = append(users, item.Key.User), append(groups, item.Key.Group)
	}
	for _, dir := range req.ways() {
		users, groups, ways = append(users, dir.User), append(groups, dir.Group), append(ways, dir.Path)
	}
	for _, names := range [][]string{distinct(users), distinct(groups), ways} {
		list.addInt(len(names))
		list.add(names...)
	}
	list.addDirectories(dirs)
	return list
}

func (w *words) addDirectories(dirs []directory) {
	for _, dir := range dirs {
		w.add(dir.path)
		w.addInt(len(dir.keys))
		for _, want := range dir.keys {
			w.add(want.Key.Name, strconv.FormatInt(want.Size, 10))
		}
	}
}

// oneLine keeps the words of a text that fit into one line of a list.
func oneLine(text string) string {
	if text = strings.Join(strings.Fields(text), " "); text == "" {
		return "unknown"
	}
	return text
}

// distinct lists the owners that a host must be asked about.
func distinct(owners []string) []string {
	var names []string
	seen := map[string]bool{"root": true}
	for _, name := range owners {
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

// block is what is to be done in one directory.
type block struct {
	index int // of the directory, from 1, as the host's half counts
	send  []plan.KeyStep
	mend  []plan.KeyStep
}

// blocks sorts the steps by directory. Those of others come first: what fails
// there fails before anything of root's has changed.
func blocks(dirs []directory, seen plan.Observed, steps plan.KeyPlan) []block {
	index := map[string]int{} // by the key's attribute
	list := make([]block, len(dirs))
	for i, dir := range dirs {
		for _, want := range dir.keys {
			index[want.Key.Attr] = i
		}
		list[i].index = i + 1
	}
	for _, step := range steps {
		b := &list[index[step.Key.Attr]]
		switch {
		case step.Send:
			b.send = append(b.send, step)
		case step.Change == plan.Mended:
			b.mend = append(b.mend, step)
		}
	}
	busy := list[:0]
	for _, b := range list {
		if len(b.send)+len(b.mend) > 0 {
			busy = append(busy, b)
		}
	}
	slices.SortStableFunc(busy, func(a, b block) int {
		return rank(seen.Dirs[dirs[a.index-1].path]) - rank(seen.Dirs[dirs[b.index-1].path])
	})
	return busy
}

func rank(dir plan.DirState) int {
	if dir.RootOnly {
		return 1
	}
	return 0
}

// doList writes the last list and the data behind it, in parts. Where nothing is to be
// done or remembered, it is empty.
func doList(ways []plan.DirectoryStep, todo []block, content map[string]secret.Secret, edit *memory.Edit) ([]part, error) {
	var list words
	var data []part
	list.add("do")
	texts := bookWords(&list, edit)
	wayWords(&list, ways)
	if len(todo) == 0 && len(bytes.Join(texts, nil)) == 0 && !slices.ContainsFunc(ways, plan.DirectoryStep.Given) {
		list = nil
	}
	for _, b := range todo {
		var sums, stats []byte
		var archive []part
		if len(b.send) > 0 {
			var err error
			if archive, err = tarOf(b.send, content); err != nil {
				return nil, err
			}
			sums, stats = sumsOf(b.send), statsOf(b.send)
		}
		list.addInt(b.index)
		list.add(strconv.FormatInt(sizeOf(archive), 10))
		list.addInt(len(sums))
		list.addInt(len(stats))
		list.addInt(len(b.send))
		for _, step := range b.send {
			list.add(step.Key.Name)
		}
		mendWords(&list, b.mend)
		data = append(append(data, archive...), part{text: sums}, part{text: stats})
	}
	for _, text := range texts {
		data = append(data, part{text: text})
	}
	return append([]part{{text: list.bytes()}}, data...), nil
}

// askRuns is the list that has the host tell of the runs of units once all is done.
func askRuns(units []string) []byte {
	if len(units) == 0 {
		return nil
	}
	return append(words{"units"}, units...).bytes()
}

// wayWords lists how directories are to be made, or given to their owners.
func wayWords(list *words, ways []plan.DirectoryStep) {
	list.addInt(len(ways))
	for _, dir := range ways {
		id := "-"
		if dir.Given() {
			id = dir.ID
		}
		list.add(dir.Path, fmt.Sprintf("%d:%d", dir.UID, dir.GID), fmt.Sprintf("%05o", dir.Mode), id)
	}
}

// tarOf packs the files with their final owner and mode. Contents stay where they are.
func tarOf(steps []plan.KeyStep, content map[string]secret.Secret) (parts []part, err error) {
	for _, step := range steps {
		body := content[step.Key.Attr]
		header := &tar.Header{
			Typeflag: tar.TypeReg,
			Name:     "./" + step.Key.Name,
			Mode:     int64(step.Mode),
			Uid:      step.UID,
			Gid:      step.GID,
			Size:     int64(body.Len()),
			Format:   tar.FormatGNU, // names of any bytes and any length
		}
		// A writer for each, since it would want the content through itself.
		var buf bytes.Buffer
		if err := tar.NewWriter(&buf).WriteHeader(header); err != nil {
			return nil, fmt.Errorf("key %q: cannot be packed: %w", step.Key.Attr, err)
		}
		padding := make([]byte, -header.Size&(tarBlock-1))
		parts = append(parts, part{text: buf.Bytes()}, part{attr: step.Key.Attr, content: body}, part{text: padding})
	}
	return append(parts, part{text: make([]byte, 2*tarBlock)}), nil
}

// tarBlock is what a tar stream consists of; two empty ones are its end.
const tarBlock = 512

// sumsOf is a check list for sha256sum -c. A name with a backslash is escaped
// and its line marked, as sha256sum itself does (coreutils manual, md5sum).
func sumsOf(steps []plan.KeyStep) []byte {
	var b bytes.Buffer
	for _, step := range steps {
		name := step.Key.Name
		if strings.Contains(name, `\`) {
			b.WriteByte('\\')
			name = strings.ReplaceAll(name, `\`, `\\`)
		}
		fmt.Fprintf(&b, "%s  ./%s\n", step.Digest.Reveal(), name)
	}
	return b.Bytes()
}

// statsOf is what stat -c '%f %u %g %s' must say of the staged files.
func statsOf(steps []plan.KeyStep) []byte {
	lines := make([]string, len(steps))
	for i, step := range steps {
		lines[i] = fmt.Sprintf("%x %d %d %d",
			modeRegular|step.Mode, step.UID, step.GID, step.Size)
	}
	return []byte(strings.Join(lines, "\n"))
}

// mendWords groups in-place changes, so that the host runs few programs for
// many keys. mask is what both the old and the new mode allow.
func mendWords(list *words, steps []plan.KeyStep) {
	type change struct {
		mask, owner, mode, oldOwner, oldMode string
	}
	var order []change
	names := map[change][]string{}
	for _, step := range steps {
		c := change{
			mask:  fmt.Sprintf("%04o", step.Was.Mode&step.Mode&0o777),
			owner: fmt.Sprintf("%d:%d", step.UID, step.GID),
			mode:  fmt.Sprintf("%04o", step.Mode),

			oldOwner: fmt.Sprintf("%d:%d", step.Was.UID, step.Was.GID),
			oldMode:  fmt.Sprintf("%04o", step.Was.Mode),
		}
		if names[c] == nil {
			order = append(order, c)
		}
		names[c] = append(names[c], step.Key.Name)
	}
	list.addInt(len(order))
	for _, c := range order {
		list.add(c.mask, c.owner, c.mode, c.oldOwner, c.oldMode)
		list.addInt(len(names[c]))
		list.add(names[c]...)
	}
}
