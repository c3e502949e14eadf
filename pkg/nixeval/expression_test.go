package nixeval

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	nixfiles "github.com/colmena-go/colmena-go/nix"
	"github.com/colmena-go/colmena-go/pkg/nix"
	"github.com/colmena-go/colmena-go/tests/hostile"
	"github.com/colmena-go/colmena-go/tests/nixenv"
)

// Options that do not exist are no error here, as in Colmena.
var goWell = []string{"a key's text in another option", "a misspelt deployment", "keys beside deployment"}

// What is asked for is printed, and what goes wrong on the way tells no more than
// elsewhere.
func TestNoErrorOfAnExpressionShowsASecret(t *testing.T) {
	for _, h := range hostile.Hives {
		t.Run(h.Name, func(t *testing.T) {
			source, log := hostileHive(t, h), bytes.Buffer{}
			e := New(Tool{Tool: nix.Tool{Log: zerolog.New(&log), Options: [][2]string{{"download-attempts", "1"}}}}, source)
			value, err := e.Introspect(t.Context(), Expression{Text: "{ nodes, ... }: mapAttrs (_: node: { inherit (node.config.deployment) keys tags; inherit (node.config.system.build.toplevel) drvPath; }) nodes"}, Room{})
			if !slices.Contains(goWell, h.Name) && !errors.Is(err, ErrEval) {
				t.Fatalf("%v, %.200s", err, value)
			}
			for _, said := range []string{fmt.Sprint(err), log.String()} {
				hasNoSecret(t, said)
			}
		})
	}
}

func TestAnExpressionsPlacesAreItsOwn(t *testing.T) {
	x := &ownText{name: commandLine, text: "a\nb", column: 10, lines: 2}
	for _, c := range []struct{ line, column, wantLine, wantColumn int }{
		{1, 11, 1, 1}, {1, 3, 1, 1}, {2, 3, 2, 3}, {3, 3, 0, 0}, {0, 1, 0, 0},
	} {
		line, column, mine := x.place(c.line, c.column)
		if mine != (c.wantLine > 0) || mine && (line != c.wantLine || column != c.wantColumn) {
			t.Errorf("%d:%d is %d:%d, %t", c.line, c.column, line, column, mine)
		}
	}
	raw := "x at «string»:1:12 and (string):2:1 and «string»:7:7"
	e := &entry{Raw: &raw, place: place{"(string)", 1, 12}, Trace: []frame{{place: place{"/a/file", 1, 12}}, {place: place{"«string»", 9, 9}}}}
	x.rename(e)
	if *e.Raw != "x at -E:1:2 and -E:2:1 and «string»:7:7" || e.String() != " at -E:1:2" || e.Trace[0].String() != " at /a/file:1:12" || e.Trace[1].String() != "" {
		t.Errorf("%q, %q, %v", *e.Raw, e.String(), e.Trace)
	}
}

// What Nix is asked for of a flake is one argument, which ends at 128 KiB (execve(2)).
func TestOurOwnExpressionFitsIntoAnArgument(t *testing.T) {
	const others = 8 << 10 // what stands around it
	if room := 128<<10 - len(nixfiles.Expression()) - others; room < 0 {
		t.Errorf("it is %d bytes too long: nix/ has grown", -room)
	}
}

// Every user of the machine can read what programs are called with.
func TestAnExpressionIsInNoArgument(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.nix")
	if err := os.WriteFile(file, []byte(`_: "s3cret"`), 0o600); err != nil {
		t.Fatal(err)
	}
	const meta = `{"path":"/nix/store/x-source","locked":{"narHash":"sha256-a+b/c="}}`
	for _, x := range []Expression{{File: file}, {Text: `_: "s3cret"`}} {
		calls := nixenv.StandIn(t, "", meta, `"\"value\""`)
		value, err := New(Tool{}, inFlake).Introspect(t.Context(), x, Room{})
		if err != nil || string(value) != `"value"` {
			t.Fatalf("%s, %v", value, err)
		}
		all := calls()
		for _, call := range all {
			if strings.Contains(call, "s3cret") {
				t.Errorf("called %s", call)
			}
		}
		if last := all[len(all)-1]; !strings.Contains(last, "--option pure-eval true -") {
			t.Errorf("called %s", last)
		}
	}
}
