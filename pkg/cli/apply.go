package cli

import (
	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

func applyCommand() *cli.Command {
	return &cli.Command{
		Name:         "apply",
		Usage:        "build the nodes' systems, copy, activate, and upload keys",
		ArgsUsage:    "[GOAL]",
		Description:  "GOAL is switch (the default), boot, test or dry-activate, as for switch-to-configuration, or build (only build), push (build and copy) or upload-keys (only that; keys for short).",
		Flags:        append(append(deployFlags(), keyFlags()...), dryFlags()...),
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			goal, err := goalOf(c)
			if err != nil {
				return err
			}
			return runDeployment(c, goal)
		},
	}
}

// goalOf reads the argument of apply.
func goalOf(c *cli.Context) (hive.Goal, error) {
	args := c.Args().Slice()
	if len(args) == 0 {
		if c.Bool("reboot") {
			return hive.Boot, nil // as in Colmena
		}
		return hive.Switch, nil
	}
	goal, err := hive.ParseGoal(args[0])
	switch {
	case err != nil && near(args[0], hive.GoalNames(), "") != "":
		return "", usage("%v%s", err, near(args[0], hive.GoalNames(), ""))
	case err != nil:
		return "", usage("%v; %s", err, meant(c, args))
	case len(args) > 1:
		return "", usage("%s takes one goal, not %d: %s", c.Command.Name, len(args), meant(c, args[1:]))
	}
	return goal, nil
}

// noArguments refuses what a command would ignore.
func noArguments(c *cli.Context) error {
	if c.Args().Present() {
		return usage("%s takes no argument %q: %s", c.Command.Name, c.Args().First(), meant(c, c.Args().Slice()))
	}
	return nil
}
