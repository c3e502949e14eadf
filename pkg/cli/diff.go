package cli

import (
	"context"
	"os"
	"sync"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/deploy"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nixeval"
	"github.com/colmena-go/colmena-go/pkg/report"
	"github.com/colmena-go/colmena-go/pkg/status"
)

func diffCommand() *cli.Command {
	flags := selectionFlags()
	for _, name := range []string{"build-jobs", "build-on-target", "no-build-on-target", "verbose", "fail-fast", "ask-sudo-password", "sudo-password-fd"} {
		flags = append(flags, named(deployFlags(), name))
	}
	return &cli.Command{
		Name:  "diff",
		Usage: "compare what the hosts run with their configuration",
		Description: "Builds the nodes' systems here and asks the hosts what theirs need: packages that are added, removed or changed, sizes, and what waits for a reboot. " +
			"Nothing is sent to a host, and nothing there changes. Exit codes: 0 all run their configuration, 3 some differ, 1 something failed.",
		Flags:        append(flags, jsonFlag("the differences"), sshConfigFlag(), askParallelFlag()),
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return runDiff(c)
		},
	}
}

func askParallelFlag() cli.Flag {
	return &cli.StringFlag{Name: "parallel", Aliases: []string{"p"}, Value: "0", DefaultText: "all", Usage: "ask at most `N` hosts at once; 0 means all"}
}

// comparing is a diff on its way.
type comparing struct {
	*deployment
	tools deploy.Tools

	mu    sync.Mutex
	found map[string]*status.Comparison // by node
}

func runDiff(c *cli.Context) error {
	d, err := newDeployment(c, hive.Diff)
	if err != nil {
		return err
	}
	return d.drive(c, nixeval.Request{Toplevel: true}, func(s started) error {
		x := &comparing{deployment: d, tools: s.tools, found: map[string]*status.Comparison{}}
		s.tools.Look = x.look
		results := d.deploy(c, d.Options, s.nodes, s.tools)
		d.report.End(results)
		return x.tell(c, results)
	})
}

// look compares one host.
func (x *comparing) look(ctx context.Context, host deploy.Host, node hive.Node) error {
	state, err := status.Ask(ctx, host, nil)
	if err != nil {
		return err
	}
	c := status.Comparison{Host: state, Wanted: status.Here(node.Toplevel.OutPath, state.Current, state.Next)}
	if !c.Same() {
		c.Found, err = x.tools.Compare(ctx, host, closure.Pair{
			Old: state.Current, New: c.Wanted, There: state.Next.Path == c.Wanted.Path, Builds: x.BuildsOnHost(node),
		})
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.found[node.Name] = &c
	return err
}

// tell prints what was found.
func (x *comparing) tell(c *cli.Context, results []event.Result) error {
	list, differ := make([]report.Diff, len(results)), false
	for i, r := range results {
		list[i] = report.Diff{Result: r}
		if r.Status == event.Succeeded {
			list[i].Found = x.found[r.Node]
		}
		differ = differ || list[i].Differs()
	}
	err := error(nil)
	if x.json {
		err = report.DiffsJSON(c.App.Writer, list)
	} else {
		err = report.Diffs(c.App.Writer, list, stdoutStyle(c))
	}
	if err == nil {
		err = verdict(results)
	}
	if err == nil && differ {
		return errChanges
	}
	return err
}

// stdoutStyle decides about colour on standard output.
func stdoutStyle(c *cli.Context) report.Style {
	return report.Style(coloured(c.String("color"), stdoutIsTerminal(c), os.Getenv))
}
