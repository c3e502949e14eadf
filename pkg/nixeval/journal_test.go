package nixeval

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
		`@nix {"action":"result","fields":["a line of a builder"],"id":1,"type":101}`:                                                     ``,
		`@nix {"action":"start","id":1,"level":3,"parent":0,"text":"evaluating","type":0}`:                                                ``,
		`Enter passphrase for key:`:                   `info Enter passphrase for key:`,
		`@nix {broken: "s3cret"`:                      ``,
		`fatal: 'https://me:s3cret@host/x' not found`: `info fatal: 'https://[not shown]@host/x' not found`,
		`@nix {"action":"msg","level":1,"msg":"unable to download 'https://s3cret@host/x'; retrying"}`:                            `debug unable to download 'https://[not shown]@host/x'; retrying`,
		`@nix {"action":"msg","level":1,"msg":"warning: unable to download 'https://host/x?private_token=s3cret': no; retrying"}`: `warn unable to download 'https://host/x?private_token=[not shown]': no; retrying`,
		`@nix {"action":"msg","level":0,"msg":"error: no","raw_msg":"no"}`:                                                        ``,
	} {
		var out bytes.Buffer
		j := &journal{said: &said{log: zerolog.New(&out).Level(zerolog.DebugLevel)}}
		j.line(line)
		got := strings.NewReplacer(`{"level":"`, "", `","message":"`, " ", `"}`+"\n", "").Replace(out.String())
		if got != want {
			t.Errorf("%s\nis logged as %q, want %q", line, got, want)
		}
	}
}

// It may be one for a key, of which the error shows no address at all.
func TestADownloadForANodeIsToldByItsHost(t *testing.T) {
	const line = `@nix {"action":"msg","level":1,"msg":"warning: unable to download 'https://host/it's/s3cret': Couldn't connect; retrying in 2 ms"}`
	for trace, want := range map[bool]string{false: `'https://host/[not shown]': Couldn't connect; retrying in 2 ms`, true: "s3cret"} {
		var out bytes.Buffer
		j := &journal{said: &said{log: zerolog.New(&out)}, node: "web", trace: trace}
		j.line(line)
		j.warn(left)
		if !strings.Contains(out.String(), want) {
			t.Errorf("%t: %s, want %s", trace, &out, want)
		}
	}
}

// Git, which Nix runs, writes as it likes.
func TestAnAddressThatGitTellsOfANodeIsCut(t *testing.T) {
	const line = `fatal: unable to access 'http://127.0.0.1:1/s3cret/repo/': Failed to connect`
	for _, c := range []struct {
		node  string
		trace bool
		want  string
	}{
		{"web", false, `'http://127.0.0.1:1/[not shown]': Failed to connect`}, {"web", true, "s3cret"}, {"", false, "s3cret"},
	} {
		var out bytes.Buffer
		j := &journal{said: &said{log: zerolog.New(&out)}, node: c.node, trace: c.trace}
		j.line(line)
		if !strings.Contains(out.String(), c.want) || c.want != "s3cret" && strings.Contains(out.String(), "s3cret") {
			t.Errorf("%+v: %s", c, &out)
		}
	}
}

// Two threads of Nix write into one pipe, and a long line is not written at once.
func TestAnErrorThatIsTornApartIsReadWhole(t *testing.T) {
	const line = `@nix {"action":"msg","level":0,"msg":"error: no s3cret","raw_msg":"no luck"}`
	const other = `@nix {"action":"msg","level":0,"msg":"trace: other"}`
	for name, lines := range map[string][]string{
		"once":      {line[:20] + other, line[20:]},
		"twice":     {line[:20] + other, line[20:40] + other, line[40:]},
		"by itself": {line},
	} {
		var out bytes.Buffer
		j := &journal{said: &said{log: zerolog.New(&out)}}
		for _, l := range append(lines, other) {
			j.line(l)
		}
		if err := j.failure(surroundings{}); !strings.Contains(err.Error(), "no luck") {
			t.Errorf("%s: %v", name, err)
		}
		if got := strings.Count(out.String(), `"other"`); got != len(lines) || strings.Contains(out.String(), "s3cret") {
			t.Errorf("%s: the log is %s", name, &out)
		}
	}
	j := &journal{said: &said{}}
	j.line(line[:50])
	j.line(`{"s3cret`)
	if err := j.failure(surroundings{}); !strings.Contains(err.Error(), "cannot be read") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("half an error is %v", err)
	}
}

