package activation

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

// heard runs a follower on what a host says and returns its result.
func heard(stdout, stderr string, runErr error, hooks Hooks) (Outcome, error) {
	f := newFollower("1d", hooks)
	f.ended = func() {}
	io.WriteString(f.stdout(), stdout)
	io.WriteString(f.stderr(), stderr)
	return f.result(runErr)
}

func TestAnExitStatusSaysWhatBecameOfTheHost(t *testing.T) {
	for _, c := range []struct {
		exit   string
		status Status
		keys   bool   // post-activation keys are due
		err    string // part of the error, "" for none
	}{
		{"0", Switched, true, ""},
		{"2", SwitchedWithFailures, true, "activation script failed"},
		{"4", SwitchedWithFailures, true, "units failed"},
		{"100", RebootNeeded, false, ""},
		{"1", NotSwitched, false, "ended with 1; the new system is not active"},
		{"127", NotSwitched, false, "ended with 127"},
		{"137", NotSwitched, false, "killed by signal 9"},
	} {
		o, err := heard("", "1d launch\n1d began\n1d exit "+c.exit+"\n", nil, Hooks{})
		if err != nil {
			t.Errorf("exit %s: %v", c.exit, err)
			continue
		}
		if o.Status != c.status || o.TookEffect() != c.keys {
			t.Errorf("exit %s: %q, keys due: %v; want %q, %v", c.exit, o.Status, o.TookEffect(), c.status, c.keys)
		}
		switch err := o.Err(); {
		case c.err == "" && err != nil:
			t.Errorf("exit %s is an error: %v", c.exit, err)
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("exit %s: error %v, want one with %q", c.exit, err, c.err)
		}
	}
}

func TestFailedUnitsAreThoseThatTheSwitchNames(t *testing.T) {
	out := "warning: the following units failed: b.service, a.service\n"
	o, err := heard(out, "1d began\n1d failed older.service\n1d exit 4\n", nil, Hooks{})
	if want := []string{"a.service", "b.service"}; err != nil || !slices.Equal(o.FailedUnits, want) {
		t.Errorf("got %q, %v; want %q", o.FailedUnits, err, want)
	}
	if text := o.Err().Error(); !strings.HasSuffix(text, ": a.service, b.service") {
		t.Errorf("the error does not name the units: %s", text)
	}
}

func TestFailedUnitsAreAskedOfSystemdWhenTheSwitchNamesNone(t *testing.T) {
	o, err := heard("", "1d began\n1d failed b.service\n1d failed a.service\n1d exit 2\n", nil, Hooks{})
	if want := []string{"a.service", "b.service"}; err != nil || !slices.Equal(o.FailedUnits, want) {
		t.Errorf("got %q, %v; want %q", o.FailedUnits, err, want)
	}
}

func TestReportsAreToldFromWhateverElseTheHostSays(t *testing.T) {
	var lines, notes, wanted []string
	hooks := Hooks{
		Output:    func(l string) { lines = append(lines, l) },
		Note:      func(n string) { notes = append(notes, n) },
		KeyWanted: func(u string) { wanted = append(wanted, u) },
	}
	stdout := "1d exit 3\nexit 3\n"
	stderr := "welcome\n1d detached no bus\n1d began\nsudo: hm1d job a-key.service\nexit 3\n1d exit 0\n"
	o, err := heard(stdout, stderr, nil, hooks)
	if err != nil || o.Status != Switched {
		t.Errorf("got %+v, %v", o, err)
	}
	if want := []string{"1d exit 3", "exit 3"}; !slices.Equal(lines, want) {
		t.Errorf("output %q, want %q", lines, want)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "(no bus)") || !slices.Equal(wanted, []string{"a-key.service"}) {
		t.Errorf("notes %q, wanted %q", notes, wanted)
	}
}

// exited is what a Runner returns when the remote command ended by itself.
type exited int

func (e exited) Error() string   { return "ended with an exit status" }
func (e exited) ExitStatus() int { return int(e) }

