package cli

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nix"
)

// plainName is a node's name that means itself in a selector and in a shell.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

// withoutBroken adds to an error that some nodes have caused how the others can
// be deployed. exclude is what is excluded already.
func withoutBroken(err error, on hive.Selector, exclude string) error {
	nodes := broken(err)
	if len(nodes) == 0 || slices.ContainsFunc(nodes, func(name string) bool { return !plainName.MatchString(name) }) {
		return err
	}
	for _, pattern := range on.Patterns {
		if !pattern.Exclude && slices.Contains(nodes, pattern.Text) {
			return err // they were asked for by name
		}
	}
	if exclude != "" {
		nodes = append([]string{exclude}, nodes...)
	}
	return fmt.Errorf("%w\nhint: to go on with the other nodes, if there are any: --exclude '%s'", err, strings.Join(nodes, ","))
}

// broken names the nodes that an error of the evaluation is about.
func broken(err error) []string {
	var evaluation *nix.EvalError
	if errors.As(err, &evaluation) && evaluation.Node != "" {
		return []string{evaluation.Node}
	}
	return hive.ProblemNodes(err)
}
