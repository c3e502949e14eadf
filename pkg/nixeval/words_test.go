package nixeval

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/colmena-go/colmena-go/pkg/nix"
)

// What is kept of an evaluation must be all that it says, and be sure.
func TestAFlakeSaysWhatIsKeptOfIt(t *testing.T) {
	source := flake(t, `colmena = { meta.nixpkgs = nixpkgs.lib.warn "the hive" pkgs;
		a = { lib, ... }: { deployment.tags = builtins.trace "a trace" (lib.warn "old" [ ]); deployment.keys.k.keyFile = "/f"; `+small+` };
		b = { deployment.keys.k.text = "v"; `+small+` };
	};`)
	for _, impure := range []bool{false, true} {
		e := New(Tool{Impure: impure}, source)
		var words []Word
		var nodes []string
		err := e.Run(t.Context(), Part{Request: Request{Toplevel: true}, Most: 9}, Hooks{
			Said: func(w Word) { words = append(words, w) },
			Head: func(text []byte) {
				var of struct{ Pure *bool }
				if err := json.Unmarshal(text, &of); err != nil || of.Pure == nil || *of.Pure == impure {
					t.Errorf("impure is %t: %v: %s", impure, err, text)
				}
			},
			Done: func(text []byte) { nodes = append(nodes, string(text)) },
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := []Word{{"", true, "the hive"}, {"a", false, "a trace"}, {"a", true, "old"}}; !slices.Equal(words, want) {
			t.Errorf("said %+v, want %+v", words, want)
		}
		if len(nodes) != 2 || !strings.Contains(nodes[0], `"noText":true`) || !strings.Contains(nodes[1], `"noText":false`) {
			t.Errorf("%q", nodes)
		}
	}
}

const small = `boot.loader.grub.enable = false; fileSystems."/".device = "/dev/vda1"; system.stateVersion = "26.05";`

func TestWordsThatAreSaidAgainAreSaidOnce(t *testing.T) {
	var log bytes.Buffer
	e := New(Tool{Tool: nix.Tool{Log: zerolog.New(&log)}}, Source{})
	for _, word := range []Word{{"", true, "the hive"}, {"a", false, "a trace"}, {"b", true, "old"}, {"a", true, "old"}} {
		e.Say(word)
	}
	j := &journal{said: &e.said} // of a process that evaluates the rest
	j.tell("trace: warning: the hive")
	e.Warn()
	want := `{"level":"warn","message":"the hive"}
{"level":"info","node":"a","message":"a trace"}
{"level":"warn","nodes":["a","b"],"message":"old"}
`
	if log.String() != want {
		t.Errorf("%s\nwant\n%s", &log, want)
	}
}
