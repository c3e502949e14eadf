package activation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
)

const (
	newSystem = "/nix/store/1-new"
	oldSystem = "/nix/store/0-old"
)

// heard runs a follower on what a host says and returns its result.
func heard(output, said string, runErr error, hooks Hooks) (Outcome, error) {
	return heardOf(hive.Switch, output, said, runErr, hooks)
}

// heardOf has the output before what else is said: reports on stdout as well, and
// the rest on stderr.
func heardOf(goal hive.Goal, output, said string, runErr error, hooks Hooks) (Outcome, error) {
	f := newFollower("1d", "2e2e", Request{Goal: goal, Toplevel: newSystem, WaitFor: []string{"a-key.service", "b-key.service"}}, hooks)
	f.ended = func() {}
	io.WriteString(f.stdout(), output)
	for line := range strings.Lines(said) {
		to := f.stderr()
		if strings.Contains(line, "2e2e ") {
			to = f.stdout()
		}
		io.WriteString(to, line)
	}
	return f.result(runErr)
}

// What became of a host is what it says of its systems, not what the exit status
// lets one guess.
func TestAnOutcomeIsWhatTheHostHas(t *testing.T) {
	const none = ""
	for _, c := range []struct {
		goal   hive.Goal
		status string // and the systems after it
		keys   bool   // post-activation keys are due
		err    string // "" for none
	}{
		{hive.Switch, "exit 0 new new", true, none},
		{hive.Switch, "exit 0 old new", false, "switch-to-configuration ended with 0; the host runs /nix/store/0-old and it boots the new system"},
		{hive.Switch, "exit 0 new old", true, "switch-to-configuration ended with 0; the new system is active and it boots /nix/store/0-old"},
		{hive.Switch, "exit 2 new new", true, "the activation script failed (switch-to-configuration ended with 2); the new system is active and it boots the new system"},
		{hive.Switch, "exit 4 new new", true, "units failed (switch-to-configuration ended with 4); the new system is active and it boots the new system"},
		{hive.Switch, "exit 4 old new", false, "units failed (switch-to-configuration ended with 4); the host runs /nix/store/0-old and it boots the new system"},
		{hive.Switch, "exit 1 new new", true, "switch-to-configuration ended with 1; the new system is active and its system profile is the new system, of which the boot loader may not know"},
		{hive.Switch, "exit 101 new new", true, "switch-to-configuration ended with 101; the new system is active and it boots the new system"},
		{hive.Switch, "exit 3 old new", false, "switch-to-configuration ended with 3; the host runs /nix/store/0-old and it boots the new system"},
		{hive.Switch, "exit 137 old new", false, "switch-to-configuration was killed by signal 9, activate again; the host runs /nix/store/0-old and its system profile is the new system, of which the boot loader may not know"},
		{hive.Switch, "exit 100 old new", false, none},
		{hive.Switch, "exit 100 old old", false, "switch-to-configuration ended with 100; the host runs /nix/store/0-old and it boots /nix/store/0-old"},
		{hive.Switch, "exit 127 - -", false, "switch-to-configuration ended with 127; the host runs no NixOS system and it boots no NixOS system"},
		{hive.Switch, "killed new new", true, "the activation was killed on the host and may be half done: activate again (journalctl -u colmena-go-activate-1d.service says more); the new system is active and it boots the new system"},
		{hive.Test, "exit 0 new old", true, none},
		{hive.Test, "exit 100 old old", false, none},
		{hive.Test, "exit 1 old old", false, "switch-to-configuration ended with 1; the host runs /nix/store/0-old"},
		{hive.Boot, "exit 0 old new", true, none},
		{hive.Boot, "exit 0 old old", false, "switch-to-configuration ended with 0; it boots /nix/store/0-old"},
		{hive.Boot, "exit 1 old new", false, "switch-to-configuration ended with 1; its system profile is the new system, of which the boot loader may not know"},
		{hive.Switch, "exit 1 old new", false, "switch-to-configuration ended with 1; the host runs /nix/store/0-old and its system profile is the new system, of which the boot loader may not know"},
		{hive.Switch, "exit 126 old new", false, "switch-to-configuration ended with 126; the host runs /nix/store/0-old and its system profile is the new system, of which the boot loader may not know"},
		{hive.DryActivate, "exit 0 old old", false, none},
		{hive.DryActivate, "exit 1 new new", false, "switch-to-configuration ended with 1; the host runs /nix/store/1-new"},
	} {
		words := strings.Fields(c.status)
		systems := strings.NewReplacer("new", newSystem, "old", oldSystem).Replace(strings.Join(words[len(words)-2:], " "))
		said := "2e2e launch\n2e2e began\n2e2e state " + systems + "\n2e2e " + strings.Join(words[:len(words)-2], " ") + "\n"
		o, err := heardOf(c.goal, "", said, nil, Hooks{})
		if err != nil {
			t.Errorf("%s, %s: %v", c.goal, c.status, err)
			continue
		}
		text := none
		if err := o.Err(); err != nil {
			text = err.Error()
		}
		if o.TookEffect() != c.keys || text != c.err {
			t.Errorf("%s, %s: keys due: %v, %q; want %v, %q", c.goal, c.status, o.TookEffect(), text, c.keys, c.err)
		}
	}
}

