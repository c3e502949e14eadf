package cli

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/deploy"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
)

func rebootCommand() *cli.Command {
	var flags []cli.Flag
	for _, name := range []string{"parallel", "verbose", "quiet", "json", "json-events", "report", "metrics", "trace", "no-keys", "fail-fast", "reboot-timeout", "ask-sudo-password", "sudo-password-fd"} {
		flags = append(flags, named(deployFlags(), name))
	}
	named(flags, "parallel").(*cli.StringFlag).Usage = "have at most `N` hosts down at once; 0 means all"
	return &cli.Command{
		Name:        "reboot",
		Usage:       "reboot the nodes' hosts, wait for them, and bring their keys again",
		Description: `A node is done when its host has booted the system that it was to boot and has its keys.`,
		Flags: append(append(append(selectionFlags(), flags...), hide(keyFlags(), "prune-keys")...),
			&cli.BoolFlag{Name: "if-needed", Usage: "only hosts that would boot another kernel, or with another initrd, modules or parameters"},
			sshConfigFlag(),
		),
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return runDeployment(c, hive.Reboot)
		},
	}
}

func rebootTimeoutFlag() cli.Flag {
	return &cli.StringFlag{Name: "reboot-timeout", DefaultText: fmt.Sprintf("%.0fm", deploy.DefaultRebootTimeout.Minutes()), Usage: "wait up to `TIME` (90s, 10m) for a host to come back"}
}

// whenToReboot reads the flags of apply and of reboot.
func whenToReboot(c *cli.Context, goal hive.Goal) (plan.When, error) {
	always, needed := c.Bool("reboot"), c.Bool("reboot-if-needed")
	switch {
	case goal == hive.Reboot && c.Bool("if-needed"):
		return plan.IfNeeded, nil
	case goal == hive.Reboot:
		return plan.Always, nil
	case !always && !needed:
		return plan.Never, nil
	case always && needed:
		return plan.Never, usage("--reboot and --reboot-if-needed: choose one")
	case !goal.Activates() || goal == hive.DryActivate:
		return plan.Never, usage("there is nothing to reboot for with the goal %s: --reboot and --reboot-if-needed go with switch, boot and test; `%s reboot` only reboots", goal, c.App.Name)
	case needed:
		return plan.IfNeeded, nil
	}
	return plan.Always, nil
}
