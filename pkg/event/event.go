// Package event is what a deployment says while it runs and at its end: one stream
// of events, which [Sink]s show, log or keep.
package event

import (
	"time"

	"github.com/colmena-go/colmena-go/pkg/plan"
)

// Event is something that happened. Text never holds a secret or a digest of one,
// unless Kind is Private.
type Event struct {
	Time time.Time
	Node string // "" for a Diagnostic or Debug
	Step plan.StepKind
	Kind Kind
	Text string
	// Stream is which of its streams a user's own command printed an Output on; "" of
	// other programs.
	Stream Stream
	// How far it is: of a copy, bytes that were sent, of how many in how many paths;
	// of a build, derivations that were built. 0 where nothing is counted.
	Done, Total int64
	Paths       int
	// Status is how the step ended, and Err why it failed; "" and nil unless Kind is Over.
	Status Status
	Err    error
	// Result is how the node ended; nil unless Kind is End.
	Result *Result
	// Builds is how far all builds are; nil unless Kind is Building.
	Builds *Builds
}

// Builds is how far the builds of all nodes are.
type Builds struct {
	Done, Failed int
	Expected     int    // as far as is known, those that are done or failed among them
	Running      []Work // the oldest first
}

// Work is something that is being built.
type Work struct {
	Name  string
	Since time.Time
}

// Stream is one of a program's.
type Stream string

// The streams of a program.
const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// Silent reports whether nothing is to be shown of the event to people. What a command
// prints on its standard output is shown as that, or told to programs.
func (e Event) Silent() bool {
	switch e.Kind {
	case Wait, Over, Progress, Building:
		return true
	case Output:
		return e.Stream == Stdout
	case Begin, End:
		return e.Text == ""
	}
	return false
}

// Kind says what an Event's Text is.
type Kind int

// The kinds of events.
const (
	Begin      Kind = iota // a step begins, or goes on otherwise; Text says what, "" if that is not worth a line
	Output                 // one line of a program's output
	Private                // a line that may be a secret: for the terminal, and no log
	Note                   // worth telling even without --verbose
	Warn                   // a warning
	End                    // the node is finished; Text says how
	Progress               // a step goes on; Done and Total say how far it is, or Text what it does now
	Still                  // a step takes long, for who sees no live view
	Wait                   // a step is to begin, and waits; Text says for what
	Over                   // a step ended; Status says how
	Building               // builds go on; Builds says how far they are
	Diagnostic             // what concerns the run: an entry of a log, as zerolog writes it
	Debug                  // the same for who looks for a fault: it may be lost
)

// Sink receives events from many goroutines. It must not block for long: the
// hosts wait for it.
type Sink interface{ Emit(Event) }
