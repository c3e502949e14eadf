package activation

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// follower reads what host.sh says: the activation's output on stdout, and on
// stderr reports among whatever a login shell or sudo writes there.
type follower struct {
	id    string
	hooks Hooks
	ended func() // called once, when the result is known

	mu       sync.Mutex // stdout and stderr are written from two goroutines
	out      splitter
	err      splitter
	over     bool     // no hook may be called any more
	asked    bool     // the host was about to start the activation
	begun    bool     // it runs: the host says so, or it prints
	detached bool     // it has no unit
	warned   []string // failed units that switch-to-configuration named
	listed   []string // failed units that systemd named
	status   string   // the last report, "" until it came
	noise    []string // the last lines of stderr that are no reports
}

func newFollower(id string, hooks Hooks) *follower {
	f := &follower{id: id, hooks: hooks}
	f.out.line = f.output
	f.err.line = f.report
	return f
}

// stdout and stderr are what the Runner writes to.
func (f *follower) stdout() io.Writer { return stream{f, &f.out} }
func (f *follower) stderr() io.Writer { return stream{f, &f.err} }

type stream struct {
	f *follower
	s *splitter
}

func (w stream) Write(p []byte) (int, error) {
	w.f.mu.Lock()
	defer w.f.mu.Unlock()
	if w.f.over {
		return len(p), nil
	}
	return w.s.Write(p)
}

// failedLine is how switch-to-configuration, both the Perl and the Rust one of
// nixpkgs, names the units whose failure makes it end with 4.
const failedLine = "warning: the following units failed: "

func (f *follower) output(line string) {
	// It may overtake the report that the activation runs. What a login shell
	// says comes even before the report that it is about to be started.
	f.begun = f.begun || f.asked
	if names, ok := strings.CutPrefix(line, failedLine); ok {
		f.warned = strings.Split(strings.TrimSpace(names), ", ")
	}
	if f.hooks.Output != nil {
		f.hooks.Output(line)
	}
}

func (f *follower) report(line string) {
	_, report, ok := strings.Cut(line, f.id+" ")
	if !ok {
		f.noise = append(f.noise, line)
		f.noise = f.noise[max(0, len(f.noise)-5):]
		return
	}
	word, rest, _ := strings.Cut(report, " ")
	switch word {
	case "launch":
		f.asked = true
	case "began":
		f.begun = true
	case "detached":
		f.detached = true
		if f.hooks.Note != nil {
			f.hooks.Note("the activation runs without a systemd unit of its own (" + rest + "): nothing will tell if it is killed")
		}
	case "job":
		if f.hooks.KeyWanted != nil {
			f.hooks.KeyWanted(rest)
		}
	case "failed":
		f.listed = append(f.listed, rest)
	case "exit", "busy", "profile", "killed", "fail":
		f.status = report
		f.ended()
	}
}

// result turns the last report, or its absence, into what Run returns.
func (f *follower) result(runErr error) (Outcome, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.out.flush()
	f.err.flush()
	f.over = true
	word, rest, _ := strings.Cut(f.status, " ")
	switch word {
	case "":
		return Outcome{}, f.unfinished(runErr)
	case "exit":
		exit, err := strconv.Atoi(rest)
		if err != nil {
			return Outcome{}, fmt.Errorf("the host reported an unreadable exit status %q", rest)
		}
		return f.outcome(exit), nil
	case "busy":
		return Outcome{}, fmt.Errorf("%w; let it end first (what it prints is in /run/colmena-go/%s/log there)", ErrBusy, rest)
	case "profile":
		return Outcome{}, fmt.Errorf("%w: nix-env ended with %s; nothing was activated", ErrProfile, rest)
	case "fail":
		return Outcome{}, fmt.Errorf("%w: %s%s", ErrHost, rest, f.heard())
	default:
		if f.detached {
			return Outcome{}, ErrKilled
		}
		return Outcome{}, fmt.Errorf("%w (journalctl -u %s says more)", ErrKilled, f.unit())
	}
}

func (f *follower) unit() string { return "colmena-go-activate-" + f.id + ".service" }

func (f *follower) outcome(exit int) Outcome {
	o := Outcome{Status: statusOf(exit), Exit: exit}
	if o.Status == SwitchedWithFailures {
		o.FailedUnits = f.warned
		if len(o.FailedUnits) == 0 {
			o.FailedUnits = f.listed
		}
		slices.Sort(o.FailedUnits)
	}
	return o
}

// unfinished: the command ended before the host told how the activation did.
func (f *follower) unfinished(runErr error) error {
	var exit interface{ ExitStatus() int }
	refused := errors.As(runErr, &exit) // the shell itself ended, so nothing was lost on the way
	switch {
	case runErr == nil:
		runErr = errors.New("the host stopped reporting")
	case refused && !f.asked:
		return fmt.Errorf("%w: %w%s", ErrHost, runErr, f.heard())
	}
	d := &Detached{Log: "/run/colmena-go/activate-" + f.id + "/log", Begun: f.begun, Cause: runErr}
	if !f.detached {
		d.Unit = f.unit()
	}
	return d
}

func (f *follower) heard() string {
	if len(f.noise) == 0 {
		return ""
	}
	return "; the host says: " + strings.Join(f.noise, "; ")
}
