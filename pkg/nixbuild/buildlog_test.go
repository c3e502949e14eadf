package nixbuild

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/nix"
)

// Paths as Nix names them.
const (
	kernelDrv = "/nix/store/00000000000000000000000000000001-linux-6.6.31.drv"
	webDrv    = "/nix/store/00000000000000000000000000000002-nixos-system-web.drv"
	webOut    = "/nix/store/00000000000000000000000000000003-nixos-system-web"
)

// nixLog is what Nix says, one object a line.
func nixLog(t *testing.T, objects ...logObject) (lines []string) {
	t.Helper()
	for _, o := range objects {
		text, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, "@nix "+string(text))
	}
	return lines
}

func message(text string) logObject { return logObject{Action: "msg", Msg: text} }

func TestWhatFailedIsReadFromEveryNix(t *testing.T) {
	raw := "builder for '\x1b[35;1m" + kernelDrv + "\x1b[0m' failed with exit code 3"
	for name, c := range map[string]struct {
		message      logObject
		path, reason string
	}{
		"2.8":                         {logObject{Action: "msg", Msg: "\x1b[31;1merror:\x1b[0m " + raw, Raw: &raw}, kernelDrv, "builder for '" + kernelDrv + "' failed with exit code 3"},
		"a daemon":                    {message("error: builder for '" + kernelDrv + "' failed with exit code 3;\n       last 1 log lines:\n       > it said\n       For full logs, run 'nix log " + kernelDrv + "'."), kernelDrv, "builder for '" + kernelDrv + "' failed with exit code 3"},
		"2.31":                        {message("error: Cannot build '" + kernelDrv + "'.\n       Reason: builder failed with exit code 3.\n       Output paths:\n         " + webOut + "\n       Last 1 log lines:\n       > it said\n"), kernelDrv, "builder for '" + kernelDrv + "' failed with exit code 3"},
		"a hash":                      {message("error: hash mismatch in fixed-output derivation '" + kernelDrv + "':\n  specified: sha256-a\n     got:    sha256-b"), kernelDrv, "hash mismatch in fixed-output derivation '" + kernelDrv + "':\nspecified: sha256-a\ngot:    sha256-b"},
		"an output":                   {message("error: path '" + webOut + "' is required, but there is no substituter that can build it"), webOut, "path '" + webOut + "' is required, but there is no substituter that can build it"},
		"a name that sounds like one": {message("error: builder for '/nix/store/00000000000000000000000000000004-1-dependency-failed.drv' failed with exit code 1"), "/nix/store/00000000000000000000000000000004-1-dependency-failed.drv", "builder for '/nix/store/00000000000000000000000000000004-1-dependency-failed.drv' failed with exit code 1"},
		"a dependency, 2.8":           {message("error: 1 dependencies of derivation '" + webDrv + "' failed to build"), "", ""},
		"a dependency, 2.31":          {message("error: Cannot build '" + webDrv + "'.\nReason: 1 dependency failed."), "", ""},
		"all of it":                   {message("error: build of '" + webDrv + "', '" + kernelDrv + "' failed"), "", ""},
		"no derivation":               {message("error: writing to file: No space left on device"), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log buildLog
			for _, line := range nixLog(t,
				logObject{Action: "start", ID: 7, Type: actBuild, Fields: []any{kernelDrv, ""}},
				logObject{Action: "result", ID: 7, Type: nix.BuildLogLine, Fields: []any{"it said"}},
				c.message, c.message) {
				log.line(line)
			}
			if c.path == "" {
				if len(log.failures) > 0 || len(log.summaries)+len(log.unplaced) == 0 {
					t.Errorf("%+v", log)
				}
				return
			}
			if len(log.failures) != 1 || log.failures[0].path != c.path || log.failures[0].reason != c.reason {
				t.Fatalf("%+v", log.failures)
			}
			if said := strings.Count((&BuildError{failures: log.failures}).Error(), "\n> it said"); c.path == kernelDrv && said != 1 || c.path != kernelDrv && said != 0 {
				t.Errorf("its line is told %d times", said)
			}
		})
	}
}

func TestAnErrorOfNixAsAWholeIsToldBeforeItsConsequences(t *testing.T) {
	var log buildLog
	for _, line := range nixLog(t, message("error: build of '"+webDrv+"' failed")) {
		log.line(line)
	}
	ended := &nix.Failure{Err: errors.New("exit status 1")}
	if err := log.whole(ended); err.Error() != "build of '"+webDrv+"' failed" {
		t.Error(err)
	}
	for _, line := range nixLog(t, message("error: writing to file: No space left on device")) {
		log.line(line)
	}
	if err := log.whole(ended); err.Error() != "writing to file: No space left on device" {
		t.Error(err)
	}
	if err := (&buildLog{}).whole(ended); !strings.Contains(err.Error(), "exit status 1") {
		t.Error(err)
	}
}

