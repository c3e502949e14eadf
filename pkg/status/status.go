// Package status asks a host what it is like, in one question that changes nothing there:
// which systems it runs, booted and will boot, since when, which units have failed, and
// what is to be seen of files without reading them. host.sh is the half that runs there.
package status

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
)

//go:embed host.sh
var hostScript []byte

// State is what a host says of itself. Nothing in it is more than a line of printable
// text, and no list is longer than makes sense.
type State struct {
	Now     time.Time      // by the host's clock
	Current closure.System // what runs; its Path is "" where there is none
	Booted  closure.System // what was booted
	Next    closure.System // what boots next, as the system profile says

	CurrentSince, BootedSince time.Time             // when they were activated and booted; zero if not known
	Generations               map[string]Generation // of Current and Next, by path: the newest of each; those only that have one
	Profile                   string                // the link of the profile: system-42-link

	Running string   // what systemd says of the whole: running, degraded, starting, …
	Failed  []string // units, the first of them
	Units   int      // how many have failed

	Files map[string]File // by path: those asked about that are there
}

// Generation is one of the system profile.
type Generation struct {
	Number int
	Made   time.Time
}

// File is what is at a path, as seen without following a link there.
type File struct {
	Regular     bool
	Mode        uint32 // permission bits
	UID, GID    int
	User, Group string // names; UNKNOWN where there is none
}

// ErrUnclear: what the host says makes no sense.
var ErrUnclear = errors.New("the host gave an answer that cannot be understood")

// askLimit is how long a host may take for its answer.
const askLimit = time.Minute

var errNoAnswer = fmt.Errorf("the host did not answer within %s", askLimit)

// Bounds of an answer, in bytes.
const (
	mostAround = 64 << 10
	mostOfFile = 200 // besides its path
)

// Ask asks a host for its State, with what is to be seen of files. It fails with what
// keeps the host from answering, or [ErrUnclear].
func Ask(ctx context.Context, host hostscript.Runner, files []string) (State, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, askLimit, errNoAnswer)
	defer cancel()
	out := answer{room: mostAround}
	for _, path := range files {
		out.room += len(path) + mostOfFile
	}
	err := hostscript.Run(ctx, host, hostscript.Call{
		Script: hostScript, Limit: askLimit, Stdin: bytes.NewReader(hostscript.List(files...)), Stdout: &out,
	})
	state := State{}
	if err == nil {
		state, err = parse(out.text.String(), files)
	}
	if err != nil {
		return State{}, fmt.Errorf("asking the host what it is like: %w", err)
	}
	return state, nil
}

// answer is a text that a host cannot make too long.
type answer struct {
	text bytes.Buffer
	room int
}

func (a *answer) Write(p []byte) (int, error) {
	if a.text.Len()+len(p) > a.room {
		return 0, errors.New("the host says more than it was asked")
	}
	return a.text.Write(p)
}

// RebootReason says for people why the host wants a reboot: what it would boot differs
// from what it booted in the kernel and the like. "" where it wants none, or that is not known.
func (s State) RebootReason() string {
	return closure.RebootReason(s.Booted, s.Next)
}

// RebootParts are those parts.
func (s State) RebootParts() []string { return closure.RebootParts(s.Booted, s.Next) }

// Generation is the number of the system's newest generation, 0 for none, and when it was made.
func (s State) Generation(system closure.System) Generation { return s.Generations[system.Path] }
