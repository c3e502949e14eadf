// Package hostile_test deploys to an honest host and, at the same time, to one
// that does harm: whoever has root there says whatever he likes over our
// connection. Both are SSH servers in this process. The honest one runs what it
// is told with the sh and coreutils of this machine, in a mount namespace with a
// /run and /srv of its own; only Nix is a double.
package hostile_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/colmena-go/colmena-go/tests/namespace"
)

func TestMain(m *testing.M) {
	if !namespace.Enter("/run", "/srv") {
		os.Exit(m.Run())
	}
	goleak.VerifyTestMain(m)
}
