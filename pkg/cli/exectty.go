package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/deploy"
	"github.com/colmena-go/colmena-go/pkg/remote"
)

// runOnTerminal runs the command on one host with a terminal, which is the user's own for
// as long as it runs.
func (x *execution) runOnTerminal(c *cli.Context, nodes deploy.Nodes) error {
	if n := len(nodes.Names); n != 1 {
		return usage("--tty is for one host, and %d nodes are selected: choose one with --on", n)
	}
	var node deploy.Arrival
	for node = range nodes.Arrivals { // the only one
	}
	switch {
	case node.Err != nil:
		return node.Err
	case node.Node.Target == nil:
		return fmt.Errorf("node %q has no host: its deployment.targetHost is null", node.Node.Name)
	}
	host, err := x.hosts.Open(c.Context, node.Node.Name, x.config(node.Node))
	if err != nil {
		return err
	}
	defer host.Close()
	err = asker(c.App).Lend(c.Context, node.Node.Name, "the terminal is the command's until it ends", func(ctx context.Context, tty *os.File) error {
		return x.onTerminal(ctx, host, tty)
	})
	var exit *remote.ExitError
	if errors.As(err, &exit) && exit.Signal == "" {
		return fmt.Errorf("the command ended with status %d", exit.Status)
	}
	return err
}

// onTerminal hands all that is typed to the command, ^C as well. The terminal is left as
// it was by who has lent it.
func (x *execution) onTerminal(ctx context.Context, host *remote.Host, tty *os.File) error {
	if _, err := term.MakeRaw(int(tty.Fd())); err != nil {
		return fmt.Errorf("the terminal cannot be used: %w", err)
	}
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return host.RunOnTerminal(ctx, x.command.String(), remote.Terminal{
		Kind: os.Getenv("TERM"), Size: func() (columns, rows int) { return sizeOf(tty) }, Resized: ticks(ctx.Done(), resized),
	}, tty, tty)
}

// ticks passes signals on, until over.
func ticks(over <-chan struct{}, from <-chan os.Signal) <-chan struct{} {
	to := make(chan struct{}, 1)
	go func() {
		defer crash.Guard()
		for {
			select {
			case <-from:
			case <-over:
				return
			}
			select {
			case to <- struct{}{}:
			default:
			}
		}
	}()
	return to
}

func sizeOf(tty *os.File) (columns, rows int) {
	columns, rows, err := term.GetSize(int(tty.Fd()))
	if err != nil {
		return 80, 24
	}
	return columns, rows
}
