package report

import (
	"fmt"
	"io"
	"strings"
)

// Error prints an error that concerns the whole run.
func Error(out io.Writer, err error) {
	fmt.Fprintf(out, "colmena-go: %s\n", strings.TrimSpace(printable(err.Error())))
}
