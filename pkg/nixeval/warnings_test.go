package nixeval

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nix"
)

func TestWarningsNameTheirNodes(t *testing.T) {
	const text = `{
		defaults = { lib, ... }: { warnings = [ "an old option" ]; deployment.tags = lib.warn "tags are old" [ "t" ]; };
		a = { };
		b = { };
		c = { name, ... }: { networking.hostName = builtins.trace "system of ${name}" name; };
		d = { warnings = [ "two\nlines" "two\nlines" ]; };
		e.warnings = [ "not chosen" ];
	}`
	selector, err := hive.ParseSelector("a,b,c,d")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	request := Request{Selector: selector, Toplevel: true, Announce: true}
	if _, err := evaluated(t, nix.Tool{Log: zerolog.New(&log).Level(zerolog.InfoLevel)}, hiveFile(t, text), request); err != nil {
		t.Fatal(err)
	}
	for line, times := range map[string]int{
		`{"level":"warn","nodes":["a","b","c","d"],"message":"an old option"}`: 1,
		`{"level":"warn","nodes":["a","b","c","d"],"message":"tags are old"}`:  1,
		`{"level":"warn","nodes":["d"],"node":"d","message":"two\nlines"}`:     1,
		`{"level":"info","node":"c","message":"system of c"}`:                  1,
		"not chosen": 0,
		"colmena-go": 0,
	} {
		if got := strings.Count(log.String(), line); got != times {
			t.Errorf("%d times %s in:\n%s", got, line, &log)
		}
	}

	log.Reset()
	broken := `{ a.warnings = [ "seen" ]; b.assertions = [ { assertion = false; message = "no"; } ]; }`
	_, err = evaluated(t, nix.Tool{Log: zerolog.New(&log)}, hiveFile(t, broken), Request{Toplevel: true})
	if err == nil || !strings.Contains(log.String(), `"node":"a","message":"seen"`) {
		t.Errorf("%v: a warning before an error is lost:\n%s", err, &log)
	}
}
