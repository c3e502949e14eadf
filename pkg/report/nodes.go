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
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\n", printable(node.Name), target(node.Target), orDash(printable(strings.Join(node.Tags, ", "))), len(node.Keys))
	}
	table.Flush()
}

func target(t *hive.Target) string {
	if t == nil {
		return "-"
	}
	return printable(t.String())
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
