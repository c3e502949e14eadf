package nixeval

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	nixfiles "github.com/colmena-go/colmena-go/nix"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nix"
)

// process is one that evaluates.
type process struct {
	tool   Tool
	source Source
	said   *said
	part   Part
	token  string // in its traces, and nowhere else

	own *ownText // the user's expression, in place of the part; or nil

	mu    sync.Mutex // what it prints comes through two pipes
	hooks Hooks
}

func (e *Evaluator) newProcess(part Part, hooks Hooks) *process {
	return &process{tool: e.tool, source: e.source, said: &e.said, part: part, token: rand.Text(), hooks: hooks}
}

// The forms in which nix/select.nix gives what it is asked for.
const (
	inLines  = "lines"  // an attribute each
	inTraces = "traces" // on standard error
	atTheEnd = "whole"
)

// wish is an expression for a part of a hive in a form; both name what the
// expression around it defines.
func (p *process) wish(form string) string {
	return fmt.Sprintf("(c.select { patterns = %s; toplevel = %t; keys = %t; guarded = %t; without = %s; only = %s; most = %d; announce = %t; token = %s; } hive).%s",
		inJSON(append([]hive.Pattern{}, p.part.Selector.Patterns...)), p.part.Toplevel, p.part.Keys, p.part.Guarded,
		inJSON(append([]string{}, p.part.Without...)), inJSON(p.part.Only), p.part.Most, p.part.Announce, nixfiles.Quote(p.token), form)
}

// inJSON is a value in a form that Nix can read.
func inJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // not of strings and booleans
	}
	return "(builtins.fromJSON " + nixfiles.Quote(string(text)) + ")"
}

// file evaluates a hive.nix with nix-instantiate, which prints the attributes
// it is asked for one by one: as strings of Nix, each of which is a line, where
// JSON would come together when a block is full (2.8).
func (p *process) file(ctx context.Context) error {
	wanted := []string{"-A", "head"}
	for i := range p.count() {
		wanted = append(wanted, "-A", "n"+strconv.Itoa(i))
	}
	head := true
	expr := fmt.Sprintf("let c = %s; hive = c.makeHive { hermetic = false; } (import %s); in %s",
		nixfiles.Expression(), nixfiles.Quote(p.source.File), p.wish(inLines))
	args := append(p.options(), "--eval", "--strict", "--read-write-mode", "--expr", expr)
	return p.run(ctx, p.tool.Command(ctx, "nix-instantiate", append(args, wanted...)...), func(line []byte) error {
		text, err := unquoted(line)
		switch {
		case err != nil:
			return err
		case head:
			head = false
			p.tell(p.hooks.Head, text)
		case string(text) != "null": // which is said of more nodes than there are
			p.tell(p.hooks.Done, text)
		}
		return nil
	})
}

// count is how many nodes may come.
func (p *process) count() int {
	if p.part.Only != nil {
		return min(len(p.part.Only), p.part.Most)
	}
	return p.part.Most
}

// tell tells a hook.
func (p *process) tell(hook func(text []byte), text []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if hook != nil {
		hook(text)
	}
}

// traced takes what select.nix tells in a trace.
func (p *process) traced(what, text string) {
	switch what {
	case "at":
		var node *string
		if json.Unmarshal([]byte(text), &node) == nil && node != nil && p.hooks.Begun != nil {
			p.tell(func(name []byte) { p.hooks.Begun(string(name)) }, []byte(*node))
		}
	case "node":
		p.tell(p.hooks.Announced, []byte(text))
	case "head", "done":
		var inside string // a string as a value of a trace is one in JSON
		if json.Unmarshal([]byte(text), &inside) != nil {
			return
		}
		if what == "head" {
			p.tell(p.hooks.Head, []byte(inside))
		} else {
			p.tell(p.hooks.Done, []byte(inside))
		}
	}
}

func (p *process) heard(word Word) {
	if p.hooks.Said != nil {
		p.tell(func([]byte) { p.hooks.Said(word) }, nil)
	}
}

// options are those of every evaluation. The trace is always asked for, since it
// names the node. Processes that run at once and build do not wait for each other long.
func (p *process) options() []string {
	return append([]string{"--show-trace", "--log-format", "internal-json"}, p.tool.BuildArgs()...)
}

// run runs a program that prints lines. What it says on the way, such as traces
// and warnings, is logged at once, and kept to explain a failure.
func (p *process) run(ctx context.Context, cmd *exec.Cmd, line func(line []byte) error) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	cmd.Env = p.part.environment()
	cmd.WaitDelay = killGrace
	out := &longLines{each: func(text []byte) {
		if err := line(text); err != nil {
			giveUp(err)
		}
	}}
	cmd.Stdout = out
	journal := &journal{said: p.said, trace: p.tool.ShowTrace, token: p.token, traced: p.traced, heard: p.heard, expression: p.own}
	err := p.tool.RunAs(ctx, cmd, &nix.LineWriter{Emit: journal.line, Most: longestTrace}, p.hooks.Started)
	var exit *exec.ExitError
	switch {
	case err == nil && len(out.rest) > 0: // of one that failed, it may be torn
		out.each(out.rest)
		err = context.Cause(ctx)
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	if !errors.As(err, &exit) {
		return err
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() && journal.last == nil {
		return fmt.Errorf("%w by signal %d (%s)", ErrKilled, status.Signal(), status.Signal())
	}
	if journal.noMemory && journal.last == nil {
		return ErrMemory
	}
	about := p.source.surroundings()
	about.read = p.own.read
	return journal.failure(about)
}

// killGrace is how long Nix may take to end after it was told to. An evaluation has
// nothing to lose, and some versions do not listen while they evaluate.
const killGrace = 300 * time.Millisecond

// longestTrace has room for a node with all that its keys have but for texts.
const longestTrace = 64 << 20

// environment is ours, with what the room is for Nix's garbage collector, unless the
// user has wishes of their own.
func (r Room) environment() []string {
	env := os.Environ()
	for _, limit := range []struct {
		name  string
		bytes int64
	}{{"GC_INITIAL_HEAP_SIZE", r.Heap}, {"GC_MAXIMUM_HEAP_SIZE", r.Memory}} {
		if limit.bytes > 0 && os.Getenv(limit.name) == "" {
			env = append(env, limit.name+"="+strconv.FormatInt(limit.bytes, 10))
		}
	}
	return env
}

// unquoted is the value of a string as Nix prints it.
func unquoted(line []byte) ([]byte, error) {
	text, begins := strings.CutPrefix(string(line), `"`)
	text, ends := strings.CutSuffix(text, `"`)
	if !begins || !ends {
		return nil, fmt.Errorf("%w: what Nix printed is not a string", ErrEval)
	}
	plain := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '\\' && i+1 < len(text) {
			i++
			switch c = text[i]; c {
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			}
		}
		plain = append(plain, c)
	}
	return plain, nil
}
