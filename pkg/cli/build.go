package cli

import (
	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

func buildCommand() *cli.Command {
	return &cli.Command{
		Name:         "build",
		Usage:        "build the nodes' systems and change no host",
		Flags:        hide(deployFlags(), "no-keys", "force-replace-unknown-profiles", "via", "via-from", "reboot", "reboot-if-needed", "reboot-timeout"),
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return runDeployment(c, hive.Build)
		},
	}
}
