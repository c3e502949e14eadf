package report

import (
	"fmt"
	"io"
	"strings"
)

// Message prints what concerns the whole run.
func Message(out io.Writer, text string) {
	fmt.Fprintf(out, "colmena-go: %s\n", strings.TrimSpace(printable(text)))
}