// A newer Nix' ways to fail, which the Nix at hand may not have.
func TestErrorsOfNewerNixAreUnderstood(t *testing.T) {
	const node = `{"raw_msg":"colmena-go: while evaluating node \"web\""}`
	const text = `{"raw_msg":"while evaluating the option ` + "`" + `deployment.keys.k.text':","file":null,"line":null,"column":null}`
	for line, want := range map[string]string{
		`{"action":"msg","level":0,"msg":"x","raw_msg":"[json.exception.type_error.316] invalid UTF-8 byte at index 1","trace":[{"raw_msg":"colmena-go: while passing on the text of key \"a b\""},` + node + `]}`: `node "web": deployment.keys."a b".text is not UTF-8`,
		`{"action":"msg","level":0,"msg":"x","raw_msg":"cannot coerce a set to a string: { p = \"s3cret\"; }","trace":[` + text + `,` + node + `]}`:                                                                `node "web" cannot be evaluated: cannot coerce a set to a string [not shown]`,
		`{"action":"msg","level":0,"msg":"x","raw_msg":"assertion '(\"s3cret\" == x)' failed","trace":[` + text + `]}`:                                                                                             `assertion [not shown] failed`,
		`{"action":"msg","level":0,"msg":"x","raw_msg":"string '\"s3cret\"' is not equal to string '\"x\"'","trace":[{"raw_msg":"while evaluating the condition of the assertion '(\"s3cret\" == x)'"}]}`:          `assertion [not shown] failed`,
		`{"action":"msg","level":0,"msg":"x","raw_msg":"integer 's3cret' is not equal to integer '1'","trace":[{"raw_msg":"while evaluating the condition of the assertion '(x == 1)'"}]}`:                         `assertion [not shown] failed`,
		`{"action":"msg","level":0,"msg":"x","raw_msg":"web needs a name: set it","trace":[{"raw_msg":"while evaluating the condition of the assertion '((assertMsg) true)'"}]}`:                                   `web needs a name: set it`,
		`{"action":"msg","level":0,"msg":"x","raw_msg":"integer overflow in adding s3cret + 1","trace":[` + text + `]}`:                                                                                            `[not shown]`,
		`{"action":"msg","level":0,"msg":"x","raw_msg":"'s3cret' is not allowed in pure evaluation mode"}`:                                                                                                         `[not shown]`,
		`{"action":"msg","level":0,"msg":"x","raw_msg":"expected an integer but found a string: \"s3cret\"","trace":[{"raw_msg":"while evaluating the option ` + "`" + `services.x.port':"}]}`:                     `expected an integer but found a string [not shown]`,
		`{"action":"msg","level":0,"msg":"x","raw_msg":"attribute 's3cret' missing","file":"(string)","line":1,"column":1,"trace":[{"raw_msg":"from call site","file":"/h.nix","line":3,"column":4}]}`:             "attribute [not shown] missing\n(at /h.nix:3:4;",
		`{"action":"msg","level":0,"msg":"x","raw_msg":"attribute 'nodeNixpkgs' missing"}`:                                                                                                                         `attribute 'nodeNixpkgs' missing`,
		`{"action":"msg","level":0,"msg":"x","raw_msg":"string 's3cret' doesn't represent an absolute path"}`:                                                                                                      `string [not shown] doesn't represent an absolute path`,
		`{"action":"msg","level":0,"msg":"x","raw_msg":"function 's3cret' called with unexpected argument 'lib'"}`:                                                                                                 `function [not shown] called with unexpected argument 'lib'`,
		`{"action":"msg","level":0,"msg":"x","raw_msg":"colmena-go: s3cret","trace":[` + text + `]}`:                                                                                                               `[not shown]`,
		`{"action":"msg","level":0,"msg":"x","raw_msg":"invalid flakeref 's3cret'"}`:                                                                                                                               `invalid flakeref [not shown]`,
		`{"action":"msg","level":0,"msg":"x","raw_msg":"s3cret is old","trace":[{"raw_msg":"while calling the 'throw' builtin"},` + text + `]}`:                                                                    `[not shown]`,
		`{"action":"msg","level":0,"msg":"x","raw_msg":"path '/etc/keys.nix' does not exist","trace":[` + text + `]}`:                                                                                              `path '/etc/keys.nix' does not exist`,
		`{"action":"msg","level":0,"msg":"x","raw_msg":"path '/s3cret/keys.nix' does not exist","trace":[` + text + `]}`:                                                                                           `path [not shown] does not exist`,
		`{"action":"msg","level":0,"msg":"x","raw_msg":"no vault: log in","trace":[{"raw_msg":"while calling the 'throw' builtin","file":"/h.nix:3:4","line":3,"column":4},` + text + `]}`:                         `no vault: log in` + "\n(while evaluating the option `deployment.keys.k.text' at /h.nix:3:4)",
	} {
		j := &journal{said: &said{}}
		j.line("@nix " + line)
		err := j.failure(surroundings{
			read:   func(string) string { return `{ text = throw "no vault: log in"; other = throw "${s3cret} is old"; }` },
			exists: func(path string) bool { return path == "/etc" },
		})
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not say %q", err, want)
		}
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v\nshows a secret", err)
		}
	}
}

// Builders, git and hives can write such lines as well: whoever were believed
// would have us connect where he likes.
func TestOnlyThisEvaluationAnnouncesNodes(t *testing.T) {
	var told []string
	j := &journal{said: &said{}, token: "TOKEN", traced: func(what, text string) { told = append(told, what+" "+text) }}
	for _, prefix := range []string{"trace: colmena-go  node: ", "trace: colmena-go: node ", "trace: colmena-go OTHER node: ", "colmena-go TOKEN node: ", "trace: colmena-go TOKEN node: "} {
		j.line(`@nix {"action":"msg","level":0,"msg":"` + prefix + `{}"}`)
	}
	j.line(`@nix {"action":"msg","level":0,"msg":"trace: colmena-go OTHER at: \"web\""}`)
	if len(told) != 1 || told[0] != "node {}" || j.node != "" {
		t.Errorf("told of %q at %q, want one", told, j.node)
	}
	none := &journal{said: &said{}}
	none.line(`@nix {"action":"msg","level":0,"msg":"trace: colmena-go  node: {}"}`) // nobody wants to know
	none.line(`@nix {"action":"msg","level":0,"msg":"trace: colmena-go  at: \"web\""}`)
	if none.node != "" {
		t.Error("a token that is empty was believed")
	}
}
