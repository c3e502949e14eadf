// Package roster keeps the names and tags of hives that were evaluated on this machine,
// for completion in a shell, which cannot wait for an evaluation. It knows nothing else
// of a node.
package roster

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

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
	begun := begunPrefix + rand.Text()
	file, err := root.OpenFile(begun, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err == nil {
		err = root.Rename(begun, fileOf(hive))
	}
	if err != nil {
		return errors.Join(err, root.Remove(begun))
	}
	return forgetOldest(root)
}

// How the names of files of ours begin or end.
const (
	begunPrefix = "new-" // of one that is not yet written
	keptSuffix  = ".json"
)

// Nodes is what is known of the hive, nil for nothing.
func (s Store) Nodes(hive string) (nodes []Node) {
	text, err := s.read(hive)
	if err != nil || json.Unmarshal(text, &nodes) != nil {
		return nil
	}
	return nodes
}

func fileOf(hive string) string { return fmt.Sprintf("%x"+keptSuffix, sha256.Sum256([]byte(hive))) }

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

// forgetOldest keeps the folder from growing for ever, with what killed runs left in it.
func forgetOldest(root *os.Root) error {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	var files []fs.FileInfo
	for _, entry := range entries {
		ours := strings.HasPrefix(entry.Name(), begunPrefix) || strings.HasSuffix(entry.Name(), keptSuffix)
		if info, err := entry.Info(); err == nil && ours && info.Mode().IsRegular() {
			files = append(files, info)
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	for i, file := range files {
		dead := !strings.HasSuffix(file.Name(), keptSuffix) && time.Since(file.ModTime()) > time.Hour
		if i >= mostHives || dead {
			err = errors.Join(err, root.Remove(file.Name()))
		}
	}
	return err
}
