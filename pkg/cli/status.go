package cli

import (
	"context"
	"fmt"
	"sync"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/deploy"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nixeval"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/report"
	"github.com/colmena-go/colmena-go/pkg/secret"
	"github.com/colmena-go/colmena-go/pkg/status"
	"github.com/colmena-go/colmena-go/pkg/upload"
)

func statusCommand() *cli.Command {
	flags := selectionFlags()
	for _, name := range []string{"verbose", "ask-sudo-password", "sudo-password-fd"} {
		flags = append(flags, named(deployFlags(), name))
	}
	for _, name := range []string{"key-timeout", "key-parallel", "show-key-errors"} {
		flags = append(flags, named(keyFlags(), name))
	}
	return &cli.Command{
		Name:  "status",
		Usage: "show what the hosts run, and what is wrong with them",
		Description: "Asks each host one question that changes nothing there: its systems and generations, failed units, whether it wants a reboot, and whether its keys are in place (of their contents only with --keys). " +
			"Nothing is built. Systems are evaluated, to tell whether a host runs its configuration, unless --hosts-only is given.",
		Flags: append(flags, askParallelFlag(), jsonFlag("the same"), sshConfigFlag(),
			&cli.BoolFlag{Name: "hosts-only", Usage: "evaluate no system: whether hosts run their configuration is left out"},
			&cli.BoolFlag{Name: "keys", Usage: "compare the contents of keys, too, for which they are resolved here (keyCommands run)"},
			&cli.BoolFlag{Name: "watch", Aliases: []string{"w"}, Usage: "keep asking until q or ^C; without a terminal, print the table (with --json, one document per line) each time"},
			&cli.StringFlag{Name: "every", DefaultText: watchDefault.String(), Usage: "with --watch, wait `TIME` (5s, 1m) before a host is asked again"},
		),
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return runStatus(c)
		},
	}
}

// surveying is a status on its way.
type surveying struct {
	*deployment
	// contents gets the contents of a node's keys; nil where they are not looked at.
	contents func(ctx context.Context, node hive.Node, warn func(string)) (map[string]secret.Secret, error)

	mu    sync.Mutex
	found map[string]report.Status // by node
}

func runStatus(c *cli.Context) error {
	every, err := watchEvery(c)
	if err != nil {
		return err
	}
	d, err := newDeployment(c, hive.Status)
	if err != nil {
		return err
	}
	return d.drive(c, nixeval.Request{Toplevel: !c.Bool("hosts-only"), Keys: c.Bool("keys")}, func(s started) error {
		if every > 0 {
			return d.watch(c, s.nodes, every)
		}
		x := &surveying{deployment: d, found: map[string]report.Status{}}
		s.tools.Look = x.look
		if c.Bool("keys") {
			x.contents = s.tools.Resolve
		}
		results := d.deploy(c, d.Options, s.nodes, s.tools)
		d.report.End(results)
		return x.tell(c, results)
	})
}

// look asks one host.
func (x *surveying) look(ctx context.Context, host deploy.Host, node hive.Node) error {
	state, err := status.Ask(ctx, host, status.Paths(node.Keys))
	if err != nil {
		return err
	}
	found := report.Status{State: &state, Keys: state.Keys(node.Keys)}
	if x.contents != nil && len(node.Keys) > 0 {
		if keys, failed := x.lookAtKeys(ctx, host, node); failed != nil {
			err = fmt.Errorf("looking at the keys: %w", failed) // the rest is told all the same
		} else {
			found.Keys = keys
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.found[node.Name] = found
	return err
}

// lookAtKeys compares what the host has with what its keys are to be, content and all.
func (x *surveying) lookAtKeys(ctx context.Context, host deploy.Host, node hive.Node) ([]status.Key, error) {
	note := func(text string) { x.tool.Log.Info().Str("node", node.Name).Msg(text) }
	contents, err := x.contents(ctx, node, note)
	if err != nil {
		return nil, err
	}
	request := upload.Request{Policy: plan.Policy{AbsentOwnerIsRoot: true}, Who: x.Who, Note: note}
	for _, key := range node.Keys {
		request.Keys = append(request.Keys, upload.Item{Key: key, Content: contents[key.Attr]})
	}
	steps, err := upload.Look(ctx, host, request)
	if err != nil {
		return nil, err
	}
	return status.Looked(steps.Outlook()), nil
}

// tell prints what was found.
func (x *surveying) tell(c *cli.Context, results []event.Result) (err error) {
	list := make([]report.Status, len(results))
	for i, r := range results {
		list[i] = x.found[r.Node]
		list[i].Result = r
	}
	if x.json {
		err = report.StatusesJSON(c.App.Writer, list)
	} else {
		err = report.Statuses(c.App.Writer, list, stdoutStyle(c), stdoutColumns(c))
	}
	if err != nil {
		return err
	}
	return verdict(results)
}
