package evaluate

import (
	"errors"
	"fmt"
	"math/bits"
	"regexp"
	"slices"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nixeval"
)

// Nodes share modules, and so mistakes. Each costs a process, which ends with it, so
// where all nodes that were evaluated fail alike, the others are not tried.

// Alike is the error of a node that fails for a reason that was told of another.
type Alike struct {
	Other string
	Err   error
}

func (a *Alike) Error() string { return a.Err.Error() }
func (a *Alike) Unwrap() error { return a.Err }

// Brief is the error in a few words.
func (a *Alike) Brief() string { return "for the same reason as " + a.Other }

// Untried is the error of a node that was not evaluated, as those that were, of all
// parts of the hive, fail alike. It is an [nixeval.ErrEval].
type Untried struct{ Others []string }

func (u *Untried) Error() string {
	return u.Brief() + ": mend that first, or leave those nodes out with --exclude"
}

// Brief is the error in a few words.
func (u *Untried) Brief() string {
	return "not evaluated, as every node that was (" + strings.Join(u.Others, ", ") + ") fails for the same reason"
}

// Consequence reports that the error of others tells more.
func (u *Untried) Consequence() bool { return true }

// Is makes errors.Is(err, nixeval.ErrEval) true.
func (u *Untried) Is(target error) bool { return target == nixeval.ErrEval }

// alike is the error of a node, or an [*Alike] where that of another node has the same
// words, or words that differ in nothing but the node's name.
func (e *Evaluation) alike(node Node) error {
	words := wordsOf(node)
	for _, text := range words {
		if other, told := e.reasons[text]; told {
			return &Alike{Other: other, Err: node.Err}
		}
	}
	for _, text := range words {
		e.reasons[text] = node.Name
	}
	return node.Err
}

// wordsOf is the error of a node without the name where that says whose it is, and
// without the name wherever it stands, as in what shared modules make of it.
func wordsOf(node Node) [2]string {
	text := strings.ReplaceAll(node.Err.Error(), fmt.Sprintf("node %q", node.Name), "node \x00")
	var b strings.Builder
	at := 0
	for _, own := range ofOneNode.FindAllStringIndex(text, -1) {
		b.WriteString(hive.WithoutName(text[at:own[0]], node.Name, "\x00"))
		if value := text[own[0]:own[1]]; value == fmt.Sprintf("%q", node.Name) {
			b.WriteString("\x00")
		} else {
			b.WriteString(value)
		}
		at = own[1]
	}
	return [2]string{"=" + text, "~" + b.String() + hive.WithoutName(text[at:], node.Name, "\x00")}
}

// ofOneNode is what is written for one node, and so has to be mended there: a value in
// quotes, unless it is the name alone, and a file.
var ofOneNode = regexp.MustCompile(`"(?:[^"\\\n]|\\.)*"|[^\s'"` + "`" + `]*/[^\s'"` + "`" + `]*`)

// tried is how many of so many nodes fail alike before the others are not tried.
func tried(nodes int) int { return max(3, bits.Len(uint(nodes))-2) }

// shared are the nodes that were evaluated, if all fail for one reason that is Nix's:
// what we find wrong with a node ends no process.
func (e *Evaluation) shared() (nodes []string) {
	for i, node := range e.failures {
		var eval *nixeval.EvalError
		var alike *Alike
		if !errors.As(node.Err, &eval) || errors.As(node.Err, &alike) != (i > 0) || i > 0 && alike.Other != e.failures[0].Name {
			return nil
		}
		nodes = append(nodes, node.Name)
	}
	if e.sound {
		return nil
	}
	slices.Sort(nodes)
	return nodes
}

// spare leaves the rest of the nodes untried where enough have failed alike. Before
// that it has nodes of all parts of the hive evaluated next.
func (e *Evaluation) spare() {
	others := e.shared()
	switch {
	case len(others) == 1:
		e.schedule.scatter()
		return
	case len(others) < tried(len(e.hive.Selected)):
		return
	}
	for _, p := range e.processes {
		p.stop()
	}
	e.schedule.abandon()
	for _, name := range e.hive.Selected {
		if !e.told[name] {
			e.pass(Node{Node: hive.Node{Name: name}, Err: &Untried{others}})
		}
	}
}

// triedForTags is how many nodes are left out for one reason, one after the other, until
// the tags of those that are left are given up.
const triedForTags = 3

// noTags is why a hive whose tags cannot be read is given up; nil if it is not.
func (e *Evaluation) noTags() error {
	others := e.shared()
	if len(others) < triedForTags {
		return nil
	}
	return fmt.Errorf("%w\n(the tags of %s cannot be read for one reason, so no others were tried; names select without tags)",
		e.failures[0].Err, strings.Join(others, ", "))
}
