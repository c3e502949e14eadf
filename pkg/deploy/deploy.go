// Package deploy takes nodes to a goal, all at once and none waiting for
// another: it does the steps that pkg/plan lists, and decides nothing. How a
// step is done is the business of the packages it calls and of [Tools].
package deploy

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// Host is one open connection to a node's host; pkg/remote's Host is one.
type Host interface {
	hostscript.Runner
	Close() error
}

// Store is the store of a host, in one session; pkg/nixbuild's HostStore is one. It is
// for one goroutine.
type Store interface {
	// Lacks tells which of the paths the store does not have.
	Lacks(paths []string) ([]string, error)
	// Fetch has the host get what it can of the paths from its own substituters, and
	// tells what it lacked before, and what it lacks still.
	Fetch(paths []string) (lacked, lacks []string, err error)
	// Add copies paths of this machine there, and tells of each when its turn comes, and
	// of bytes on their way.
	Add(paths []string, begin func(path string), sent func(bytes int)) error
	// Give is Add of paths of which it is not known whether the store has them, and tells
	// which it lacked.
	Give(paths []string, begin func(path string), sent func(bytes int)) (lacked []string, err error)
	// Close ends the session; what was added stays.
	Close()
}

// Tools are what a deployment works with on this machine.
type Tools struct {
	// Open connects to the node's host and tells what is worth knowing of that.
	Open func(ctx context.Context, node hive.Node, note func(text string)) (Host, error)
	// Refused reports whether an error of Open, or a host's, says that the host is not the
	// one we may trust: then it is not tried again. It may be nil.
	Refused func(err error) bool
	// Vain reports whether an error of Open is one that further attempts do not mend, and
	// that may lock an account with them: a password is refused, or was not given. Then it
	// is not tried again. It may be nil.
	Vain func(err error) bool
	// Lost reports whether an error of a host's says that its connection was lost: then
	// Open is asked for another one, and what may be done again is. It may be nil.
	Lost func(err error) bool
	// WaitsFor is what a node's connection waits for beside the host, such as somebody's
	// answer, for which no limit of ours holds; "" for nothing. It may be nil.
	WaitsFor func(node hive.Node) string
	// Build realises the node's toplevel.
	Build func(ctx context.Context, node hive.Node, output func(line string)) error
	// BuildWaitsFor says what a node's build waits for, "" if that is not known. It may be nil.
	BuildWaitsFor func(node hive.Node) string
	// Built is how many derivations were built for the node's toplevel, here or there. It
	// may be nil.
	Built func(node hive.Node) int
	// BuildThere has the host realise the node's toplevel, whose derivation it has.
	BuildThere func(ctx context.Context, host Host, node hive.Node, output func(line string)) error
	// Closure is what a store path needs, itself among it, with the size of each in bytes.
	Closure func(ctx context.Context, path string) (map[string]int64, error)
	// Store begins to talk to the host's store, and has the host keep the roots, there or
	// yet to come, until Release. output is told what Nix there says.
	Store   func(ctx context.Context, host Host, roots []string, output func(line string)) Store
	Release func(ctx context.Context, host Host, roots []string) error
	// ToCache returns when the cache has the closure of the node's toplevel, and
	// FromCache when the host has fetched it from there. Whatever fails of that is copied
	// directly. They may be nil where no cache is wanted.
	ToCache   func(ctx context.Context, node hive.Node, output func(line string)) error
	FromCache func(ctx context.Context, host Host, node hive.Node, output func(line string)) error
	// AskStore asks a host's store. It may be nil without dry runs and Compare.
	AskStore func(ctx context.Context, host Host, question closure.Question) (closure.Answer, error)
	// Exec runs the user's own command on the host and returns the status with which it
	// ended. It may be nil where there is none.
	Exec func(ctx context.Context, host Host, node hive.Node) (status int, err error)
	// Look asks the host what the goals diff and status are about. It may be nil for others.
	Look func(ctx context.Context, host Host, node hive.Node) error
	// Known reports whether a store path is valid on this machine.
	Known func(ctx context.Context, path string) (bool, error)
	// CheckSources tells which keys of the node can have no content, and runs nothing.
	CheckSources func(ctx context.Context, node hive.Node) error
	// Resolve returns the content of every key of the node, by attribute name.
	Resolve func(ctx context.Context, node hive.Node, warn func(text string)) (map[string]secret.Secret, error)
}

// Options is what a deployment is asked to do.
type Options struct {
	plan.Want
	Schedule                    Schedule
	Compare                     bool // find out in which packages systems that are copied differ from those that hosts run
	ForceReplaceUnknownProfiles bool
	Substitute                  bool          // hosts may fetch from their own substituters
	CacheFrom                   string        // Want's Cache as hosts know it, without a login
	RebootTimeout               time.Duration // how long a host may take to be back; 0: [DefaultRebootTimeout]
	Who                         string        // shown to whoever waits for a host's upload lock

	// Shown is what people have agreed to, by node: what has changed since then is not
	// deployed. nil where nobody was asked.
	Shown map[string]*plan.Outlook
}

// Run deploys to every node, each as soon as it arrives, and returns a result for
// each: in the order of the names, then those that no name announced. When ctx is
// done nothing new begins, builds and copies end, and a node whose host is being
// changed is finished first.
func Run(ctx context.Context, nodes Nodes, opts Options, tools Tools, sink event.Sink) []event.Result {
	d := &deployment{opts: opts, tools: tools, sink: sink}
	names, results := slices.Clone(nodes.Names), map[string]*event.Result{}
	var all sync.WaitGroup
	err := nodes.each(ctx, func(a Arrival) {
		name := a.Node.Name
		if results[name] != nil {
			return // it is on its way
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		result := &event.Result{}
		results[name] = result
		all.Go(crash.Guarded(func() { *result = d.deploy(ctx, a) }))
	})
	for _, name := range names {
		if results[name] == nil {
			result := d.deploy(ctx, Arrival{Node: hive.Node{Name: name}, Err: err})
			results[name] = &result
		}
	}
	all.Wait()
	list := make([]event.Result, len(names))
	for i, name := range names {
		list[i] = *results[name]
	}
	return list
}

type deployment struct {
	opts  Options
	tools Tools
	sink  event.Sink
}

// summary is the last line about a node.
func summary(r event.Result) string {
	switch r.Status {
	case event.Succeeded:
		if r.Outlook != nil {
			return foretold(r.Outlook)
		}
		text := string(r.Goal) + " done"
		switch {
		case r.Goal.Asks():
			return "" // what it prints tells enough
		case r.Goal == hive.Reboot && !r.Rebooted:
			return "no reboot is needed"
		case r.Goal != hive.Reboot && r.Rebooted:
			text += ", rebooted"
		}
		switch {
		case len(r.Keys) == 0:
			return text
		case r.Goal == hive.Keys:
			text += ": " + event.CountKeys(r.Keys)
		default:
			text += "; keys: " + event.CountKeys(r.Keys)
		}
		if units := event.CountUnits(r.Units); units != "" {
			text += "; units: " + units
		}
		return text
	case event.Skipped:
		return "skipped: deployment.targetHost is null"
	case event.Cancelled:
		return "cancelled"
	}
	var told interface{ Brief() string } // of other nodes at length
	if errors.As(r.Err, &told) {
		return "failed: " + told.Brief()
	}
	return "failed: " + r.Err.Error()
}
