// Package roster keeps the names and tags of hives that were evaluated on this machine,
// for completion in a shell, which cannot wait for an evaluation. It knows nothing else
// of a node.
package roster

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/colmena-go/colmena-go/pkg/ownfolder"
)

// Node is what is kept of one.
type Node struct {
	Name string   `json:"name"`
	Tags []string `json:"tags,omitempty"`
}

// Store is a folder of which only this user can read the files: one for each hive. It need
// not exist.
type Store struct{ Dir string }

const (
	mostHives   = 50
	largestFile = 4 << 20 // bytes; more is not kept
)

// Keep replaces what is known of the hive, unless it is the same. hive is any text that
// tells it from others.
func (s Store) Keep(hive string, nodes []Node) error {
	text, err := json.Marshal(nodes)
	if err != nil {
		return err
	}
	if len(text) > largestFile {
		return fmt.Errorf("the names of %d nodes are too much to be kept", len(nodes))
	}
	if known, err := s.read(hive); err == nil && string(known) == string(text) {
		return nil
	}
	root, err := ownfolder.Make(s.Dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := ownfolder.Replace(root, fileOf(hive), text); err != nil {
		return err
	}
	return ownfolder.Prune(root, mostHives, math.MaxInt64)
}

// Nodes is what is known of the hive, nil for nothing.
func (s Store) Nodes(hive string) (nodes []Node) {
	text, err := s.read(hive)
	if err != nil || json.Unmarshal(text, &nodes) != nil {
		return nil
	}
	return nodes
}

func fileOf(hive string) string {
	return fmt.Sprintf("%x"+ownfolder.KeptSuffix, sha256.Sum256([]byte(hive)))
}

func (s Store) read(hive string) ([]byte, error) {
	root, err := ownfolder.Open(s.Dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	file, err := root.Open(fileOf(hive))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, largestFile))
}
