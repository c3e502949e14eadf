package cli

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/nixeval"
)

func evalCommand() *cli.Command {
	return &cli.Command{
		Name:        "eval",
		Aliases:     []string{"introspect"},
		Usage:       "evaluate an expression over the hive and print its value as JSON",
		ArgsUsage:   "[FILE]",
		Description: "The expression is a function, as in '{ nodes, lib, ... }: lib.attrNames nodes'. It is the argument of -E, or what FILE holds. What it asks for is printed, the texts of keys included; and an error of the expression may hold what it has asked for by then, as Nix does not tell which values are secret.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "expr", Aliases: []string{"E"}, Usage: "the `EXPRESSION`, which finds what is in builtins without that word"},
			&cli.BoolFlag{Name: "instantiate", Usage: "write the derivations that the value is, or holds, to the store and print their paths"},
			evalMemoryFlag("an expression that needs more fails"),
		},
		OnUsageError: onUsageError,
		Action:       evalExpression,
	}
}

// expression reads what is to be evaluated.
func expression(c *cli.Context) (x nixeval.Expression, err error) {
	switch file := c.Args().First(); {
	case c.Args().Len() > 1:
		return x, usage("eval takes one file, not %d: an expression of several words needs quotes", c.Args().Len())
	case c.IsSet("expr") && file != "":
		return x, usage("eval takes -E EXPRESSION or a file, not both")
	case c.IsSet("expr") && strings.TrimSpace(c.String("expr")) == "":
		return x, usage("the expression is empty: it is a function, as in -E '{ nodes, ... }: attrNames nodes'")
	case c.IsSet("expr"):
		return nixeval.Expression{Text: c.String("expr")}, nil
	case file == "":
		return x, usage("there is no expression: pass -E EXPRESSION, or a FILE that holds one")
	default:
		x.File, err = filepath.Abs(file)
		return x, err
	}
}

func evalExpression(c *cli.Context) error {
	x, err := expression(c)
	if err != nil {
		return err
	}
	e, err := newEvaluation(c, plainLog(c))
	if err != nil {
		return err
	}
	stop := e.reminding()
	defer stop()
	if !c.Bool("instantiate") {
		var value []byte
		err := e.withHive(func() (err error) {
			value, err = e.evaluator().Introspect(c.Context, x, e.limits.Alone())
			return err
		})
		if err != nil {
			return e.ofMemory("the expression", err)
		}
		_, err = fmt.Fprintf(c.App.Writer, "%s\n", value)
		return err
	}
	var paths []string
	err = e.withHive(func() (err error) {
		paths, err = e.evaluator().Instantiate(c.Context, x, e.limits.Alone())
		return err
	})
	if err != nil {
		return e.ofMemory("the expression", err)
	}
	for _, path := range paths {
		if _, err := io.WriteString(c.App.Writer, path+"\n"); err != nil {
			return err
		}
	}
	return nil
}
