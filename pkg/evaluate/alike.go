package evaluate

import (
	"strings"
)

// Alike is the error of a node that fails for a reason that was told of another.
type Alike struct {
	Other string
	Err   error
}

func (a *Alike) Error() string { return a.Err.Error() }
func (a *Alike) Unwrap() error { return a.Err }

// Like is the node of which the reason was told.
func (a *Alike) Like() string { return a.Other }

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
