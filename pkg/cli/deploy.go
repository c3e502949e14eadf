package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/deploy"
	"github.com/colmena-go/colmena-go/pkg/escalation"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/keysource"
	"github.com/colmena-go/colmena-go/pkg/nixbuild"
	"github.com/colmena-go/colmena-go/pkg/nixeval"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/record"
	"github.com/colmena-go/colmena-go/pkg/remote"
	"github.com/colmena-go/colmena-go/pkg/report"
	"github.com/colmena-go/colmena-go/pkg/secret"
	"github.com/colmena-go/colmena-go/pkg/sshauth"
	"github.com/colmena-go/colmena-go/pkg/version"
)

// deployment is what apply, build and upload-keys have in common: argv is read,
// the hive evaluated, its nodes taken to the goal and the results shown.
type deployment struct {
	evaluation
	deploy.Options

	json, keepResult bool
	ask              bool // people before it is done
	sshConfig        configFile
	keyLimits        keyLimits
	jobs             string // Nix's max-jobs, "" for what it has

	passwords   *escalation.Passwords // of sudo
	credentials *sshauth.Credentials  // of SSH

	here   *here       // of apply-local: the hosts are this machine; or nil
	report *report.Run // as people or programs see it
	hosts  remote.Hosts

	newHosts newHosts // while a live view is shown
}

// runDeployment takes the selected nodes to a goal.
func runDeployment(c *cli.Context, goal hive.Goal) error {
	d, err := newDeployment(c, goal)
	if err != nil {
		return err
	}
	return d.drive(c, d.request(), func(s started) error {
		via, err := d.via(c, s.evaluated.Meta)
		if err != nil {
			return err
		}
		via.wire(&s.tools, s.builder, d.sshConfig, d.Substitute)
		return d.run(c, s.nodes, s.tools)
	})
}

// run does with the nodes what was asked for, and shows it.
func (d *deployment) run(c *cli.Context, nodes deploy.Nodes, tools deploy.Tools) (err error) {
	var results []event.Result
	if d.ask {
		results, err = d.agree(c, nodes, tools)
	} else {
		results = d.deploy(c, d.Options, nodes, tools)
		d.report.End(results)
	}
	if err != nil {
		return err
	}
	for _, bug := range bugs(results) {
		d.tool.Log.Debug().Msg(string(bug.Stack))
	}
	switch {
	case d.DryRun:
		err = d.foresees(c, results)
	case d.json:
		err = report.JSON(c.App.Writer, d.report.Record(), results, time.Now())
	}
	if err != nil {
		return err
	}
	return verdict(results)
}

// newDeployment reads the flags.
func newDeployment(c *cli.Context, goal hive.Goal) (*deployment, error) {
	d := &deployment{
		Options: deploy.Options{
			Compare:                     c.IsSet("report"),
			Want:                        plan.Want{Goal: goal, NoKeys: c.Bool("no-keys"), ResolveAll: c.Bool("resolve-all"), PruneKeys: c.Bool("prune-keys"), AlwaysBuild: c.Bool("keep-result")},
			ForceReplaceUnknownProfiles: c.Bool("force-replace-unknown-profiles"), Who: whoAmI(),
			Substitute: !c.Bool("no-substitute"),
		},
		json: c.Bool("json"), sshConfig: sshConfigFile(c), keepResult: c.Bool("keep-result"),
	}
	err := d.wanted(c)
	if err != nil {
		return nil, err
	}
	if d.KeyRoot, err = keyRoot(c); err != nil {
		return nil, err
	}
	if c.Bool("json") && c.Bool("json-events") {
		return nil, usage("--json and --json-events are two forms of one output: choose one")
	}
	if err := d.recorded(c); err != nil {
		return nil, err
	}
	if c.Bool("quiet") && c.Bool("verbose") {
		return nil, usage("--quiet and --verbose contradict each other")
	}
	log := newLog(d.report, levelFor(c))
	if d.here, err = newHere(c); err != nil {
		return nil, err
	}
	if d.here == nil {
		if d.Schedule, err = schedule(c); err != nil {
			return nil, err
		}
	}
	if d.jobs, err = buildJobs(c); err == nil {
		err = seeVia(c)
	}
	if err != nil {
		return nil, err
	}
	d.evaluation, err = newEvaluation(c, log)
	d.newHosts.tell = d.newHost
	d.still = func(text string) {
		if !d.report.Live() {
			d.note(text)
		}
	}
	if err == nil && d.here != nil {
		d.Local = true
		d.on, err = d.here.selector()
	}
	if err == nil {
		err = d.newPasswords(c)
	}
	return d, err
}

