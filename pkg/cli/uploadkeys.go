package cli

import (
	"path"
	"strings"
	"unicode"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

func uploadKeysCommand() *cli.Command {
	return &cli.Command{
		Name:        "upload-keys",
		Usage:       "upload all keys of the nodes and do nothing else",
		Description: keyWatchDescription,
		Flags: append(hide(deployFlags(), "no-keys", "force-replace-unknown-profiles", "no-substitute", "keep-result", "build-on-target", "no-build-on-target", "push-parallel", "build-jobs", "via", "via-from", "reboot", "reboot-if-needed", "reboot-timeout"),
			append(append(keyFlags(), rootFlag()), append(dryFlags(), keyWatchFlag())...)...),
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

func rootFlag() cli.Flag {
	return &cli.StringFlag{Name: "root", Usage: "put the keys below this `DIR` of the hosts, as if it were /: for a system that is installed there and has not booted yet"}
}

// keyRoot reads --root. Where mounts are is written with escapes for what would part words.
func keyRoot(c *cli.Context) (string, error) {
	root := c.String("root")
	odd := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '\\' || r == '#' }
	switch {
	case !c.IsSet("root"):
		return "", nil
	case !path.IsAbs(root):
		return "", usage("--root is %q: it must be an absolute path on the hosts", root)
	case path.Clean(root) == "/":
		return "", usage("--root / is where uploads go anyway: leave it out")
	case strings.Contains(root+"/", "/../"):
		return "", usage("--root is %q: \"..\" is not allowed in it", root)
	case strings.ContainsFunc(root, odd), len(root) > 1000:
		return "", usage("--root is %q: spaces, backslashes and # are not allowed in it", root)
	}
	return path.Clean(root), nil
}
