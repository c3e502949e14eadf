package cli

import (
	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nix"
	"github.com/colmena-go/colmena-go/pkg/report"
)

func listCommand() *cli.Command {
	return &cli.Command{
		Name:         "list",
		Usage:        "show the nodes with their tags and targets, after checking their deployment options",
		Flags:        []cli.Flag{onFlag(), jsonFlag("the nodes")},
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
	from, err := source(c)
	if err != nil {
		return err
	}
	on, err := selector(c)
	if err != nil {
		return err
	}
	out, err := newNix(c, log).Eval(c.Context, from, nix.Request{Selector: on})
	if err != nil {
		return err
	}
	h, err := hive.Decode(out)
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