// wanted reads what is to be done to each node, besides the goal.
func (d *deployment) wanted(c *cli.Context) (err error) {
	switch there, here := c.Bool("build-on-target"), c.Bool("no-build-on-target"); {
	case there && here:
		return usage("--build-on-target and --no-build-on-target contradict each other")
	case there:
		d.BuildOn = plan.OnHost
	case here:
		d.BuildOn = plan.Here
	}
	if err := refuse(c); err != nil {
		return err
	}
	if d.Goal == hive.Keys && d.NoKeys {
		return usage("--no-keys leaves nothing to do for the goal keys")
	}
	if d.Reboot, err = whenToReboot(c, d.Goal); err != nil {
		return err
	}
	if d.keyLimits, err = newKeyLimits(c); err != nil {
		return err
	}
	if d.RebootTimeout, err = duration(c, "reboot-timeout"); err != nil {
		return err
	}
	return d.dryRun(c)
}

// request is what the goal needs of the evaluation.
func (d *deployment) request() nixeval.Request {
	return nixeval.Request{
		Toplevel: d.Goal.NeedsToplevel(), Keys: d.Goal.UploadsKeys() && !d.NoKeys, Guarded: d.Goal.NeedsHost(),
	}
}

// dialAhead connects to the host of each node while its system is being evaluated.
func (d *deployment) dialAhead(ctx context.Context, request nixeval.Request) func(text []byte) {
	if !request.Toplevel || !d.Goal.NeedsHost() || d.here != nil {
		return nil
	}
	var begin sync.Once
	return func(text []byte) {
		// What is wrong with it is told by the evaluation's result.
		if name, target, err := hive.DecodeTarget(text); err == nil && target != nil && d.dialable(target) {
			begin.Do(func() { d.tool.Log.Info().Msg("connecting to the hosts meanwhile") })
			d.hosts.Prepare(ctx, name, d.connection(name, target))
		}
	}
}

// nodes are those to deploy to, as they are evaluated; with --fail-fast all of
// them or the first error.
func (d *deployment) nodes(c *cli.Context, run *evaluating, keep func(path string)) (deploy.Nodes, error) {
	d.passwords.For(len(run.Selected))
	seen := &seen{deployment: d, keep: keep}
	end := run.end
	run.end = func() { end(); seen.all() }
	if !c.Bool("fail-fast") {
		return run.arrivals(seen.node), nil
	}
	nodes, err := run.allSound(seen.node)
	if err != nil && c.Context.Err() == nil {
		err = fmt.Errorf("%w\nnothing was deployed, as --fail-fast asks", err)
	}
	return deploy.Evaluated(nodes), err
}

// recorded makes the deployment one that people and programs see, and that leaves
// documents.
func (d *deployment) recorded(c *cli.Context) error {
	command := c.Command.Name
	if d.DryRun {
		command = "plan"
	}
	r := d.record(command)
	events := newEvents(c, r)
	d.report = report.NewRun(d.view(c, r.Begin, events), r)
	return newDocuments(c, d.report, events)
}

// record is that of a run, or a pass of it, that begins.
func (d *deployment) record(command string) *record.Record {
	return &record.Record{Command: command, Goal: d.Goal, Version: version.Number, Begin: time.Now()}
}

// view is how people see a run that begins; events may be nil.
func (d *deployment) view(c *cli.Context, since time.Time, events *report.Events) report.View {
	// Some are run for what they print.
	verbose, told := c.Bool("verbose") || d.Goal == hive.Exec, plan.StepKind("")
	if d.Goal == hive.DryActivate {
		told = plan.Activate
	}
	// A log has room for everything, and whoever reads it cannot run again.
	verbose = verbose || !onTerminal(c) && !screen(c.App).InJSON()
	if d.Goal.Asks() { // what a command prints stays as it is
		since = time.Time{}
	}
	actions := inActions(c)
	if actions {
		screen(c.App).Stop()
	}
	return report.View{
		Screen: screen(c.App), Style: style(c), Verbose: verbose, Told: told, Events: events,
		Live: d.lively(c), Tabled: d.Goal == hive.Status && !c.Bool("json"), ASCII: asciiOnly(os.Getenv), Quiet: c.Bool("quiet"), Dry: d.DryRun,
		Begin: since, Clock: keyWatching(c), Actions: actions && !d.Goal.Asks(),
		Again: func(nodes []string) string { return again(c, os.Args[0], nodes) },
	}
}