// What Nix 2.34 says of four builds; after the second has ended, nothing begins for
// a while.
func TestWhatHasEndedIsNotExpectedAgain(t *testing.T) {
	var log buildLog
	log.line(nixLog(t, logObject{Action: "start", ID: 1, Type: actBuilds})[0])
	for _, step := range []struct{ fields, left []int }{
		{[]int{0, 3, 0, 0}, []int{3, 3}}, {[]int{0, 4, 2, 0}, []int{4, 4}}, {[]int{1, 5, 1, 0}, []int{3, 4}}, {[]int{1, 4, 2, 0}, []int{3, 4}},
		{[]int{2, 5, 1, 0}, []int{2, 4}}, {[]int{2, 6, 0, 1}, []int{1, 4}}, {[]int{2, 7, 1, 1}, []int{4, 7}},
	} {
		var fields []any
		for _, n := range step.fields {
			fields = append(fields, n)
		}
		log.line(nixLog(t, logObject{Action: "result", ID: 1, Type: resProgress, Fields: fields})[0])
		if got := []int{log.counts.left(), log.counts.expected}; !slices.Equal(got, step.left) {
			t.Errorf("%v: %v, want %v", step.fields, got, step.left)
		}
	}
}

func TestWarningsOfNixAreToldButThoseOfOurOwnOptions(t *testing.T) {
	var log buildLog
	for text, want := range map[string]string{
		"warning: the disk is nearly full": "warning: the disk is nearly full",
		"warning: ignoring the client-specified setting 'build-poll-interval', because it is a restricted setting": "",
	} {
		if event := log.line(nixLog(t, logObject{Action: "msg", Level: 1, Msg: text})[0]); event.text != want {
			t.Errorf("%q", event.text)
		}
	}
	if event := log.line("ssh: connect to host builder port 22: Connection refused"); event.kind != nixSaid || !strings.HasPrefix(event.text, "ssh: ") {
		t.Errorf("%+v", event)
	}
}

func TestALineWithoutEndIsOneOfItsBuild(t *testing.T) {
	var log buildLog
	var events []logEvent
	lines := &nix.LineWriter{Emit: func(line string) { events = append(events, log.line(line)) }}
	write := func(text string) {
		if _, err := lines.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range nixLog(t, logObject{Action: "start", ID: 7, Type: actBuild, Fields: []any{kernelDrv, ""}}) {
		write(line + "\n")
	}
	write(`@nix {"action":"result","fields":["`)
	part := strings.Repeat("x", 1<<16)
	for range 100 << 20 >> 16 {
		write(part)
	}
	write(`"],"id":7,"type":101}` + "\n")
	last := events[len(events)-1]
	if last.kind != workSaid || last.path != kernelDrv || len(last.text) > 2*longestLine {
		t.Errorf("kind %d, %s, %d bytes", last.kind, last.path, len(last.text))
	}
}

func FuzzWhatNixSaysIsReadWhateverItIs(f *testing.F) {
	for _, seed := range []string{
		`@nix {"action":"start","fields":["` + kernelDrv + `","",1,1],"id":7,"type":105}`,
		`@nix {"action":"result","fields":["line"],"id":7,"type":101}`, `@nix {"action":"stop","id":7}`,
		`@nix {"action":"start","id":8,"type":104}`, `@nix {"action":"result","fields":[1,2,3,4],"id":8,"type":105}`,
		`@nix {"action":"msg","level":0,"msg":"error: builder for '` + kernelDrv + `' failed","raw_msg":null}`,
		`@nix {"action":"result","fields":[{}],"id":7,"type":101}`, `@nix {"action":"msg","level":3,"msg":"these paths will be fetched:"}`,
		`@nix {"action":"msg"}`, "@nix nothing", "", "\x1b[2J\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var log buildLog
		for _, line := range append(nixLog(t,
			logObject{Action: "start", ID: 7, Type: actBuild, Fields: []any{kernelDrv, ""}},
			logObject{Action: "start", ID: 8, Type: actBuilds}), strings.Split(text, "\n")...) {
			if event := log.line(line); event.kind != workFailed && len(event.text) > 4*longestLine {
				t.Errorf("an event of %d bytes", len(event.text))
			}
		}
		if len(log.running) != len(log.inOrder) || len(log.atWork()) != len(log.running) {
			t.Errorf("%d activities, %d in order", len(log.running), len(log.inOrder))
		}
		if log.counts.left() < 0 {
			t.Errorf("%+v", log.counts)
		}
		if text := log.whole(errors.New("it ended")).Error(); text == "" || len(text) > 2*mostErrors*mostReasonLines*longestLine {
			t.Errorf("an error of %d bytes", len(text))
		}
		for _, line := range nixLog(t, message("error: builder for '"+kernelDrv+"' failed")) {
			log.line(line)
		}
		if text := (&BuildError{failures: log.failures}).Error(); text == "" || len(text) > 2*mostErrors*(mostReasonLines+nix.BuilderLines)*longestLine {
			t.Errorf("an error of %d bytes", len(text))
		}
	})
}
