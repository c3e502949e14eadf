package cli

import (
	"encoding/json"
	"errors"
	"os"
	"sync/atomic"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nixeval"
	"github.com/colmena-go/colmena-go/pkg/scratch"
)

func replCommand() *cli.Command {
	return &cli.Command{
		Name:  "repl",
		Usage: "explore the hive in an interactive `nix repl`",
		Description: `In scope are nodes, pkgs and lib, as for eval; :r loads the hive again.
As in every nix repl, what a flake evaluates may be impure there.`,
		Flags:        []cli.Flag{evalMemoryFlag("with more, nix repl ends")},
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return repl(c)
		},
	}
}

// handedOver: a program that is at work on the terminal hears of ^C itself, and
// for it that may mean something else than the end.
var handedOver atomic.Bool

func repl(c *cli.Context) error {
	e, err := newEvaluation(c, plainLog(c))
	if err != nil {
		return err
	}
	// What is wrong with the hive as a whole is told here, in better words.
	names, err := e.names(c)
	if err != nil {
		return err
	}
	e.note("nodes, pkgs and lib are in scope; the nodes are " + hive.FirstFew(names))
	dir, remove, err := scratch.Dir()
	if err != nil {
		return err
	}
	defer remove()
	screen(c.App).Settle(c.Context)
	if state, err := term.GetState(int(os.Stdin.Fd())); err == nil {
		defer term.Restore(int(os.Stdin.Fd()), state) // should it be killed
	}
	handedOver.Store(true)
	defer handedOver.Store(false)
	return e.evaluator().Repl(c.Context, dir, nixeval.Terminal{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, e.limits.Alone())
}

// names are those of all nodes.
func (e *evaluation) names(c *cli.Context) (names []string, err error) {
	stop := e.reminding()
	defer stop()
	var text []byte
	err = e.withHive(func() (err error) {
		text, err = e.evaluator().Introspect(c.Context, nixeval.Expression{Text: "{ nodes, ... }: attrNames nodes"}, e.limits.Alone())
		return err
	})
	var eval *nixeval.EvalError
	if errors.As(err, &eval) {
		eval.What = "" // the hive
	}
	if err != nil {
		return nil, e.ofMemory("the hive", err)
	}
	return names, json.Unmarshal(text, &names)
}
