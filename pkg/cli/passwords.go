package cli

import (
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/ask"
	"github.com/colmena-go/colmena-go/pkg/escalation"
	"github.com/colmena-go/colmena-go/pkg/sshauth"
)

func passwordFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "ask-sudo-password", Usage: "ask for the sudo password at the start, and not only when a host needs it"},
		&cli.StringFlag{Name: "sudo-password-fd", Usage: "read that password from the open file descriptor `N`, up to the end of its first line"},
	}
}

// newPasswords are those for sudo; what the flags ask for is had at once.
func (d *deployment) newPasswords(c *cli.Context) error {
	d.passwords = escalation.NewPasswords(asker(c.App))
	d.credentials = sshauth.NewCredentials(asker(c.App))
	if d.here != nil {
		d.here.passwords = d.passwords
	}
	asks, from := c.Bool("ask-sudo-password"), c.String("sudo-password-fd")
	switch {
	case asks && c.IsSet("sudo-password-fd"):
		return usage("--ask-sudo-password and --sudo-password-fd contradict each other")
	case c.IsSet("sudo-password-fd"):
		fd, err := strconv.ParseUint(from, 10, 16)
		if err != nil || fd == 1 || fd == 2 {
			return usage("--sudo-password-fd is %q: it must be the number of a file descriptor to read from, as in `--sudo-password-fd 3 3<file`", from)
		}
		password, err := ask.FromFD(c.Context, int(fd))
		if err != nil {
			return fmt.Errorf("--sudo-password-fd: %w", err)
		}
		d.passwords.Give(password)
	case asks && (d.Goal.NeedsHost() || d.here != nil):
		password, err := asker(c.App).Ask(c.Context, ask.Question{Kind: ask.Root, Text: "password for sudo, of all hosts that ask for one"})
		if err != nil {
			return fmt.Errorf("--ask-sudo-password: %w", err)
		}
		d.passwords.Give(password)
	}
	return nil
}

// forget overwrites what people have told.
func (d *deployment) forget() {
	d.passwords.Wipe()
	d.credentials.Wipe()
}
