// Package nixeval evaluates hives, and tells what is wrong with one that cannot be,
// without what may be a secret. The texts of keys come through the pipe of Nix and go
// to nobody but the caller.
package nixeval

import (
	"context"
	"errors"
	"sync"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nix"
)

// Request is what a command wants of a hive.
type Request struct {
	Selector hive.Selector
	Toplevel bool // evaluate each node's system
	Keys     bool // evaluate the texts of keys
	Guarded  bool // without a selector, evaluate no node unless meta.allowApplyAll
	Announce bool // tell how to reach each node before its system is evaluated
}

// Room is what Nix's garbage collector may take in one process, in bytes.
type Room struct {
	Heap   int64 // to begin with; 0 leaves it alone
	Memory int64 // in use or free, at most; 0 is no limit
}

// Part is what one process evaluates of a request.
type Part struct {
	Request
	Only    []string // the nodes, which the hive is known to have; nil: those that the request selects
	Most    int      // the first so many of them; 0: only the head is told
	Without []string // nodes that are not looked at, nor selected
	Room
	// Texts: the texts of a flake's keys are wanted, and may come at the end.
	Texts bool
}

// Hooks are told what an evaluating process does, by one goroutine at a time. Each
// may be nil.
type Hooks struct {
	Started func(pid int)
	// Head gets a text for [hive.DecodeHead], before anything of a node.
	Head func(text []byte)
	// Announced gets a text for [hive.DecodeTarget], without secrets.
	Announced func(text []byte)
	Begun     func(node string)
	// Said is told what the hive says on the way, which is logged.
	Said func(Word)
	// Done gets a text for [hive.DecodeNode] of each node in turn. It may hold
	// secrets, but the texts of a flake's keys only if the part says so.
	Done func(text []byte)
}

// Word is what a hive says while it is evaluated, without logins: a warning
// (lib.warn, config.warnings) or a trace.
type Word struct {
	Node    string `json:",omitempty"` // "" outside of nodes
	Warning bool   `json:",omitempty"`
	Text    string
}

// Errors that callers tell apart with errors.Is.
var (
	// ErrEval: Nix could not evaluate the hive; the error is an [*EvalError].
	ErrEval = errors.New("the hive cannot be evaluated")
	// ErrNoOutput: the flake has none of the outputs that can be deployed.
	ErrNoOutput = errors.New("the flake has no hive")
	// ErrKilled: the process was ended by a signal that we did not send.
	ErrKilled = errors.New("the evaluation was killed")
	// ErrMemory: what is evaluated needs more memory than the part may take.
	ErrMemory = errors.New("the evaluation needs more memory than it may take")
	// ErrEnough is the cause of the end of a context whose process is killed at once.
	ErrEnough = nix.ErrEnough
)

// Tool is the Nix that evaluates, and how.
type Tool struct {
	nix.Tool
	ShowTrace bool // errors are Nix's, whole, whatever they show
	Impure    bool // a flake may use what is no part of it
}

// Evaluator evaluates one source, in as many processes as it is asked to. The
// first must have told its head before the next begins.
type Evaluator struct {
	tool   Tool
	source Source

	said  said    // in all processes
	again journal // of what [Evaluator.Say] tells

	askSettings sync.Once
	settings    func() map[string]nix.Setting // waits for them; set by [Evaluator.Identity]

	mu    sync.Mutex
	found *found // of a flake; nil until it is known
}

// New returns an Evaluator of the source.
func New(tool Tool, source Source) *Evaluator {
	return &Evaluator{tool: tool, source: source, said: said{log: tool.Log}}
}

// Warn ends an evaluation: it logs its warnings that were not logged yet, equal ones
// together, each with its nodes. A warning is logged half a second after it first came.
func (e *Evaluator) Warn() { e.said.warn(left) }

// Say logs a word as if an evaluation had said it now.
func (e *Evaluator) Say(word Word) { e.said.tell(&e.again, word.level(), word.Node, word.Text) }

// Run evaluates a part in one process (and in one for every output that a flake
// turns out not to have). It fails with [nix.ErrNoNix], [ErrEval], [ErrNoOutput],
// [ErrKilled] or [ErrMemory], or with a [*hive.Problem] for a key's text that is not UTF-8; what
// was told before holds. No error shows a key's content.
func (e *Evaluator) Run(ctx context.Context, part Part, hooks Hooks) error {
	if e.source.File != "" {
		return e.newProcess(part, hooks).file(ctx)
	}
	return e.flake(ctx, part, hooks)
}
