package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/ask"
	"github.com/colmena-go/colmena-go/pkg/deploy"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/report"
)

// errChanges is returned after an outlook that has some.
var errChanges = errors.New("there is something to do")

const planDescription = `Evaluates and builds as apply does, asks the hosts what they have, and changes nothing there. GOAL is switch (the default), boot, test, push or upload-keys (keys for short).

Exit codes: 0 there is nothing to do, 3 something would change, 1 something failed, such as a host that cannot be asked.`

func planCommand() *cli.Command {
	flags := hide(deployFlags(), "push-parallel", "via", "via-from", "no-substitute", "reboot-timeout")
	named(flags, "json").(*cli.BoolFlag).Usage = jsonFlag("what would be done").(*cli.BoolFlag).Usage
	named(flags, "parallel").(*cli.StringFlag).Usage = "get the keys of at most `N` nodes, and ask as many hosts for theirs, at once; 0 means all"
	return &cli.Command{
		Name:         "plan",
		Usage:        "show what apply would do to the hosts",
		ArgsUsage:    "[GOAL]",
		Description:  planDescription,
		Flags:        append(flags, keyFlags()...),
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			goal, err := goalOf(c)
			if err != nil {
				return err
			}
			return runDeployment(c, goal)
		},
	}
}

// dryFlags are for commands that otherwise change hosts.
func dryFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "dry-run", Usage: "only show what would be done, as the command plan does, with the same exit codes"},
		&cli.BoolFlag{Name: "ask", Usage: "show what would be done, and ask on the terminal before it is"},
	}
}

// dryRun reads whether hosts are only to be asked, and whether people are.
func (d *deployment) dryRun(c *cli.Context) error {
	d.DryRun = c.Command.Name == "plan" || c.Command.Name == "keys" && d.Goal == hive.Keys || c.Bool("dry-run")
	d.ask = c.Bool("ask")
	switch {
	case !d.DryRun && !d.ask:
		return nil
	case d.DryRun && d.ask:
		return usage("--dry-run and --ask: choose one")
	case !d.Goal.NeedsHost():
		return usage("the goal %s changes no host, so there is nothing to show: leave it out, or run `%s build`", d.Goal, c.App.Name)
	case d.Goal == hive.DryActivate:
		return usage("the goal dry-activate changes no host, so there is nothing to show: `%s plan` shows what a switch would do", c.App.Name)
	}
	if d.ask {
		if err := asker(c.App).Can(ask.Agreement); err != nil {
			return usage("--ask needs a terminal to ask on: use `%s plan` to see what would be done", c.App.Name)
		}
	}
	return nil
}

// foresees shows what would be done.
func (d *deployment) foresees(c *cli.Context, results []event.Result) error {
	switch {
	case d.json:
		return report.OutlookJSON(c.App.Writer, results)
	case c.Bool("json-events"): // which have standard output
		return nil
	}
	if stdoutIsTerminal(c) && onTerminal(c) { // what was told meanwhile stands before it
		screen(c.App).Print("\n")
		screen(c.App).Settle(c.Context)
	}
	_, err := screen(c.App).Beside(c.App.Writer).Write([]byte(report.Outlook(results, stdoutStyle(c))))
	return err
}

// agree shows people what would be done to the nodes, asks them, and does it to those to
// which something is to be done.
func (d *deployment) agree(c *cli.Context, nodes deploy.Nodes, tools deploy.Tools) ([]event.Result, error) {
	left, others := d.rehearse(c, nodes, tools)
	if len(left.Names) > 0 && c.Context.Err() == nil {
		if err := d.confirm(c, len(left.Names)); err != nil {
			return nil, err
		}
	}
	d.report.Perform()
	d.report.Show()
	d.report.Expect(nodes.Names)
	d.report.Agreed(d.Shown)
	for _, r := range others {
		d.report.Emit(event.Event{Time: time.Now(), Node: r.Node, Kind: event.End, Result: &r})
	}
	results := append(deploy.Run(c.Context, left, d.Options, tools, d.report), others...)
	byNames(results, nodes.Names)
	if len(left.Names) > 0 {
		d.report.End(results)
	}
	return results, nil
}

// rehearse shows what would be done. It returns the nodes to which something is, and the
// results of the others.
func (d *deployment) rehearse(c *cli.Context, nodes deploy.Nodes, tools deploy.Tools) (left deploy.Nodes, others []event.Result) {
	kept, arrivals := keeping(nodes)
	opts := d.Options
	opts.DryRun = true
	d.report.Rehearse(d.record("plan"))
	results := d.deploy(c, opts, kept, tools)
	d.report.End(results)
	screen(c.App).Print("\n" + report.Outlook(results, style(c)) + "\n")
	d.Shown = map[string]*plan.Outlook{}
	for _, r := range results {
		if r.Outlook != nil && r.Outlook.Changes() {
			d.Shown[r.Node] = r.Outlook
			left.Names = append(left.Names, r.Node)
		} else {
			others = append(others, r)
		}
	}
	left.Arrivals = func(yield func(deploy.Arrival) bool) {
		for _, a := range *arrivals {
			if d.Shown[a.Node.Name] != nil && !yield(a) {
				return
			}
		}
	}
	return left, others
}

// errDeclined is returned when people do not want what was shown.
var errDeclined = errors.New("nothing was done: you did not answer yes")

// agreeTries is how often one is asked who says neither yes nor no.
const agreeTries = 3

// confirm asks whether it is to be done.
func (d *deployment) confirm(c *cli.Context, nodes int) error {
	text := "do this to 1 node? (yes or no)"
	if nodes > 1 {
		text = fmt.Sprintf("do this to %d nodes? (yes or no)", nodes)
	}
	screen(c.App).Settle(c.Context) // what it is about stands before the question
	for range agreeTries {
		answer, err := asker(c.App).Ask(c.Context, ask.Question{Kind: ask.Agreement, Text: text, Echo: true})
		if err != nil {
			return fmt.Errorf("nothing was done: %w", err)
		}
		switch strings.ToLower(strings.TrimSpace(string(answer.Reveal()))) {
		case "y", "yes":
			return nil
		case "n", "no", "":
			return errDeclined
		}
	}
	return errDeclined
}

// keeping are the same nodes, which are kept when they have arrived.
func keeping(nodes deploy.Nodes) (deploy.Nodes, *[]deploy.Arrival) {
	var arrivals []deploy.Arrival
	kept := nodes
	kept.Arrivals = func(yield func(deploy.Arrival) bool) {
		for a := range nodes.Arrivals {
			arrivals = append(arrivals, a)
			if !yield(a) {
				return
			}
		}
	}
	return kept, &arrivals
}

// byNames orders results as the nodes are.
func byNames(results []event.Result, names []string) {
	slices.SortStableFunc(results, func(a, b event.Result) int {
		return slices.Index(names, a.Node) - slices.Index(names, b.Node)
	})
}
