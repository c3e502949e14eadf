package activation

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/printable"
)

// follower reads what the host's half says: the activation's output and reports on stdout,
// and on stderr whatever sudo or the host's tools write there. The host may lie:
// each report counts once, what it may say besides output is bounded, and after
// the status there is nothing more to say.
type follower struct {
	id, mark string
	req      Request
	hooks    Hooks
	ended    func()      // called once, when the result is known
	tooLate  *time.Timer // ends what does not start
	silence  *time.Timer // ends what says nothing any more

	mu       sync.Mutex // stdout and stderr are written from two goroutines
	out      splitter
	err      splitter
	over     bool     // no hook may be called any more
	asked    bool     // the host was about to start the activation
	begun    bool     // it runs: the host says so, or it prints
	detached bool     // it has no unit
	wanted   bool     // a key was asked for
	warned   []string // failed units that switch-to-configuration named
	listed   []string // failed units that systemd named
	current  string   // the systems that the host has afterwards, "-" for none
	profile  string
	status   string   // the last report, "" until it came
	known    int64    // bytes of the log that another follower was told
	reported int64    // bytes of stdout that were reports
	again    bool     // it follows what another has started
	noise    []string // the last lines of stderr
	heard    int      // bytes of reports and of stderr so far
}

// What a host may say besides the activation's output: far more than any has to.
const (
	reportsSize = 256 << 10 // bytes
	mostUnits   = 100
	noiseLines  = 5
	saidSize    = 300 // bytes of a host's text within an error
)

var errTooMuch = errors.New("the host says too much")

func newFollower(id, mark string, req Request, hooks Hooks) *follower {
	f := &follower{id: id, mark: mark, req: req, hooks: hooks}
	f.out.line = f.line
	f.err.line = f.overhear
	return f
}

// stdout and stderr are what the Runner writes to.
func (f *follower) stdout() io.Writer { return stream{f, &f.out} }
func (f *follower) stderr() io.Writer { return stream{f, &f.err} }

type stream struct {
	*follower
	to *splitter
}

func (w stream) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over || w.status != "" {
		return len(p), nil
	}
	if w.silence != nil {
		w.silence.Reset(aliveLimit)
	}
	w.to.Write(p)
	if w.heard > reportsSize {
		return 0, errTooMuch
	}
	return len(p), nil
}

// line is told each line of stdout.
func (f *follower) line(text string) {
	before, report, ok := strings.Cut(text, f.mark+" ")
	switch {
	case f.status != "":
	case !ok:
		f.output(text)
	default:
		if before != "" {
			f.output(before)
		}
		f.heard += len(report)
		f.reported += int64(len("\r\n") + len(text) - len(before))
		f.report(report)
	}
}

// overhear is told each line of stderr.
func (f *follower) overhear(line string) {
	f.heard += len(line) + 1
	f.noise = append(f.noise, printable.Said(line, saidSize))
	f.noise = f.noise[max(0, len(f.noise)-noiseLines):]
}

// failedLine is how switch-to-configuration, both the Perl and the Rust one of
// nixpkgs, names the units whose failure makes it end with 4.
const failedLine = "warning: the following units failed: "

func (f *follower) output(line string) {
	// It may overtake the report that the activation runs.
	f.begun = f.begun || f.asked
	if names, ok := strings.CutPrefix(line, failedLine); ok {
		f.warned = strings.SplitN(strings.TrimSpace(names), ", ", mostUnits+1)
	}
	if f.hooks.Output != nil {
		f.hooks.Output(line)
	}
}

