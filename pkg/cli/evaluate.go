package cli

import (
	"errors"
	"os"
	"slices"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/deploy"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nix"
)

// evaluation is what every command begins with: find the hive, select its nodes.
type evaluation struct {
	source nix.Source
	tool   nix.Tool
	on     hive.Selector
}

// newEvaluation reads the flags.
func newEvaluation(c *cli.Context, log zerolog.Logger) (evaluation, error) {
	e := evaluation{tool: nix.Tool{ShowTrace: c.Bool("show-trace"), Impure: c.Bool("impure"), Log: log}}
	if options, ok := c.Generic(pairFlag).(*nixOptions); ok {
		e.tool.Options = options.list
	}
	warnOfNoEffect(c, func(text string) { log.Warn().Msg(text) })
	var err error
	if e.on, err = selector(c); err != nil {
		return e, err
	}
	e.source, err = source(c)
	return e, err
}

// errNobodyLeft: every pattern matches something, but together they select nothing.
var errNobodyLeft = errors.New("no node is left: all that is selected is excluded, too")

// run evaluates what the request asks for of the selected nodes.
func (e *evaluation) run(c *cli.Context, request nix.Request) (*hive.Hive, error) {
	out, err := e.eval(c, request)
	if err != nil {
		return nil, err
	}
	h, err := hive.Decode(out)
	if err != nil {
		return nil, err
	}
	return h, e.look(h, request)
}

// runSound is run for those who can do with some of the nodes. One that cannot be
// evaluated costs another evaluation, without it.
func (e *evaluation) runSound(c *cli.Context, request nix.Request) (*hive.Hive, []hive.Broken, error) {
	e.tool = e.tool.Repeating()
	var broken []hive.Broken
	for {
		out, err := e.eval(c, request)
		var failed *nix.EvalError
		if errors.As(err, &failed) && failed.Node != "" && !slices.Contains(request.Without, failed.Node) {
			broken = append(broken, hive.Broken{Name: failed.Node, Err: err})
			request.Without = append(request.Without, failed.Node)
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		h, invalid, err := hive.DecodeSound(out)
		switch {
		case errors.Is(err, hive.ErrNoMatch) && len(broken) > 0:
			return nil, nil, broken[0].Err // whose tags are not known
		case err != nil:
			return nil, nil, err
		}
		broken = append(broken, invalid...)
		if err = e.look(h, request); errors.Is(err, errNobodyLeft) && len(broken) > 0 {
			err = nil
		}
		return h, broken, err
	}
}

// eval evaluates with Nix.
func (e *evaluation) eval(c *cli.Context, request nix.Request) ([]byte, error) {
	if len(request.Without) == 0 {
		e.tool.Log.Info().Msgf("evaluating %s", e.source)
	}
	request.Selector = e.on
	stop := deploy.Remind("evaluating", func(text string) { e.tool.Log.Info().Msg(text) })
	defer stop()
	out, err := e.tool.Eval(c.Context, e.source, request)
	if beside, there := e.source.Beside(); errors.Is(err, nix.ErrNoOutput) && there {
		e.tool.Log.Warn().Msgf("%s has no hive: %s beside it is used", e.source, beside)
		e.source = beside
		out, err = e.tool.Eval(c.Context, e.source, request)
	}
	return out, err
}

// look tells what is notable of a hive. It fails where no node is left.
func (e *evaluation) look(h *hive.Hive, request nix.Request) error {
	for i := range h.Nodes {
		h.Nodes[i].WarnStored(func(path string) bool { _, err := os.Stat(path); return err == nil })
	}
	for _, note := range h.Notes {
		e.tool.Log.Warn().Msg(note)
	}
	if refused := request.Guarded && e.on.All() && !h.Meta.AllowApplyAll; len(h.Nodes) == 0 && len(e.on.Patterns) > 0 && !refused {
		return errNobodyLeft
	}
	return nil
}
