package cli

import (
	"fmt"
	"text/tabwriter"

	"github.com/urfave/cli/v2"
)

func nixInfoCommand() *cli.Command {
	return &cli.Command{
		Name:         "nix-info",
		Usage:        "show which Nix is used, and its settings that matter here",
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			facts, err := tool(c, plainLog(c)).Info(c.Context)
			if err != nil {
				return err
			}
			table := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
			for _, fact := range facts {
				fmt.Fprintf(table, "%s\t%s\n", fact.Name, fact.Text)
			}
			return table.Flush()
		},
	}
}
