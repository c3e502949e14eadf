package upload

import (
	"context"
	"errors"
	"path"
	"slices"
	"strconv"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/memory"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// Prune removes what uploads put on the host for the request's node and no key that it
// declares is any more, as far as it is what was put there. It returns what became of each
// such file that the host still has. req.Agree is not asked; agree, which may be nil, says
// whether a file may be removed. ctx is obeyed until the first of them is.
func Prune(ctx context.Context, host hostscript.Runner, req Request, declared []hive.Key, agree func(plan.StaleFile) bool) ([]plan.StaleFile, error) {
	req.setDefaults()
	limit := deadline(req, 0)
	return pruning{host: host, req: req, declared: declared, agree: agree}.run(ctx, func(ctx context.Context) (*channel, func()) {
		return begin(ctx, host, limit, errLate(limit))
	}, hostscript.ID())
}

// LookStale tells what [Prune] would do, and changes nothing on the host, as [Look].
func LookStale(ctx context.Context, host hostscript.Runner, req Request, declared []hive.Key) ([]plan.StaleFile, error) {
	return pruning{host: host, req: req, declared: declared}.run(ctx, func(ctx context.Context) (*channel, func()) {
		return begin(ctx, host, lookLimit, errUntold)
	}, noStage)
}

// pruning is one on its way.
type pruning struct {
	host     hostscript.Runner
	req      Request
	declared []hive.Key
	agree    func(plan.StaleFile) bool
}

// run has a conversation with the host, and another one where the host refuses to enter a
// directory: what is there then stays.
func (p pruning) run(ctx context.Context, open func(context.Context) (*channel, func()), stage string) ([]plan.StaleFile, error) {
	closed := map[string]string{} // directories that the host does not enter, and why
	p.req.Keys, p.req.Dirs = nil, nil
	for {
		files, refused, err := p.converse(ctx, open, stage, closed)
		if err == nil || refused == nil || closed[refused.path] != "" {
			return files, err
		}
		closed[refused.path] = refused.why
	}
}

// closedDir is a directory that the host did not enter.
type closedDir struct{ path, why string }

func (p pruning) converse(ctx context.Context, open func(context.Context) (*channel, func()), stage string, closed map[string]string) ([]plan.StaleFile, *closedDir, error) {
	c, stop := open(ctx)
	defer stop()
	seen, err := c.look(p.req, stage, nil)
	if err != nil {
		return nil, nil, err
	}
	candidates := plan.Candidates(&seen.Memory, p.req.Node, p.declared)
	if len(candidates) == 0 {
		c.send(words(nil).bytes())
		return nil, nil, nil
	}
	found, refused, err := p.ask(c, candidates, closed)
	if err != nil || stage == noStage {
		return found.files, refused, err
	}
	if err := found.remove(ctx, c, p, &seen.Memory); err != nil {
		return nil, nil, err
	}
	return slices.DeleteFunc(found.files, func(f plan.StaleFile) bool { return f.Gone }), nil, nil
}

// staleFound is what a host has of candidates.
type staleFound struct {
	files []plan.StaleFile
	dirs  []directory    // as they were looked at, the keys' files among them
	at    map[string]int // of a file: which of the dirs it was recognised in
}

// ask looks at the candidates, once for each thing that a path may be, and at the places of
// declared keys that may be the same files.
func (p pruning) ask(c *channel, candidates map[string][]memory.Entry, closed map[string]string) (found staleFound, refused *closedDir, err error) {
	found.at = map[string]int{}
	best := map[string]plan.StaleFile{}
	declared, paths := map[string]bool{}, sortedPaths(candidates)
	for round := 0; ; round++ {
		dirs := byDirectory(filesToLook(candidates, paths, closed, round))
		if round == 0 {
			dirs = append(p.twins(candidates), dirs...)
		}
		if len(dirs) == 0 {
			break
		}
		before := len(found.dirs)
		found.dirs = append(found.dirs, dirs...)
		seen, err := c.lookAgain(dirs)
		if err != nil {
			return staleFound{}, whichDir(err, found.dirs), err
		}
		if round == 0 {
			for _, key := range p.declared {
				if dir, ok := seen.Dirs[key.DestDir]; ok {
					declared[dir.ID+"/"+key.Name] = true
				}
			}
		}
		for i, dir := range dirs {
			for _, key := range dir.keys {
				at := key.Key.Path()
				entries, stale := candidates[at]
				if _, known := best[at]; !stale || known && best[at].Remove() {
					continue
				}
				best[at] = plan.JudgeStale(entries, seen, declared)
				found.at[at] = before + i
			}
		}
	}
	for _, at := range paths {
		file, ok := best[at]
		if !ok {
			entry := candidates[at][0]
			file = plan.StaleFile{Path: at, Attr: entry.Attr, Volatile: entry.Volatile, Kept: closed[path.Dir(at)]}
		}
		found.files = append(found.files, file)
	}
	return found, nil, nil
}

// twins are the directories of declared keys that have the name of a candidate.
func (p pruning) twins(candidates map[string][]memory.Entry) []directory {
	names := map[string]bool{}
	for at := range candidates {
		names[path.Base(at)] = true
	}
	var wanted []plan.WantedKey
	for _, key := range p.declared {
		if names[key.Name] {
			wanted = append(wanted, plan.WantedKey{Key: key, Size: -1}) // not to be read
		}
	}
	return byDirectory(wanted)
}

// filesToLook are those that have so many things that they may be, and one more.
func filesToLook(candidates map[string][]memory.Entry, paths []string, closed map[string]string, round int) []plan.WantedKey {
	var list []plan.WantedKey
	for _, at := range paths {
		entries := candidates[at]
		if _, not := closed[path.Dir(at)]; not || round >= len(entries) {
			continue
		}
		list = append(list, plan.WantedKey{
			Key:  hive.Key{Attr: entries[round].Attr, Name: path.Base(at), DestDir: path.Dir(at)},
			Size: entries[round].Size,
		})
	}
	return list
}

func sortedPaths(candidates map[string][]memory.Entry) []string {
	paths := make([]string, 0, len(candidates))
	for at := range candidates {
		paths = append(paths, at)
	}
	slices.Sort(paths)
	return paths
}

// whichDir is the directory that a refusal is about; nil for none.
func whichDir(err error, dirs []directory) *closedDir {
	var r *refusal
	if !errors.As(err, &r) || r.code != "dir" || r.dir < 1 || r.dir > len(dirs) {
		return nil
	}
	return &closedDir{dirs[r.dir-1].path, r.text}
}

// remove has the host remove the files, and then forget them and those that are gone.
func (f *staleFound) remove(ctx context.Context, c *channel, p pruning, m *memory.Memory) error {
	list, order := words{"remove"}, []int(nil)
	byDir := make([][]int, len(f.dirs))
	for i, file := range f.files {
		if file.Remove() && p.agree != nil && !p.agree(file) {
			f.files[i].Kept = "it was not shown to be removed"
		}
		if f.files[i].Remove() {
			byDir[f.at[file.Path]] = append(byDir[f.at[file.Path]], i)
		}
	}
	for dir, files := range byDir {
		if len(files) == 0 {
			continue
		}
		list.addInt(dir + 1)
		list.addInt(len(files))
		for _, i := range files {
			list.add(path.Base(f.files[i].Path))
			order = append(order, i)
		}
	}
	if len(order) > 0 {
		if p.req.Begin != nil {
			p.req.Begin()
		}
		c.send(list.bytes())
		if err := f.readRemoved(c, order); err != nil {
			return c.explain(err, f.dirs)
		}
	}
	edit := m.Edit()
	for _, file := range f.files {
		if file.Gone || file.Remove() {
			edit.Forget(file.Path)
		}
	}
	todo, err := doList(nil, nil, nil, edit)
	if err != nil {
		return err
	}
	c.sendParts(ctx, todo)
	if _, err := readDone(c.out, nil, p.req.Warn, nil); err != nil {
		return c.explain(err, f.dirs)
	}
	return nil
}

// readRemoved reads `left N` for each of the files, in their order, that could not be
// removed, up to `removed`.
func (f *staleFound) readRemoved(c *channel, order []int) error {
	for {
		words, err := c.out.next(2)
		switch {
		case err != nil:
			return err
		case words[0] == "removed":
			return nil
		case words[0] != "left" || len(words) != 2:
			return errProtocol
		}
		i, err := strconv.Atoi(words[1])
		if err != nil || i < 1 || i > len(order) {
			return errProtocol
		}
		f.files[order[i-1]].Kept = "it cannot be removed, or was swapped meanwhile"
	}
}
