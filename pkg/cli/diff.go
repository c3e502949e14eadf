package cli

import (
	"context"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/deploy"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nixbuild"
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
	builder *nixbuild.Builder

	mu    sync.Mutex
	found map[string]*status.Comparison // by node
}

func runDiff(c *cli.Context) error {
	d, err := newDeployment(c, hive.Diff)
	if err != nil {
		return err
	}
	return d.drive(c, nixeval.Request{Toplevel: true}, func(s started) error {
		x := &comparing{deployment: d, builder: s.builder, found: map[string]*status.Comparison{}}
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
	c := status.Comparison{Host: state, Wanted: status.Here(node.Toplevel.OutPath)}
	switch {
	case c.Same(): // there may be none here
		c.Wanted = state.Current
	case state.Next.Path == node.Toplevel.OutPath:
		c.Wanted = state.Next
	}
	if !c.Same() {
		err = x.needs(ctx, host, node, &c)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.found[node.Name] = &c
	return err
}

// needs finds out what both systems need: what the host has already, it knows itself.
func (x *comparing) needs(ctx context.Context, host deploy.Host, node hive.Node, c *status.Comparison) (err error) {
	look, wanted := nixbuild.Look{}, map[string]int64(nil)
	if c.Host.Current.Path != "" {
		look.Closures = append(look.Closures, c.Host.Current.Path)
	}
	there := x.BuildsOnHost(node) || c.Host.Next.Path == c.Wanted.Path
	if there {
		look.Closures = append(look.Closures, c.Wanted.Path)
	} else if wanted, err = x.builder.Closure(ctx, c.Wanted.Path); err != nil {
		return err
	}
	look.Wanted = slices.Sorted(maps.Keys(wanted))
	found, err := nixbuild.LookThere(ctx, host, look)
	if err != nil {
		return err
	}
	current := found.Closures[c.Host.Current.Path]
	if there {
		wanted = found.Closures[c.Wanted.Path]
	}
	c.Needs(current, wanted, found.Lacks)
	switch {
	case there && wanted == nil:
		c.Why = "what the new system needs: not built yet on its host (--no-build-on-target builds it here)"
	case c.Host.Current.Path != "" && current == nil:
		c.Why = "what the old system needs: the host's store does not know it"
	}
	return nil
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
