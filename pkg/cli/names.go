package cli

import (
	"os"
	"path/filepath"

	"github.com/colmena-go/colmena-go/pkg/nixeval"
	"github.com/colmena-go/colmena-go/pkg/roster"
)

// names are the nodes of a hive while it is evaluated: completion finds them later. That
// they cannot be kept is nobody's concern then.
type names struct {
	hive  string
	store *roster.Store // nil: nowhere
	nodes []roster.Node
	index map[string]int
}

// namesOf begins with what the hive alone tells, and the tags that were known before.
func namesOf(source nixeval.Source, all []string) names {
	n := names{hive: inRoster(source), store: rosters(), index: map[string]int{}}
	if n.store == nil {
		return n
	}
	tags := map[string][]string{}
	for _, node := range n.store.Nodes(n.hive) {
		tags[node.Name] = node.Tags
	}
	for i, name := range all {
		n.index[name] = i
		n.nodes = append(n.nodes, roster.Node{Name: name, Tags: tags[name]})
	}
	n.keep()
	return n
}

// add tells the tags of a node that was evaluated.
func (n *names) add(name string, tags []string) {
	if i, known := n.index[name]; known {
		n.nodes[i].Tags = tags
	}
}

func (n *names) keep() {
	if n.store != nil && len(n.nodes) > 0 {
		_ = n.store.Keep(n.hive, n.nodes)
	}
}

// nodesOf are those of a hive that was evaluated before.
func nodesOf(config string) []roster.Node {
	store := rosters()
	source, err := hiveAt(config)
	if err != nil || store == nil {
		return nil
	}
	return store.Nodes(inRoster(source))
}

// rosters is where names are kept, nil for nowhere.
func rosters() *roster.Store {
	dir, err := os.UserCacheDir()
	if err != nil {
		return nil
	}
	return &roster.Store{Dir: filepath.Join(dir, "colmena-go", "names")}
}

// inRoster is a hive's name there.
func inRoster(source nixeval.Source) string {
	return source.File + "\x00" + source.Dir + "\x00" + source.Flake
}
