// Package activation runs switch-to-configuration on one host. The program runs
// in a systemd unit of its own, so that it outlives a dropped connection and a
// killed deployer; this package starts it, follows it live and tells how it
// ended. host/ is the half that runs there, unit/ what runs in the unit that it starts.
package activation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
)

// Request is one activation on one host.
type Request struct {
	Goal     hive.Goal // one that activates: switch, boot, test or dry-activate
	Toplevel string    // store path of the system, valid on the host
	WaitFor  []string  // units of the keys that are uploaded only after activation
	Keyless  bool      // no key is uploaded in this run, before or after
}

// Hooks are called while the activation runs, one at a time. They must not
// block for long: the host's output waits for them. Each may be nil.
type Hooks struct {
	// Output gets each line the activation prints, without its end: a newline
	// or, for progress displays, a carriage return. Very long lines come in
	// pieces. The bytes are the program's own and need not be UTF-8.
	Output func(line string)
	// Note gets what the user should know about how the activation runs.
	Note func(text string)
	// KeyWanted is called at most once, when a job that starts one of WaitFor
	// is waiting: the activation will not end before that key is there.
	KeyWanted func(unit string)
}

// Errors that callers tell apart with errors.Is.
var (
	// ErrGoesOn: the connection, or the patience of ctx, ended before the
	// activation did. It goes on; a [*Detached] in the error's chain says where.
	ErrGoesOn = errors.New("the activation goes on without us")
	// ErrBusy: another activation by colmena-go runs on the host. Nothing was changed.
	ErrBusy = errors.New("another activation is under way on this host")
	// ErrProfile: the system profile could not be set. Nothing was activated.
	ErrProfile = errors.New("the system profile could not be set")
	// ErrKilled: the activation was killed and left no exit status. Only an
	// [Outcome]'s Err is one.
	ErrKilled = errors.New("the activation was killed on the host and may be half done: activate again")
	// ErrHost: the host could not start the activation. Nothing was changed.
	ErrHost = errors.New("the activation could not be started")
	// ErrNotBegun: the host, asked for an activation that may have gone on without us, has
	// not begun it. It may be begun again.
	ErrNotBegun = errors.New("the activation had not begun")
	// ErrForgotten: the host knows no more of an activation that it had begun.
	ErrForgotten = errors.New("the host knows nothing of the activation any more, as after a reboot: it may be half done")
)

// Detached tells where an activation goes on that is no longer followed.
type Detached struct {
	Unit  string // on the host; "" when systemd-run does not work there
	Log   string // what it prints: a path on the host, readable by root
	Begun bool   // false: the host had not confirmed the start, it may not run at all
	Cause error  // why it is no longer followed

	left *follower
}

// Error says what goes on and where to look.
func (d *Detached) Error() string {
	what, where := "the activation continues on the host", ""
	if !d.Begun {
		what = "if the activation had started, it continues on the host"
	}
	if d.Unit != "" {
		where = " as " + d.Unit
	}
	return fmt.Sprintf("%v; %s%s: see %s there", d.Cause, what, where, d.Log)
}

// Unwrap makes errors.Is see [ErrGoesOn] and the cause.
func (d *Detached) Unwrap() []error { return []error{ErrGoesOn, d.Cause} }

// safePath: what Nix allows in the name of a store path, and the way there.
// Such a path needs no quoting anywhere.
var safePath = regexp.MustCompile(`^(/[A-Za-z0-9+._?=-]+)+$`)

// Run sets the system profile (goals switch and boot) and runs the toplevel's
// switch-to-configuration. Unless the error is nil the Outcome is the zero one;
// an exit status other than 0, or none, is not an error here.
func Run(ctx context.Context, host hostscript.Runner, req Request, hooks Hooks) (Outcome, error) {
	if !req.Goal.Activates() {
		return Outcome{}, fmt.Errorf("goal %q activates nothing", req.Goal)
	}
	if !safePath.MatchString(req.Toplevel) {
		return Outcome{}, fmt.Errorf("%q is not the path of a system in the Nix store", req.Toplevel)
	}
	return newFollower(hostscript.ID(), hostscript.ID(), req, hooks).run(ctx, host)
}

// Follow follows an activation that went on without us, over another connection to its
// host, from where it was left, and returns as Run does. It changes nothing there. It
// fails with [ErrNotBegun] or [ErrForgotten], or as before with [ErrGoesOn].
func Follow(ctx context.Context, host hostscript.Runner, d *Detached, hooks Hooks) (Outcome, error) {
	left := d.left
	f := newFollower(left.id, hostscript.ID(), left.req, hooks)
	f.again, f.asked, f.begun, f.detached, f.warned = true, left.asked, left.begun, left.detached, left.warned
	f.known = left.told()
	return f.run(ctx, host)
}

// run starts the activation, or joins it again, and follows it to its end.
func (f *follower) run(ctx context.Context, host hostscript.Runner) (Outcome, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stdinR, stdinW := io.Pipe()
	f.ended = func() { // the host may forget now, and has nothing more to do
		go crash.Guarded(func() { stdinW.Write([]byte("done\n")) })()
		time.AfterFunc(endLimit, func() { cancel(errEnd) })
	}
	f.tooLate = time.AfterFunc(startLimit, func() { cancel(errStart) })
	defer f.tooLate.Stop()
	f.silence = time.AfterFunc(aliveLimit, func() { cancel(errSilent) })
	defer f.silence.Stop()
	asking := startAsking(ctx, stdinW)
	input := io.MultiReader(bytes.NewReader(f.list()), stdinR)

	err := hostscript.Run(ctx, host, hostscript.Call{
		Script: hostScript, Stdin: input, Stdout: f.stdout(), Stderr: f.stderr(),
	})
	stdinR.Close()
	stdinW.Close()
	cancel(nil)
	asking.Wait()
	return f.result(err)
}

// startAsking asks the host every pulse whether it is alive, until ctx is done or
// nobody reads it any more.
func startAsking(ctx context.Context, host io.Writer) *sync.WaitGroup {
	var asking sync.WaitGroup
	asking.Go(crash.Guarded(func() {
		ticker := time.NewTicker(pulse)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if _, err := io.WriteString(host, "alive\n"); err != nil {
				return
			}
		}
	}))
	return &asking
}

// How long a host may take to start an activation that it was told to start, and
// to end its half when it has told how the activation ended.
var (
	startLimit = 3 * time.Minute
	endLimit   = 40 * time.Second
)

// A host is asked every pulse whether it is alive, and given up when it does not say so.
var (
	pulse      = 30 * time.Second
	aliveLimit = 5 * time.Minute
)

var (
	errStart  = fmt.Errorf("the host does not say within %s that the activation runs", startLimit)
	errEnd    = errors.New("the host has told the end and does not stop")
	errSilent = fmt.Errorf("the host has said nothing for %s, not even that it is alive", aliveLimit)
)

// list is what the host's half reads behind itself.
func (f *follower) list() []byte {
	profile, keys, since := "0", "1", "-"
	if f.req.Goal.SetsProfile() {
		profile = "1"
	}
	if f.req.Keyless {
		keys = "0"
	}
	if f.again {
		since = strconv.FormatInt(f.known, 10)
		if f.detached {
			since += "d"
		}
	}
	return hostscript.List(append([]string{f.id, f.mark, string(f.req.Goal), profile, f.req.Toplevel, keys, since}, f.req.WaitFor...)...)
}
