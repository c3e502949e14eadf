package nixeval

import (
	"bytes"
	"strings"
	"testing"
	"time"

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
	if _, err := evaluated(t, Tool{Tool: nix.Tool{Log: zerolog.New(&log).Level(zerolog.InfoLevel)}}, hiveFile(t, text), request); err != nil {
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
	_, err = evaluated(t, Tool{Tool: nix.Tool{Log: zerolog.New(&log)}}, hiveFile(t, broken), Request{Toplevel: true})
	if err == nil || !strings.Contains(log.String(), `"node":"a","message":"seen"`) {
		t.Errorf("%v: a warning before an error is lost:\n%s", err, &log)
	}
}

// Nodes that are done are deployed while others are evaluated.
func TestAWarningIsToldBeforeTheEnd(t *testing.T) {
	defer func(before time.Duration) { together = before }(together)
	together = 300 * time.Millisecond
	told := make(lines, 10)
	s := said{log: zerolog.New(told)}
	s.tell(&journal{}, zerolog.WarnLevel, "a", "old")
	s.tell(&journal{}, zerolog.WarnLevel, "b", "old")
	if got := <-told; got != `{"level":"warn","nodes":["a","b"],"message":"old"}` {
		t.Errorf("told %s", got)
	}
	s.tell(&journal{}, zerolog.WarnLevel, "d", "old")
	s.tell(&journal{}, zerolog.WarnLevel, "c", "old")
	s.tell(&journal{}, zerolog.WarnLevel, "c", "new")
	s.warn(left)
	for _, want := range []string{`{"level":"warn","nodes":["c","d"],"message":"old"}`, `{"level":"warn","nodes":["c"],"node":"c","message":"new"}`} {
		if got := <-told; got != want {
			t.Errorf("told %s", got)
		}
	}
	time.Sleep(together * 3 / 2) // what was told is not told again
	if len(told) > 0 {
		t.Errorf("and %s", <-told)
	}
}

// lines hands on what is written.
type lines chan string

func (l lines) Write(text []byte) (int, error) {
	l <- strings.TrimSpace(string(text))
	return len(text), nil
}
