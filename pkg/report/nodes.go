package report

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/printable"
)

// Nodes prints a hive's nodes as a table, in which those that cannot be used have
// the reason in their row.
func Nodes(out io.Writer, sound []hive.Node, broken []hive.Broken) {
	rows := map[string][]cell{}
	for _, node := range sound {
		rows[node.Name] = []cell{plain(label(node.Name)), plain(target(node.Target)), plain(tags(node.Tags)), plain(strconv.Itoa(len(node.Keys)))}
	}
	for _, node := range broken {
		rows[node.Name] = []cell{plain(label(node.Name)), plain("error: " + printable.Text(firstReason(node)))}
	}
	table := [][]cell{{plain("NODE"), plain("TARGET"), plain("TAGS"), plain("KEYS")}}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		table = append(table, rows[name])
	}
	io.WriteString(out, grid(table, false))
}

// firstReason is the first line of an error, without the node's name.
func firstReason(node hive.Broken) string {
	var told interface{ Brief() string } // of another node at length
	if errors.As(node.Err, &told) {
		return told.Brief()
	}
	text, rest, _ := strings.Cut(node.Err.Error(), "\n")
	if before, listed := strings.CutSuffix(text, ". Definition values:"); listed {
		text = before
	} else if strings.HasSuffix(text, ":") {
		rest, _, _ = strings.Cut(strings.TrimPrefix(rest, "- "), "\n")
		text += " " + rest
	}
	text = strings.TrimPrefix(text, fmt.Sprintf("node %q ", node.Name))
	return strings.TrimPrefix(text, fmt.Sprintf("node %q: ", node.Name))
}

func target(t *hive.Target) string {
	if t == nil {
		return "-"
	}
	return label(t.String())
}

func tags(list []string) string {
	if len(list) == 0 {
		return "-"
	}
	shown := make([]string, len(list))
	for i, tag := range list {
		shown[i] = label(tag)
	}
	return strings.Join(shown, ", ")
}
