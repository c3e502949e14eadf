package evalcache

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"github.com/colmena-go/colmena-go/pkg/nixeval"
)

// hearing listens to the evaluation of a part. Its hooks are called one at a time.
type hearing struct {
	part  nixeval.Part
	head  []byte
	pure  bool
	nodes []nodeHeard
	words map[string][]nixeval.Word // by node
	size  map[string]int            // of these
}

type nodeHeard struct {
	nodeText
	text []byte
}

// longestWords is how much of what a node's evaluation says is kept, in bytes. One
// that says more is evaluated again.
const longestWords = 64 << 10

// with adds the listening to hooks. begun is called when a process has read the hive.
func (h *hearing) with(hooks nixeval.Hooks, begun func()) nixeval.Hooks {
	h.words, h.size = map[string][]nixeval.Word{}, map[string]int{}
	heard := hooks
	heard.Said = func(word nixeval.Word) {
		if h.size[word.Node] += len(word.Text); h.size[word.Node] <= longestWords {
			h.words[word.Node] = append(h.words[word.Node], word)
		}
		if hooks.Said != nil {
			hooks.Said(word)
		}
	}
	heard.Head = func(text []byte) {
		var of struct{ Pure bool }
		if json.Unmarshal(text, &of) == nil {
			h.head, h.pure = bytes.Clone(text), of.Pure
		}
		begun()
		if hooks.Head != nil {
			hooks.Head(text)
		}
	}
	heard.Done = func(text []byte) {
		var node nodeText
		if json.Unmarshal(text, &node) == nil && node.Name != "" && !node.hasText() {
			h.nodes = append(h.nodes, nodeHeard{node, bytes.Clone(text)})
		}
		if hooks.Done != nil {
			hooks.Done(text)
		}
	}
	return heard
}

// kept is what is to be kept of what was heard: nothing if others than the hive had a
// part in it.
func (h *hearing) kept() kept {
	all := kept{map[string]told{}, map[string]told{}}
	if !h.pure {
		return all
	}
	rest := maps.Clone(h.words)
	for _, node := range h.nodes {
		if h.size[node.Name] <= longestWords {
			at := slot(node.Name, h.part.Toplevel, h.part.Keys || node.textless())
			all.Nodes[at] = told{node.text, h.words[node.Name]}
		}
		delete(rest, node.Name)
	}
	if h.part.Only == nil {
		head, size := told{Text: h.head}, 0
		for _, name := range slices.Sorted(maps.Keys(rest)) { // of the hive, and of nodes whose tags were read
			head.Words = append(head.Words, rest[name]...)
			size += h.size[name]
		}
		if size <= longestWords {
			all.Heads[selection(h.part)] = head
		}
	}
	return all
}
