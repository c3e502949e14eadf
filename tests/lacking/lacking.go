// Package lacking skips tests for what a machine does not have, so that
// tests/run.sh can say at its end what did not run.
package lacking

import (
	"fmt"
	"os"
	"testing"
)

// ListEnv names the file that each such test adds a line to.
const ListEnv = "COLMENA_GO_LACKING"

// Skip skips the test; the words say what it needs.
func Skip(tb testing.TB, words ...any) {
	tb.Helper()
	if path := os.Getenv(ListEnv); path != "" {
		list, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			tb.Fatal(err)
		}
		defer list.Close()
		if _, err := fmt.Fprintf(list, "%s: %s\n", tb.Name(), fmt.Sprint(words...)); err != nil {
			tb.Fatal(err)
		}
	}
	tb.Skip(words...)
}
