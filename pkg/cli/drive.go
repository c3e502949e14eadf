package cli

import (
	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/deploy"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/nixbuild"
	"github.com/colmena-go/colmena-go/pkg/nixeval"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/sshconfig"
)

// started is a deployment whose nodes are known, and arrive.
type started struct {
	evaluated *evaluating
	nodes     deploy.Nodes
	tools     deploy.Tools
	builder   *nixbuild.Builder
}

// drive has the hive evaluated for what is to be done with its nodes, and shows and keeps
// all that is told, until that is over.
func (d *deployment) drive(c *cli.Context, request nixeval.Request, do func(started) error) error {
	defer d.forget()
	defer d.hosts.Close()
	defer d.keepLog(c)()
	defer d.show(c)()
	if (d.Goal.NeedsHost() || d.BuildOn == plan.OnHost) && d.here == nil {
		if err := d.seeOpenSSH(); err != nil {
			return err
		}
		go crash.Guarded(sshconfig.Prepare)() // while Nix evaluates
	}
	evaluated, err := d.begin(c, request, d.dialAhead(c.Context, request))
	if err != nil {
		return d.here.explain(err)
	}
	builder := nixbuild.New(d.tool, nixbuild.BuilderOptions{
		Nodes: len(evaluated.Selected), MachinesFile: evaluated.Meta.MachinesFile, Jobs: d.jobs, Note: d.noteOfBuilds, Watch: d.watchBuilds(),
	})
	defer builder.Close()
	nodes, err := d.nodes(c, evaluated, builder.Keep)
	if err != nil {
		return err
	}
	return do(started{evaluated, nodes, d.tools(builder, d.resolver(c), evaluated.WithTexts), builder})
}

// deploy takes the nodes to the goal, which is recorded and shown.
func (d *deployment) deploy(c *cli.Context, opts deploy.Options, nodes deploy.Nodes, tools deploy.Tools) []event.Result {
	d.report.Expect(nodes.Names)
	current(c.App).Store(d.report)
	defer d.newHosts.flush()
	return deploy.Run(c.Context, nodes, opts, tools, d.report)
}