func (f *follower) report(report string) {
	word, rest, _ := strings.Cut(report, " ")
	switch word {
	case "launch":
		f.asked = true
	case "began":
		f.begun = true
		if f.tooLate != nil {
			f.tooLate.Stop()
		}
	case "detached":
		if f.hooks.Note != nil && !f.detached {
			f.hooks.Note("the activation runs without a systemd unit of its own (" + printable.Said(rest, saidSize) + "): nothing will tell if it is killed")
		}
		f.detached = true
	case "job":
		if f.hooks.KeyWanted != nil && !f.wanted && slices.Contains(f.req.WaitFor, rest) {
			f.hooks.KeyWanted(rest)
		}
		f.wanted = true
	case "failed":
		if len(f.listed) <= mostUnits {
			f.listed = append(f.listed, rest)
		}
	case "state":
		f.current, f.profile, _ = strings.Cut(rest, " ")
	case "exit", "busy", "profile", "killed", "fail", "gone":
		f.status = report
		f.ended()
	}
}

// result turns the last report, or its absence, into what Run returns.
func (f *follower) result(runErr error) (Outcome, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	word, rest, _ := strings.Cut(f.status, " ")
	if word != "" {
		f.out.flush()
	}
	// Otherwise the rest of a line is told when it is followed again.
	f.begun = f.begun || f.asked && len(f.out.buf) > 0
	f.err.flush()
	f.over = true
	switch word {
	case "":
		return Outcome{}, f.unfinished(runErr)
	case "exit":
		exit, err := strconv.Atoi(rest)
		if err != nil {
			return Outcome{}, fmt.Errorf("the host reported an unreadable exit status %q", printable.Said(rest, 20))
		}
		return f.outcome(exit), nil
	case "gone":
		if !f.asked {
			return Outcome{}, ErrNotBegun
		}
		return Outcome{}, fmt.Errorf("%w; %s", ErrForgotten, f.outcome(0).state())
	case "busy":
		return Outcome{}, fmt.Errorf("%w; let it end first (what it prints is in /run/colmena-go/%s/log there)", ErrBusy, printable.Said(rest, 40))
	case "profile":
		return Outcome{}, fmt.Errorf("%w: nix-env ended with %s; nothing was activated", ErrProfile, printable.Said(rest, 20))
	case "fail":
		if f.again && !f.begun {
			return Outcome{}, ErrNotBegun
		}
		return Outcome{}, fmt.Errorf("%w: %s%s", ErrHost, printable.Said(rest, saidSize), f.overheard())
	default:
		o := f.outcome(0)
		o.Killed = "journalctl -u " + f.unit()
		if f.detached {
			o.Killed = "the host's journal"
		}
		return o, nil
	}
}

// told is how many bytes of the log the hooks were told, whole lines.
func (f *follower) told() int64 { return f.known + f.out.whole - f.reported }

func (f *follower) unit() string { return "colmena-go-activate-" + f.id + ".service" }

func (f *follower) outcome(exit int) Outcome {
	o := Outcome{Request: f.req, Exit: exit, Current: systemPath(f.current), Profile: systemPath(f.profile)}
	if exit == 0 && o.asAsked() || exit == exitReboot {
		return o
	}
	units := f.warned
	if len(units) == 0 {
		units = f.listed
	}
	for _, unit := range units[:min(len(units), mostUnits)] {
		o.FailedUnits = append(o.FailedUnits, printable.Said(unit, 255))
	}
	slices.Sort(o.FailedUnits)
	if len(units) > mostUnits {
		o.FailedUnits = append(o.FailedUnits, "and more")
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
	case refused && !f.asked && !f.again:
		return fmt.Errorf("%w: %w%s", ErrHost, runErr, f.overheard())
	case errors.Is(runErr, hostscript.ErrShell) && !f.again:
		return fmt.Errorf("%w: %w", ErrHost, runErr)
	}
	d := &Detached{Log: "/run/colmena-go/activate-" + f.id + "/log", Begun: f.begun, Cause: runErr, left: f}
	if !f.detached {
		d.Unit = f.unit()
	}
	return d
}

func (f *follower) overheard() string {
	if len(f.noise) == 0 {
		return ""
	}
	return "; the host says: " + strings.Join(f.noise, "; ")
}
