package nix

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// Lines as versions of Nix write them.
func TestWhatNixSaysIsLoggedWhole(t *testing.T) {
	for line, want := range map[string]string{
		`@nix {"action":"msg","level":0,"msg":"trace: one\ntwo"}`:                                                                         `info one\ntwo`,
		`@nix {"action":"msg","level":1,"msg":"\u001b[35;1mwarning:\u001b[0m Git tree '/x' is dirty"}`:                                    `warn Git tree '/x' is dirty`,
		`@nix {"action":"msg","column":null,"file":null,"level":1,"line":null,"msg":"evaluation warning: old\nold","raw_msg":"old\nold"}`: `warn old\nold`,
		`@nix {"action":"msg","level":0,"msg":"trace: \u001b[1;31mwarning: old\u001b[0m"}`:                                                `warn old`,
		`@nix {"action":"msg","level":0,"msg":"trace: evaluation warning: old"}`:                                                          `warn old`,
		`@nix {"action":"msg","level":3,"msg":"copying path"}`:                                                                            `debug copying path`,
		`@nix {"action":"result","fields":["a line of a builder"],"id":1,"type":101}`:                                                     `debug a line of a builder`,
		`@nix {"action":"start","id":1,"level":3,"parent":0,"text":"evaluating","type":0}`:                                                ``,
		`Enter passphrase for key:`: `info Enter passphrase for key:`,
		`@nix {broken`:              `info @nix {broken`,
		`@nix {"action":"msg","level":0,"msg":"error: no","raw_msg":"no"}`: ``,
	} {
		var out bytes.Buffer
		j := &journal{log: zerolog.New(&out).Level(zerolog.DebugLevel)}
		j.line(line)
		got := strings.NewReplacer(`{"level":"`, "", `","message":"`, " ", `"}`+"\n", "").Replace(out.String())
		if got != want {
			t.Errorf("%s\nis logged as %q, want %q", line, got, want)
		}
	}
}

// A newer Nix' ways to fail, which the Nix at hand may not have.
func TestErrorsOfNewerNixAreUnderstood(t *testing.T) {
	const node = `{"raw_msg":"colmena-go: while evaluating node \"web\""}`
	const text = `{"raw_msg":"while evaluating the option ` + "`" + `deployment.keys.k.text':","file":null,"line":null,"column":null}`
	for line, want := range map[string]string{
		`{"action":"msg","level":0,"msg":"x","raw_msg":"[json.exception.type_error.316] invalid UTF-8 byte at index 1","trace":[{"raw_msg":"colmena-go: while passing on the text of key \"a b\""},` + node + `]}`: `node "web": deployment.keys."a b".text is not UTF-8`,
		`{"action":"msg","level":0,"msg":"x","raw_msg":"cannot coerce a set to a string: { p = \"s3cret\"; }","trace":[` + text + `,` + node + `]}`:                                                                `node "web" cannot be evaluated: cannot coerce a set to a string [value not shown]`,
		`{"action":"msg","level":0,"msg":"x","raw_msg":"assertion '(\"s3cret\" == x)' failed","trace":[` + text + `]}`:                                                                                             `assertion [value not shown]`,
		`{"action":"msg","level":0,"msg":"x","raw_msg":"no vault: log in","trace":[{"raw_msg":"while calling the 'throw' builtin","file":"/h.nix:3:4","line":3,"column":4},` + text + `]}`:                         `no vault: log in` + "\n(while evaluating the option `deployment.keys.k.text' at /h.nix:3:4)",
	} {
		j := &journal{}
		j.line("@nix " + line)
		for _, trace := range []bool{false, true} {
			err := j.failure(trace)
			if !trace && !strings.Contains(err.Error(), want) {
				t.Errorf("%v\ndoes not say %q", err, want)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v\nshows a secret", err)
			}
		}
	}
}

// Builders, git and hives can write such lines as well: whoever were believed
// would have us connect where he likes.
func TestOnlyThisEvaluationAnnouncesNodes(t *testing.T) {
	var told []string
	j := &journal{token: "TOKEN", announce: func(node []byte) { told = append(told, string(node)) }}
	for _, prefix := range []string{"trace: colmena-go : ", "trace: colmena-go: node ", "trace: colmena-go OTHER: ", "colmena-go TOKEN: ", "trace: colmena-go TOKEN: "} {
		j.line(`@nix {"action":"msg","level":0,"msg":"` + prefix + `{}"}`)
	}
	if len(told) != 1 || told[0] != "{}" {
		t.Errorf("told of %q, want one", told)
	}
	none := &journal{}
	none.line(`@nix {"action":"msg","level":0,"msg":"trace: colmena-go : {}"}`) // nobody wants to know
}
