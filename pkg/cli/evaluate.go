package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/deploy"
	"github.com/colmena-go/colmena-go/pkg/evalcache"
	"github.com/colmena-go/colmena-go/pkg/evaluate"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nix"
	"github.com/colmena-go/colmena-go/pkg/nixeval"
)

// evaluation is what every command begins with: find the hive, select its nodes.
type evaluation struct {
	source nixeval.Source
	tool   nix.Tool
	on     hive.Selector
	limits evaluate.Limits
	still  func(text string) // told what takes long, for who sees no live view; nil: note

	showTrace, impure bool
}

// newEvaluation reads the flags.
func newEvaluation(c *cli.Context, log zerolog.Logger) (evaluation, error) {
	e := evaluation{tool: tool(c, log), showTrace: c.Bool("show-trace"), impure: c.Bool("impure")}
	warnOfNoEffect(c, func(text string) { log.Warn().Msg(text) })
	var err error
	if e.on, err = selector(c); err != nil {
		return e, err
	}
	if e.limits, err = evalLimits(c); err != nil {
		return e, err
	}
	e.source, err = source(c)
	return e, err
}

// tool is Nix as the global flags want it.
func tool(c *cli.Context, log zerolog.Logger) nix.Tool {
	t := nix.Tool{Log: log}
	if options, ok := c.Generic(pairFlag).(*nixOptions); ok {
		t.Options = options.list
	}
	return t
}

// evaluator evaluates the hive as the flags want it.
func (e *evaluation) evaluator() *nixeval.Evaluator {
	return nixeval.New(nixeval.Tool{Tool: e.tool, ShowTrace: e.showTrace, Impure: e.impure}, e.source)
}

// reminding tells while an evaluation lasts.
func (e *evaluation) reminding() (stop func()) {
	return deploy.Remind(func() string { return "evaluating" }, e.note)
}

func (e *evaluation) note(text string) { e.tool.Log.Info().Msg(text) }

// withHive does something with the hive: with the hive.nix beside a flake that has
// none.
func (e *evaluation) withHive(do func() error) error {
	err := do()
	if beside, there := e.source.Beside(); errors.Is(err, nixeval.ErrNoOutput) && there {
		e.tool.Log.Warn().Msgf("%s has no hive: %s beside it is used", e.source, beside)
		e.source = beside
		err = do()
	}
	return err
}

var (
	// errNobodyLeft: every pattern matches something, but together they select nothing.
	errNobodyLeft = errors.New("no nodes left: everything selected is also excluded")
	errNotAll     = errors.New("the hive sets meta.allowApplyAll to false: say which nodes with --on")
)

// evaluating is a hive whose nodes are being evaluated.
type evaluating struct {
	*evaluate.Evaluation
	*hive.Hive
	names names  // what completion knows of it
	leave func() // has the nodes that are not done left out
	end   func() // waits for nothing; the nodes must have been taken, or ctx be done
}

// begin begins to evaluate what the request asks for of the selected nodes, and
// returns when the hive itself is known. announced may be nil.
func (e *evaluation) begin(c *cli.Context, request nixeval.Request, announced func(text []byte)) (*evaluating, error) {
	e.tool.Log.Info().Msgf("evaluating %s", e.source)
	request.Selector = e.on
	var run *evaluating
	err := e.withHive(func() (err error) {
		run, err = e.start(c, request, announced)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := e.look(run.Hive, request); err != nil {
		run.end()
		return nil, err
	}
	return run, nil
}

// start is begin for one source.
func (e *evaluation) start(c *cli.Context, request nixeval.Request, announced func(text []byte)) (*evaluating, error) {
	evaluator := e.evaluator()
	ctx, leave := context.WithCancel(c.Context)
	run := evaluate.Start(ctx, e.cached(c, evaluator), request, e.limits, announced, e.tool.Log)
	still := e.still
	if still == nil {
		still = e.note
	}
	stop := deploy.Remind(run.Progress, still)
	end := func() { stop(); evaluator.Warn(); leave() }
	h, err := run.Hive()
	if err != nil {
		end()
		return nil, err
	}
	return &evaluating{run, h, namesOf(e.source, h.Names), leave, end}, nil
}

// cached is the evaluator with what was evaluated before, where that may be used.
func (e *evaluation) cached(c *cli.Context, evaluator *nixeval.Evaluator) evaluate.Evaluator {
	dir, err := os.UserCacheDir()
	if err != nil || c.Bool("no-eval-cache") || e.source.File != "" {
		return evaluator
	}
	return evalcache.New(evaluator, filepath.Join(dir, "colmena-go", "evaluations"), e.tool.Log)
}

// look tells what is notable of a hive. It fails where there is no node to deal with.
func (e *evaluation) look(h *hive.Hive, request nixeval.Request) error {
	for _, note := range h.Notes {
		e.tool.Log.Warn().Msg(note)
	}
	switch {
	case request.Guarded && e.on.All() && !h.Meta.AllowApplyAll:
		return errNotAll
	case len(h.Selected) == 0 && len(e.on.Patterns) > 0:
		return errNobodyLeft
	}
	return nil
}

// arrivals are the nodes as they are evaluated. each, which may be nil, is told of
// each that is sound, and may find that it is not.
func (run *evaluating) arrivals(each func(*hive.Node) error) deploy.Nodes {
	return deploy.Nodes{Names: run.Selected, Arrivals: func(yield func(deploy.Arrival) bool) {
		defer run.end()
		defer run.names.keep()
		came := map[string]bool{}
		for node := range run.Nodes() {
			came[node.Name] = true
			if node.Err == nil {
				run.names.add(node.Name, node.Tags)
			}
			node.WarnStored(func(path string) bool { _, err := os.Stat(path); return err == nil })
			if node.Err == nil && each != nil {
				node.Err = each(&node.Node)
			}
			if !yield(deploy.Arrival{Node: node.Node, Err: node.Err, Took: node.Took}) {
				return
			}
		}
		for _, name := range run.Selected {
			if !came[name] && run.Err() != nil && !yield(deploy.Arrival{Node: hive.Node{Name: name}, Err: run.Err()}) {
				return
			}
		}
	}}
}

// all waits for every node, and returns those that are sound and the others apart,
// sorted by name.
func (run *evaluating) all() (sound []hive.Node, broken []hive.Broken, err error) {
	for a := range run.arrivals(nil).Arrivals {
		if a.Err != nil {
			broken = append(broken, hive.Broken{Name: a.Node.Name, Err: a.Err})
		} else {
			sound = append(sound, a.Node)
		}
	}
	byName(sound)
	slices.SortFunc(broken, func(a, b hive.Broken) int { return strings.Compare(a.Name, b.Name) })
	return sound, broken, run.Err()
}

// allSound is every node, sorted by name, or the first error, with which the evaluation
// ends.
func (run *evaluating) allSound(each func(*hive.Node) error) (nodes []hive.Node, err error) {
	for a := range run.arrivals(each).Arrivals {
		if err = a.Err; err != nil {
			break
		}
		nodes = append(nodes, a.Node)
	}
	run.leave()
	for range run.Nodes() { // until its processes have ended
	}
	byName(nodes)
	return nodes, err
}

func byName(nodes []hive.Node) {
	slices.SortFunc(nodes, func(a, b hive.Node) int { return strings.Compare(a.Name, b.Name) })
}
