package report

import (
	"fmt"
	"io"
)

// Error prints an error that concerns the whole run.
func Error(out io.Writer, err error, style Style) {
	fmt.Fprintf(out, "%s %s\n", style.paint(red, "error:"), printable(err.Error()))
}