// resolver gets the contents of keys. What keyCommands print on stderr may hold
// secrets: a terminal shows it, and no log has it.
func (d *deployment) resolver(c *cli.Context) *keysource.Resolver {
	r := &keysource.Resolver{
		Limit: d.keyLimits.parallel, Timeout: d.keyLimits.timeout, KeepNothing: c.Bool("watch"),
		ShowErrors: c.Bool("show-key-errors"), Working: d.working,
	}
	if asker(c.App).CanAttend() == nil {
		r.Terminal = asker(c.App)
	}
	if onTerminal(c) && !screen(c.App).InJSON() && !keepsLog(os.Getenv) {
		r.Said = func(node, key, line string) {
			d.report.Emit(event.Event{Time: time.Now(), Node: node, Step: plan.Resolve, Kind: event.Private, Text: fmt.Sprintf("key %q: %s", key, line)})
		}
	}
	return r
}

// tools wires the packages to what a deployment asks for.
func (d *deployment) tools(builder *nixbuild.Builder, resolver *keysource.Resolver, withTexts func(context.Context, hive.Node) (hive.Node, error)) deploy.Tools {
	return deploy.Tools{
		Open: func(ctx context.Context, node hive.Node, note func(string)) (deploy.Host, error) {
			if d.here != nil {
				return d.here.open(ctx, node, d.Goal)
			}
			return d.openHost(ctx, node.Name, d.connection(node.Name, node.Target), note)
		},
		WaitsFor: d.waitsFor,
		Refused:  func(err error) bool { return errors.Is(err, remote.ErrHostKey) },
		Vain:     remote.Vain,
		Lost:     func(err error) bool { return errors.Is(err, remote.ErrConnectionLost) },
		Build: func(ctx context.Context, node hive.Node, output func(string)) error {
			return builder.Build(ctx, nixbuild.Build{
				Node: node.Name, DrvPath: node.Toplevel.DrvPath, OutPath: node.Toplevel.OutPath,
				GCRoot: d.gcRoot(node), Output: output,
			})
		},
		Built:         func(node hive.Node) int { return builder.Built(node.Name) },
		BuildWaitsFor: func(node hive.Node) string { return builder.WaitsFor(node.Name) },
		BuildThere: func(ctx context.Context, host deploy.Host, node hive.Node, output func(string)) error {
			return builder.BuildOnHost(ctx, host, nixbuild.HostBuild{
				Node: node.Name, DrvPath: node.Toplevel.DrvPath, Substitute: d.Substitute, Output: output,
			})
		},
		Closure: builder.Closure,
		AskStore: func(ctx context.Context, host deploy.Host, q closure.Question) (closure.Answer, error) {
			return nixbuild.LookThere(ctx, host, q)
		},
		Store: func(ctx context.Context, host deploy.Host, roots []string, output func(string)) deploy.Store {
			return builder.HostStore(ctx, host, roots, output)
		},
		Release: func(ctx context.Context, host deploy.Host, roots []string) error {
			return nixbuild.Release(ctx, host, roots)
		},
		Known: d.tool.Known,
		CheckSources: func(ctx context.Context, node hive.Node) error {
			if err := d.seeTracked(node); err != nil {
				return err
			}
			return resolver.Check(ctx, node)
		},
		Resolve: func(ctx context.Context, node hive.Node, warn func(string)) (map[string]secret.Secret, error) {
			node, err := withTexts(ctx, node)
			if err != nil {
				return nil, err
			}
			if err := d.buildForKeys(ctx, node); err != nil {
				return nil, err
			}
			return resolver.Resolve(ctx, node, warn)
		},
	}
}

// gcRoot is the link that keeps a node's system, "" without --keep-result.
func (d *deployment) gcRoot(node hive.Node) string {
	dir := d.source.Dir
	if d.source.File != "" {
		dir = filepath.Dir(d.source.File)
	}
	if !d.keepResult || dir == "" {
		return ""
	}
	return filepath.Join(dir, ".gcroots", "node-"+strings.ReplaceAll(node.Name, "/", "_"))
}

// whoAmI names this deployer to one who waits for it.
func whoAmI() string {
	name := "unknown"
	if me, err := user.Current(); err == nil {
		name = me.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s@%s (process %d)", name, host, os.Getpid())
}
