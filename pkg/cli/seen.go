package cli

import (
	"fmt"
	"slices"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

// seen looks at nodes as they come, and tells what is notable of several.
type seen struct {
	*deployment
	keep func(path string) // from the garbage collector

	places map[string]string // the first node of each target

	withTexts, keys []string // the nodes that have texts, and their keys
	builtThere      []string // on their hosts
}

// node looks at a node, and fails for what cannot go well.
func (s *seen) node(node *hive.Node) error {
	if s.here != nil {
		if err := s.here.take(node); err != nil {
			return err
		}
	}
	if node.Toplevel != nil && s.Goal.NeedsToplevel() {
		s.keep(node.Toplevel.DrvPath)
	}
	s.twin(node)
	s.texts(node)
	if s.Touches(*node) {
		if err := seeSSHOptions(node); err != nil {
			return err
		}
	}
	if !s.BuildsOnHost(*node) {
		return nil
	}
	s.builtThere = append(s.builtThere, node.Name)
	if len(s.builtThere) == 1 && !s.Goal.NeedsHost() && s.BuildOn == plan.AsSet {
		return s.seeOpenSSH() // it was not known that it is needed
	}
	return nil
}

// twin: of nodes with one target, the last to be activated wins.
func (s *seen) twin(node *hive.Node) {
	if !s.Goal.NeedsHost() || s.Goal.Asks() || s.Goal == hive.Reboot || node.Target == nil {
		return
	}
	place := fmt.Sprintf("%s %d", node.Target.Host, node.Target.Port)
	if other, ok := s.places[place]; ok {
		first, second := min(other, node.Name), max(other, node.Name)
		s.tool.Log.Warn().Msgf("nodes %q and %q have one target, %s: each replaces what the other deploys there", first, second, node.Target)
		return
	}
	if s.places == nil {
		s.places = map[string]string{}
	}
	s.places[place] = node.Name
}

// texts: the text of a key in a flake can come from nowhere but the flake, all of
// which Nix copies into the store when it evaluates.
func (s *seen) texts(node *hive.Node) {
	if s.source.File != "" || s.impure {
		return
	}
	for _, key := range node.Keys {
		if key.Text == nil && !key.TextLater {
			continue
		}
		if !slices.Contains(s.withTexts, node.Name) {
			s.withTexts = append(s.withTexts, node.Name)
		}
		if name := fmt.Sprintf("%q", key.Attr); !slices.Contains(s.keys, name) {
			s.keys = append(s.keys, name)
		}
	}
}

// all tells what was seen, once there are no more nodes.
func (s *seen) all() {
	slices.Sort(s.withTexts)
	slices.Sort(s.keys)
	if len(s.keys) > 0 {
		s.tool.Log.Warn().Strs("nodes", s.withTexts).Msgf("texts of keys that are written in a flake are in the Nix store, where every user of this machine can read them (%s): for what is secret, set keyFile to a quoted absolute path, or keyCommand", hive.FirstFew(s.keys))
	}
	slices.Sort(s.builtThere)
	if len(s.builtThere) > 0 && s.keepResult {
		s.tool.Log.Warn().Strs("nodes", s.builtThere).Msg("--keep-result keeps nothing of systems that are built on their hosts, as they are not here")
	}
}
