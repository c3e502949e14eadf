package cli

import (
	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/nix"
	"github.com/colmena-go/colmena-go/pkg/report"
)

func listCommand() *cli.Command {
	return &cli.Command{
		Name:         "list",
		Usage:        "show the nodes with their tags and targets, after checking their deployment options, other than the texts of keys",
		Flags:        append(selectionFlags(), jsonFlag("the nodes")),
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return list(c)
		},
	}
}

func list(c *cli.Context) error {
	log := newLog(c, false)
	e, err := newEvaluation(c, log)
	if err != nil {
		return err
	}
	h, err := e.run(c, nix.Request{})
	if err != nil {
		return err
	}
	for _, node := range h.Nodes {
		for _, warning := range node.Warnings {
			log.Warn().Str("node", node.Name).Msg(warning)
		}
	}
	if c.Bool("json") {
		return report.NodesJSON(c.App.Writer, h)
	}
	report.Nodes(c.App.Writer, h)
	return nil
}