func TestErrorsSayWhetherAnythingRuns(t *testing.T) {
	lost := errors.New("the connection was lost")
	for _, c := range []struct {
		name   string
		stderr string
		runErr error
		is     error
		text   string
	}{
		{"the host's shell refuses", "sh: not here\n", exited(2), ErrHost, "sh: not here"},
		{"the host cannot start it", "1d fail no such system\n", exited(1), ErrHost, "no such system"},
		{"lost before a report", "", lost, ErrGoesOn, "if the activation had been started, it goes on"},
		{"lost after the start", "1d launch\n", lost, ErrGoesOn, "if the activation had been started, it goes on"},
		{"lost while it runs", "1d launch\n1d began\n", lost, ErrGoesOn, "lost; the activation goes on on the host as colmena-go-activate-1d.service"},
		{"lost while it runs without a unit", "1d launch\n1d detached x\n1d began\n", lost, ErrGoesOn, "goes on on the host: see /run/colmena-go/activate-1d/log"},
		{"the follower was killed", "1d launch\n1d began\n", exited(137), ErrGoesOn, "/run/colmena-go/activate-1d/log"},
		{"another one runs", "1d began\n1d busy activate-0c\n", nil, ErrBusy, "/run/colmena-go/activate-0c/log"},
		{"no profile", "1d began\n1d profile 1\n", nil, ErrProfile, "nix-env ended with 1"},
		{"the unit was killed", "1d began\n1d killed\n", nil, ErrKilled, "activate again (journalctl -u colmena-go-activate-1d.service says more)"},
		{"the process without a unit was killed", "1d detached x\n1d began\n1d killed\n", nil, ErrKilled, "activate again"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := heard("", c.stderr, c.runErr, Hooks{})
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want %v with %q", err, c.is, c.text)
			}
			if o.Status != "" || o.TookEffect() {
				t.Errorf("an outcome without an exit status: %+v", o)
			}
			if errors.Is(c.runErr, lost) && !errors.Is(err, lost) {
				t.Errorf("the Runner's error is not in the chain of %v", err)
			}
		})
	}
}

// stdout and stderr arrive on their own: the first line that the activation
// prints may overtake the report that it runs.
func TestWhatPrintsHasBegun(t *testing.T) {
	for _, c := range []struct {
		name, before, stdout string
		begun                bool
	}{
		{"a line", "1d launch\n", "stopping units\n", true},
		{"a line without its end", "1d launch\n", "stopping", true},
		{"nothing", "1d launch\n", "", false},
		{"a login shell's greeting", "", "welcome\n", false},
	} {
		f := newFollower("1d", Hooks{})
		io.WriteString(f.stderr(), c.before)
		io.WriteString(f.stdout(), c.stdout)
		_, err := f.result(errors.New("lost"))
		var d *Detached
		if !errors.As(err, &d) || d.Begun != c.begun {
			t.Errorf("%s: %v, want one that says begun is %t", c.name, err, c.begun)
		}
	}
}

func TestTheLastReportCountsEvenWhenTheConnectionBreaksAfterIt(t *testing.T) {
	o, err := heard("", "1d began\n1d exit 0\n", errors.New("lost"), Hooks{})
	if err != nil || o.Status != Switched {
		t.Errorf("got %+v, %v", o, err)
	}
}

func TestNothingIsCalledAfterTheResult(t *testing.T) {
	f := newFollower("1d", Hooks{Output: func(line string) { t.Errorf("called with %q", line) }})
	f.result(errors.New("lost"))
	io.WriteString(f.stdout(), "late\n")
}

func TestOnlyGoalsThatActivateAndPathsThatNeedNoQuotingAreAccepted(t *testing.T) {
	const good = "/nix/store/0123-nixos-system-a?=b+c_d.1"
	for _, req := range []Request{
		{Goal: hive.Build, Toplevel: good},
		{Goal: hive.Keys, Toplevel: good},
		{Goal: hive.Switch, Toplevel: ""},
		{Goal: hive.Switch, Toplevel: "result"},
		{Goal: hive.Switch, Toplevel: "/nix/store/a b"},
		{Goal: hive.Switch, Toplevel: "/nix/store/a\n"},
		{Goal: hive.Switch, Toplevel: "/nix/store/$(id)"},
		{Goal: hive.Switch, Toplevel: "/nix/store/a%n"},
	} {
		if _, err := Run(t.Context(), nil, req, Hooks{}); err == nil {
			t.Errorf("%+v was accepted", req)
		}
	}
	if !safePath.MatchString(good) {
		t.Errorf("%s was refused", good)
	}
}
