package cli

import (
	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

func uploadKeysCommand() *cli.Command {
	return &cli.Command{
		Name:        "upload-keys",
		Usage:       "upload all keys of the nodes and do nothing else",
		Description: keyWatchDescription,
		Flags: append(hide(deployFlags(), "no-keys", "force-replace-unknown-profiles", "no-substitute", "keep-result", "build-on-target", "no-build-on-target", "push-parallel", "build-jobs", "via", "via-from", "reboot", "reboot-if-needed", "reboot-timeout"),
			append(append(keyFlags(), dryFlags()...), keyWatchFlag())...),
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			if c.Bool("watch") {
				return runKeyWatch(c)
			}
			return runDeployment(c, hive.Keys)
		},
	}
}
