package cli

import (
	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

func applyCommand() *cli.Command {
	return &cli.Command{
		Name:      "apply",
		Usage:     "build the nodes' systems, copy, activate, and upload keys",
		ArgsUsage: "[GOAL]",
		Description: "GOAL is switch (the default), boot, test or dry-activate, as for switch-to-configuration,\n" +
			"or build (only build), push (build and copy) or keys (only upload keys).",
		Flags:        deployFlags(),
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			goal := hive.Switch
			if c.Args().Len() > 1 {
				return usage("apply takes one goal, not %d: select nodes with --on", c.Args().Len())
			}
			if c.Args().Present() {
				var err error
				if goal, err = hive.ParseGoal(c.Args().First()); err != nil {
					return usage("%v; nodes are selected with --on", err)
				}
			}
			return runDeployment(c, goal)
		},
	}
}

// noArguments refuses what a command would ignore.
func noArguments(c *cli.Context) error {
	if c.Args().Present() {
		return usage("%s takes no argument %q: select nodes with --on", c.Command.Name, c.Args().First())
	}
	return nil
}
