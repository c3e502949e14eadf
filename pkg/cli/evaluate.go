package cli

import (
	"errors"

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
	e.tool.Log.Info().Msgf("evaluating %s", e.source)
	request.Selector = e.on
	stop := deploy.Remind("evaluating", func(text string) { e.tool.Log.Info().Msg(text) })
	out, err := e.tool.Eval(c.Context, e.source, request)
	if beside, there := e.source.Beside(); errors.Is(err, nix.ErrNoOutput) && there {
		e.tool.Log.Warn().Msgf("%s has no hive: %s beside it is used", e.source, beside)
		e.source = beside
		out, err = e.tool.Eval(c.Context, e.source, request)
	}
	stop()
	if err != nil {
		return nil, err
	}
	h, err := hive.Decode(out)
	if err != nil {
		return nil, err
	}
	if refused := request.Guarded && e.on.All() && !h.Meta.AllowApplyAll; len(h.Nodes) == 0 && len(e.on.Patterns) > 0 && !refused {
		return nil, errNobodyLeft
	}
	for _, note := range h.Notes {
		e.tool.Log.Warn().Msg(note)
	}
	return h, nil
}