func TestFailedUnitsAreThoseThatTheSwitchNames(t *testing.T) {
	out := "warning: the following units failed: b.service, a.service\n"
	o, err := heard(out, "2e2e began\n2e2e failed older.service\n2e2e exit 4\n", nil, Hooks{})
	if want := []string{"a.service", "b.service"}; err != nil || !slices.Equal(o.FailedUnits, want) {
		t.Errorf("got %q, %v; want %q", o.FailedUnits, err, want)
	}
	if text := o.Err().Error(); !strings.Contains(text, "failed units: a.service, b.service;") {
		t.Errorf("the error does not name the units: %s", text)
	}
}

func TestFailedUnitsAreAskedOfSystemdWhenTheSwitchNamesNone(t *testing.T) {
	o, err := heard("", "2e2e began\n2e2e failed b.service\n2e2e failed a.service\n2e2e exit 2\n", nil, Hooks{})
	if want := []string{"a.service", "b.service"}; err != nil || !slices.Equal(o.FailedUnits, want) {
		t.Errorf("got %q, %v; want %q", o.FailedUnits, err, want)
	}
}

// A host that lies harms nobody but itself.
func TestWhatAHostRepeatsOrExaggeratesCountsOnceAndIsCut(t *testing.T) {
	long := strings.Repeat("x", 5000)
	var wanted, notes []string
	hooks := Hooks{
		KeyWanted: func(u string) { wanted = append(wanted, u) },
		Note:      func(n string) { notes = append(notes, n) },
	}
	ends := 0
	f := newFollower("1d", "2e2e", Request{Goal: hive.Switch, Toplevel: newSystem, WaitFor: []string{"a-key.service", "b-key.service"}}, hooks)
	f.ended = func() { ends++ }
	said := func(text string) error {
		_, err := io.WriteString(f.stdout(), text)
		return err
	}
	for range 3 {
		said("2e2e launch\n2e2e began\n2e2e detached " + long + "\n2e2e job a-key.service\n2e2e job b-key.service\n")
	}
	for range 3 * mostUnits {
		said("2e2e failed u" + long[:300] + "\n")
	}
	io.WriteString(f.stdout(), failedLine+strings.Repeat(long+", ", 500)+"\n")
	for range 3 {
		said("2e2e exit 4\n2e2e exit 0\n2e2e job a-key.service\n")
	}
	if err := said(strings.Repeat(long, 1000)); err != nil {
		t.Errorf("after the end a host may say what it likes: %v", err)
	}
	o, err := f.result(nil)
	if err != nil || o.Exit != 4 || ends != 1 || len(wanted) != 1 || len(notes) != 1 {
		t.Errorf("%v: exit %d, %d ends, wanted %q, %d notes", err, o.Exit, ends, wanted, len(notes))
	}
	if len(o.FailedUnits) > mostUnits+1 || len(o.Err().Error()) > 30_000 || len(notes[0]) > 500 {
		t.Errorf("%d units, %d bytes of error, %d of the note", len(o.FailedUnits), len(o.Err().Error()), len(notes[0]))
	}
}

