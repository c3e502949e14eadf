package report

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

// Nodes prints a hive's nodes as a table, in which those that cannot be used have
// the reason in their row.
func Nodes(out io.Writer, sound []hive.Node, broken []hive.Broken) {
	rows, reasons := map[string]string{}, map[string]string{}
	for _, node := range sound {
		rows[node.Name] = fmt.Sprintf("%s\t%s\t%d", target(node.Target), tags(node.Tags), len(node.Keys))
	}
	for _, node := range broken {
		rows[node.Name] = "\t\t" // a row without these cells would begin another table
		reasons[node.Name] = "error: " + printable(firstReason(node))
	}
	var text bytes.Buffer
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tTARGET\tTAGS\tKEYS")
	names := slices.Sorted(maps.Keys(rows))
	for _, name := range names {
		fmt.Fprintf(table, "%s\t%s\n", label(name), rows[name])
	}
	table.Flush()
	lines := strings.Split(text.String(), "\n")
	for i, name := range names {
		if why, ok := reasons[name]; ok {
			second := strings.Index(lines[0], "TARGET")
			lines[i+1] = string([]rune(lines[i+1])[:second]) + why
		}
	}
	io.WriteString(out, strings.Join(lines, "\n"))
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
