package cli

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/version"
)

func versionCommand() *cli.Command {
	return &cli.Command{
		Name:         "version",
		Usage:        "show which colmena-go this is, and of which commit",
		Flags:        []cli.Flag{jsonFlag("the same")},
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			if c.Bool("json") {
				document := json.NewEncoder(c.App.Writer)
				document.SetIndent("", "  ")
				return document.Encode(version.Get())
			}
			return tellVersion(c.App.Writer, version.Get())
		},
	}
}

// tellVersion writes what --version says, and how the binary was built.
func tellVersion(out io.Writer, info version.Info) error {
	text := "colmena-go version " + info.Short() + "\n"
	if !info.Time.IsZero() {
		text += "committed " + info.Time.UTC().Format("2006-01-02 15:04 MST") + "\n"
	}
	text += fmt.Sprintf("built with %s for %s/%s", info.Go, info.OS, info.Arch)
	if info.Static {
		text += ", static"
	}
	_, err := fmt.Fprintln(out, text)
	return err
}