func TestTooManyReportsEndTheConversation(t *testing.T) {
	for _, line := range []string{"2e2e detached x\n", "no report\n"} {
		f := newFollower("1d", "2e2e", Request{Goal: hive.Switch}, Hooks{})
		to := f.stdout()
		if !strings.HasPrefix(line, "2e2e") {
			to = f.stderr()
		}
		var err error
		for n := 0; err == nil && n < 10*reportsSize; n += 1000 {
			_, err = io.WriteString(to, strings.Repeat(line, 100))
		}
		if !errors.Is(err, errTooMuch) {
			t.Errorf("%q: got %v", line, err)
		}
	}
}

// Nobody but us says which keys may be asked for.
func TestAKeyThatIsNotOursIsNotAskedFor(t *testing.T) {
	heard("", "2e2e began\n2e2e job other.service\n2e2e exit 0\n", nil, Hooks{KeyWanted: func(unit string) { t.Errorf("asked for %q", unit) }})
}

func TestWhatIsFailedToSayIsCut(t *testing.T) {
	for _, report := range []string{"fail ", "busy ", "profile ", "exit "} {
		_, err := heard("", "2e2e "+report+strings.Repeat("x", 200_000)+"\n", nil, Hooks{})
		if err == nil || len(err.Error()) > 1000 {
			t.Errorf("%s: %d bytes", report, len(fmt.Sprint(err)))
		}
	}
}

func TestReportsAreToldFromWhateverElse(t *testing.T) {
	var lines, notes, wanted []string
	hooks := Hooks{
		Output:    func(l string) { lines = append(lines, l) },
		Note:      func(n string) { notes = append(notes, n) },
		KeyWanted: func(u string) { wanted = append(wanted, u) },
	}
	f := newFollower("1d", "2e2e", Request{Goal: hive.Test, Toplevel: newSystem, WaitFor: []string{"a-key.service"}}, hooks)
	f.ended = func() {}
	// Reports break into lines of the activation's, which may look like some; what
	// is on stderr is none, as others write there.
	io.WriteString(f.stderr(), "welcome\n2e2e exit 3\n")
	io.WriteString(f.stdout(), "1d exit 3\nexit 3\n\r2e2e detached no bus\n\nunfinished\r2e2e began\nand2e2e job a-key.service\n")
	io.WriteString(f.stdout(), "\r2e2e state "+newSystem+" -\n\r2e2e exit 0\nlater\n")
	o, err := f.result(nil)
	if err != nil || o.Exit != 0 || o.Killed != "" || !o.Active() {
		t.Errorf("got %+v, %v", o, err)
	}
	if want := []string{"1d exit 3", "exit 3", "", "unfinished", "and"}; !slices.Equal(lines, want) {
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
		{"the host cannot start it", "2e2e fail no such system\n", exited(1), ErrHost, "no such system"},
		{"lost before a report", "", lost, ErrGoesOn, "if the activation had started, it continues"},
		{"lost after the start", "2e2e launch\n", lost, ErrGoesOn, "if the activation had started, it continues"},
		{"lost while it runs", "2e2e launch\n2e2e began\n", lost, ErrGoesOn, "lost; the activation continues on the host as colmena-go-activate-1d.service"},
		{"lost while it runs without a unit", "2e2e launch\n2e2e detached x\n2e2e began\n", lost, ErrGoesOn, "continues on the host: see /run/colmena-go/activate-1d/log"},
		{"the follower was killed", "2e2e launch\n2e2e began\n", exited(137), ErrGoesOn, "/run/colmena-go/activate-1d/log"},
		{"another one runs", "2e2e began\n2e2e busy activate-0c\n", nil, ErrBusy, "/run/colmena-go/activate-0c/log"},
		{"no profile", "2e2e began\n2e2e profile 1\n", nil, ErrProfile, "nix-env ended with 1"},
		{"the shell runs nothing", "", fmt.Errorf("%w: hm", hostscript.ErrShell), ErrHost, "does not run commands: hm"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := heard("", c.stderr, c.runErr, Hooks{})
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want %v with %q", err, c.is, c.text)
			}
			if o.TookEffect() || o.Request.Goal != "" {
				t.Errorf("an outcome without an exit status: %+v", o)
			}
			if errors.Is(c.runErr, lost) && !errors.Is(err, lost) {
				t.Errorf("the Runner's error is not in the chain of %v", err)
			}
		})
	}
}

