package evaluate

import (
	"strings"
)

// alike is the error of a node, or an [*Alike] where that of another node differs
// in nothing but the node's name.
func (e *Evaluation) alike(node Node) error {
	words := withoutName(node)
	for _, other := range e.failures {
		if withoutName(other) == words {
			return &Alike{Other: other.Name, Err: node.Err}
		}
	}
	return node.Err
}

func withoutName(node Node) string {
	return strings.ReplaceAll(node.Err.Error(), `"`+node.Name+`"`, "\x00")
}
