package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/deploy"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/keysource"
	"github.com/colmena-go/colmena-go/pkg/nix"
	"github.com/colmena-go/colmena-go/pkg/remote"
	"github.com/colmena-go/colmena-go/pkg/report"
	"github.com/colmena-go/colmena-go/pkg/secret"
)

// deployment is what apply, build and upload-keys have in common: argv is read,
// the hive evaluated, its nodes taken to the goal and the results shown.
type deployment struct {
	c      *cli.Context
	goal   hive.Goal
	log    zerolog.Logger
	source nix.Source
	nix    nix.Tool
}

// newDeployment reads the flags.
func newDeployment(c *cli.Context, goal hive.Goal) (*deployment, error) {
	log := newLog(c, c.Bool("verbose"))
	if err := refuse(c, func(text string) { log.Warn().Msg(text) }); err != nil {
		return nil, err
	}
	if goal == hive.Keys && c.Bool("no-keys") {
		return nil, usage("--no-keys leaves nothing to do for the goal keys")
	}
	d := &deployment{c: c, goal: goal, log: log, nix: newNix(c, log)}
	var err error
	d.source, err = source(c)
	return d, err
}

func newNix(c *cli.Context, log zerolog.Logger) nix.Tool {
	tool := nix.Tool{ShowTrace: c.Bool("show-trace"), Impure: c.Bool("impure"), Log: log}
	if options, ok := c.Generic(pairFlag).(*nixOptions); ok {
		tool.Options = options.list
	}
	return tool
}

// run does it.
func (d *deployment) run() error {
	ctx := d.c.Context
	h, err := d.evaluate(ctx)
	if err != nil {
		return err
	}
	if err := d.check(h); err != nil {
		return err
	}
	sink := d.sink(h)
	results := deploy.Run(ctx, h.Nodes, deploy.Options{
		Goal: d.goal, Parallel: d.c.Int("parallel"), NoKeys: d.c.Bool("no-keys"), AlwaysBuild: d.c.Bool("keep-result"),
		ForceReplaceUnknownProfiles: d.c.Bool("force-replace-unknown-profiles"), Who: whoAmI(),
	}, d.tools(h), sink)
	if !inJSON(d.c.App) {
		report.Table(d.c.App.ErrWriter, results, style(d.c))
	}
	if d.c.Bool("json") {
		if err := report.JSON(d.c.App.Writer, results); err != nil {
			return err
		}
	}
	return verdict(results)
}

// sink is what shows events while they happen.
func (d *deployment) sink(h *hive.Hive) deploy.Sink {
	// A dry activation is run for what it prints.
	verbose := d.c.Bool("verbose") || d.goal == hive.DryActivate
	if inJSON(d.c.App) {
		return report.NewLog(d.log, verbose)
	}
	names := make([]string, len(h.Nodes))
	for i, node := range h.Nodes {
		names[i] = node.Name
	}
	// A log has room for everything, and whoever reads it cannot run again.
	return report.NewPlain(d.c.App.ErrWriter, names, verbose || !onTerminal(d.c), style(d.c))
}

func (d *deployment) evaluate(ctx context.Context) (*hive.Hive, error) {
	on, err := selector(d.c)
	if err != nil {
		return nil, err
	}
	d.log.Info().Msgf("evaluating %s", d.source)
	out, err := d.nix.Eval(ctx, d.source, nix.Request{
		Selector: on, Toplevel: d.goal.NeedsToplevel(),
		Keys: d.goal.UploadsKeys() && !d.c.Bool("no-keys"), Guarded: d.goal != hive.Build,
	})
	if err != nil {
		return nil, err
	}
	return hive.Decode(out)
}

// check stops what the hive forbids and what is not there yet.
func (d *deployment) check(h *hive.Hive) error {
	if !h.Meta.AllowApplyAll && !d.c.IsSet("on") && d.goal != hive.Build {
		return errors.New("the hive sets meta.allowApplyAll to false: say which nodes with --on")
	}
	for _, node := range h.Nodes {
		if node.BuildOnTarget && d.goal.NeedsToplevel() && !d.c.Bool("no-build-on-target") {
			return fmt.Errorf("node %q sets deployment.buildOnTarget, which is not supported yet: pass --no-build-on-target to build here", node.Name)
		}
		if node.Target != nil && len(node.Target.SSHOptions) > 0 && d.goal.NeedsHost() {
			return fmt.Errorf("node %q sets deployment.sshOptions, which is not supported yet: put the options into ssh_config", node.Name)
		}
	}
	return nil
}

// tools wires the packages to what a deployment asks for.
func (d *deployment) tools(h *hive.Hive) deploy.Tools {
	resolver := &keysource.Resolver{}
	return deploy.Tools{
		Dial: func(ctx context.Context, node hive.Node, note func(string)) (deploy.Host, error) {
			t := node.Target
			host, err := remote.Dial(ctx, remote.Config{
				Host: t.Host, Port: t.Port, User: t.User, Escalate: t.Escalate,
				SSHConfigFile: os.Getenv("SSH_CONFIG_FILE"), Note: note,
				Log: d.log.With().Str("node", node.Name).Logger(),
			})
			if err != nil {
				return nil, err // not a *remote.Host that is nil
			}
			return host, nil
		},
		Build: func(ctx context.Context, node hive.Node, output func(string)) error {
			return d.nix.Build(ctx, node.Toplevel.DrvPath, nix.BuildOptions{
				MachinesFile: h.Meta.MachinesFile, GCRoot: d.gcRoot(node), Output: output,
			})
		},
		Copy: func(ctx context.Context, outPath, socket string, output func(string)) error {
			return d.nix.Copy(ctx, outPath, socket, nix.CopyOptions{Substitute: !d.c.Bool("no-substitute"), Output: output})
		},
		Known: d.nix.Known,
		Resolve: func(ctx context.Context, node hive.Node, warn func(string)) (map[string]secret.Secret, error) {
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
	if !d.c.Bool("keep-result") || dir == "" {
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