// The first line that the activation prints may overtake the report that it runs.
func TestWhatPrintsHasBegun(t *testing.T) {
	for _, c := range []struct {
		name, before, stdout string
		begun                bool
	}{
		{"a line", "2e2e launch\n", "stopping units\n", true},
		{"a line without its end", "2e2e launch\n", "stopping", true},
		{"nothing", "2e2e launch\n", "", false},
		{"a login shell's greeting", "", "welcome\n", false},
	} {
		f := newFollower("1d", "2e2e", Request{}, Hooks{})
		io.WriteString(f.stdout(), c.before+c.stdout)
		_, err := f.result(errors.New("lost"))
		var d *Detached
		if !errors.As(err, &d) || d.Begun != c.begun {
			t.Errorf("%s: %v, want one that says begun is %t", c.name, err, c.begun)
		}
	}
}

func TestTheLastReportCountsEvenWhenTheConnectionBreaksAfterIt(t *testing.T) {
	o, err := heard("", "2e2e began\n2e2e exit 0\n", errors.New("lost"), Hooks{})
	if err != nil || o.Exit != 0 {
		t.Errorf("got %+v, %v", o, err)
	}
}

func TestNothingIsCalledAfterTheResult(t *testing.T) {
	f := newFollower("1d", "2e2e", Request{}, Hooks{Output: func(line string) { t.Errorf("called with %q", line) }})
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

// mute is a host that starts an activation and then says nothing any more.
type mute struct{ alive int }

func (m *mute) Run(ctx context.Context, command string, stdin io.Reader, stdout, _ io.Writer) error {
	mark, _, _ := strings.Cut(strings.TrimPrefix(command, "sh -c 'echo "), ";")
	io.WriteString(stdout, strings.ReplaceAll(mark, `""`, "")+"\n")
	var length, size int
	fmt.Sscanf(command[strings.Index(command, "head"):], "head -c %d", &length)
	io.CopyN(io.Discard, stdin, int64(length))
	fmt.Fscanf(stdin, "%d\n", &size)
	list := make([]byte, size)
	io.ReadFull(stdin, list)
	word := strings.Split(string(list), "\n")[2]
	fmt.Fprintf(stdout, "%s launch\n%[1]s began\n", word)
	for range m.alive {
		time.Sleep(100 * time.Millisecond)
		fmt.Fprintf(stdout, "%s alive\n", word)
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

func TestAHostThatFallsSilentIsGivenUpAndOneThatIsAliveIsNot(t *testing.T) {
	before := aliveLimit
	aliveLimit = 400 * time.Millisecond
	defer func() { aliveLimit = before }()
	for _, alive := range []int{0, 12} {
		begin := time.Now()
		_, err := Run(t.Context(), &mute{alive}, Request{Goal: hive.Test, Toplevel: newSystem}, Hooks{})
		if !errors.Is(err, ErrGoesOn) || !errors.Is(err, errSilent) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(begin); took < time.Duration(alive)*100*time.Millisecond || took > 20*time.Second {
			t.Errorf("alive %d times, it was given up after %v", alive, took)
		}
	}
}
