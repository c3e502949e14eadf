package evalcache

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/nixeval"
)

// kept is what a file holds: what is known of one hive.
type kept struct {
	Heads map[string]told // by selection
	Nodes map[string]told // by slot
}

// told is a text that was told of the hive or a node, and what the hive said meanwhile.
type told struct {
	Text  json.RawMessage
	Words []nixeval.Word `json:",omitempty"`
}

// add adds what is known elsewhere, which takes precedence.
func (k *kept) add(more kept) {
	if k.Heads == nil {
		*k = kept{map[string]told{}, map[string]told{}}
	}
	maps.Copy(k.Heads, more.Heads)
	maps.Copy(k.Nodes, more.Nodes)
}

// head is that of a part's selection, and which nodes are selected. Where all may be
// deployed to at once, nothing depends on whether that was asked.
func (k *kept) head(part nixeval.Part) (head told, selected []string, known bool) {
	asked := part.Guarded
	for _, guarded := range []bool{asked, !asked} {
		part.Guarded = guarded
		var of struct {
			Selected []string
			Meta     struct{ AllowApplyAll bool }
		}
		head, known = k.Heads[selection(part)]
		if known && json.Unmarshal(head.Text, &of) == nil && (guarded == asked || of.Meta.AllowApplyAll) {
			return head, of.Selected, true
		}
	}
	return told{}, nil, false
}

// node is one that was evaluated for such a request, or for one that wants more.
func (k *kept) node(name string, request nixeval.Request) (node told, known bool) {
	for _, toplevel := range []bool{request.Toplevel, true} {
		for _, keys := range []bool{request.Keys, true} {
			if node, known = k.Nodes[slot(name, toplevel, keys)]; known {
				return node, true
			}
		}
	}
	return told{}, false
}

// slot is where a node is kept: keys is that their texts were looked at.
func slot(name string, toplevel, keys bool) string {
	return fmt.Sprintf("%t %t %s", toplevel, keys, name)
}

// selection is the part of a request that a head depends on.
func selection(part nixeval.Part) string {
	text, err := json.Marshal([]any{part.Selector, part.Guarded, part.Without})
	if err != nil {
		return ""
	}
	return string(text)
}

// nodeText is what matters here of a text for [hive.DecodeNode].
type nodeText struct {
	Name       string
	Toplevel   *struct{ DrvPath string }
	Deployment struct {
		Keys map[string]struct {
			Text        *json.RawMessage
			TextLater   bool
			TextLeftOut bool
			NoText      bool
			KeyFile     string
			KeyCommand  []string
			Builds      []string
		}
	}
}

// hasText reports whether it holds the text of a key, which is not kept.
func (n nodeText) hasText() bool {
	for _, key := range n.Deployment.Keys {
		if key.Text != nil { // null leaves it nil
			return true
		}
	}
	return false
}

// textless reports whether no key has a text, so that it is all the same whether those
// were looked at.
func (n nodeText) textless() bool {
	for _, key := range n.Deployment.Keys {
		if key.TextLater || key.TextLeftOut && !key.NoText {
			return false
		}
	}
	return true
}

// inStore reports whether what a node names was not collected: derivations, and what
// is in the store of itself, as a file of a flake is.
func inStore(text json.RawMessage) bool {
	var node nodeText
	if json.Unmarshal(text, &node) != nil {
		return false
	}
	var paths []string
	if node.Toplevel != nil {
		paths = append(paths, node.Toplevel.DrvPath)
	}
	for _, key := range node.Deployment.Keys {
		for _, output := range key.Builds {
			drv, _, _ := strings.Cut(output, "!")
			paths = append(paths, drv)
		}
		if len(key.Builds) > 0 {
			continue // the others may be what is yet to be built
		}
		for _, word := range append(key.KeyCommand, key.KeyFile) {
			paths = append(paths, storePath.FindAllString(word, -1)...)
		}
	}
	return !slices.ContainsFunc(paths, func(path string) bool { _, err := os.Lstat(path); return err != nil })
}

var storePath = regexp.MustCompile(`/nix/store/[0-9a-z]{32}-[0-9A-Za-z+._?=-]+`)
