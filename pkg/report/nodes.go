package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

// Nodes prints a hive's nodes as a table.
func Nodes(out io.Writer, h *hive.Hive) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tTARGET\tTAGS\tKEYS")
	for _, node := range h.Nodes {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\n", label(node.Name), target(node.Target), tags(node.Tags), len(node.Keys))
	}
	table.Flush()
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
