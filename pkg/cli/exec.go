package cli

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/colmena-go/colmena-go/pkg/deploy"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/remote"
	"github.com/colmena-go/colmena-go/pkg/report"
	"github.com/colmena-go/colmena-go/pkg/shell"
)

func execCommand() *cli.Command {
	return &cli.Command{
		Name:        "exec",
		Usage:       "run a command on the nodes' hosts",
		ArgsUsage:   "[--] COMMAND [ARGUMENTS]",
		Description: "The words are joined by spaces and read by the login shell of each host, as with ssh. They run as root: where deployment.targetUser is another user, with deployment.privilegeEscalationCommand. Our own flags go before the command.",
		Flags: append(append(append(selectionFlags(), passwordFlags()...),
			&cli.StringFlag{Name: "parallel", Aliases: []string{"p"}, Value: "0", DefaultText: "all", Usage: "run on at most `N` hosts at once; 0 means all"},
			&cli.StringFlag{Name: "timeout", DefaultText: "none", Usage: "end the command where it takes longer than `TIME` (90s, 5m)"},
			&cli.BoolFlag{Name: "argv", Usage: "run exactly these words: no shell expands anything"},
			&cli.BoolFlag{Name: "stdin", Usage: "send standard input to every command; without it they get none"},
			&cli.BoolFlag{Name: "tty", Usage: "give the command a terminal, for what is used by hand; of one host only"},
			&cli.BoolFlag{Name: "group", Usage: "show outputs at the end, those that are equal once for all their nodes"},
			jsonFlag("outputs and statuses"), eventsFlag(),
			&cli.BoolFlag{Name: "no-escalation", Usage: "run as the user who logs in, not as root"},
			quietFlag(),
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "tell more of what is done"},
			sshConfigFlag(),
		), fileFlags()...),
		OnUsageError: onUsageError,
		Action:       execAction,
	}
}

// execution is a command on its way to many hosts.
type execution struct {
	*deployment
	command  shell.Command
	timeout  time.Duration // 0: none
	plain    bool          // without privileges
	input    *shell.Input  // nil for none
	streams  report.Streams
	prefixed *report.Prefixed // nil with --json, --json-events and --group
}

// inputLimit is how much input is kept for all hosts, in bytes.
const inputLimit = 64 << 20

func execAction(c *cli.Context) error {
	words := c.Args().Slice()
	switch {
	case len(words) == 0:
		return usage("exec needs a command, as in `%s exec --on web -- uptime`", c.App.Name)
	case c.Bool("tty") && (c.Bool("json") || c.Bool("group") || c.Bool("stdin") || c.IsSet("timeout")):
		return usage("--tty hands the terminal to the command: --json, --group, --stdin and --timeout have no place there")
	case c.Bool("tty") && (c.Bool("json-events") || c.IsSet("report") || c.IsSet("metrics") || c.IsSet("trace")):
		return usage("--tty hands the terminal to the command, and records nothing: --json-events, --report, --metrics and --trace have no place there")
	case c.Bool("tty") && !(term.IsTerminal(int(os.Stdin.Fd())) && stdoutIsTerminal(c)):
		return usage("--tty needs a terminal as standard input and output")
	case c.Bool("group") && (c.Bool("json") || c.Bool("json-events")):
		return usage("--group and JSON are two forms of one output: choose one")
	}
	x := &execution{command: shell.Line(words), plain: c.Bool("no-escalation")}
	if c.Bool("argv") {
		x.command = shell.Exact(words)
	}
	var err error
	if x.timeout, err = duration(c, "timeout"); err != nil {
		return err
	}
	if x.deployment, err = newDeployment(c, hive.Exec); err != nil {
		return err
	}
	if c.Bool("stdin") {
		x.input = shell.Share(os.Stdin, inputLimit)
	}
	return x.drive(c, x.request(), func(s started) error {
		if c.Bool("tty") {
			return x.runOnTerminal(c, s.nodes)
		}
		return x.run(c, s.nodes)
	})
}

// run runs the command on the selected nodes and shows what it prints.
func (x *execution) run(c *cli.Context, nodes deploy.Nodes) (err error) {
	pipe := report.NewPipe(c.Context, screen(c.App).Beside(c.App.Writer))
	kept := x.outputs(c, pipe)
	if x.prefixed != nil {
		x.prefixed.Expect(nodes.Names)
	}
	results := x.deploy(c, x.Options, nodes, deploy.Tools{Open: x.open, Exec: x.exec, WaitsFor: x.waitsFor})
	pipe.Close()
	switch {
	case x.json:
		err = kept.JSON(c.App.Writer, x.report.Record(), results, time.Now())
	case kept != nil:
		err = kept.Groups(c.App.Writer, results, stdoutIsTerminal(c))
	}
	x.report.End(results)
	if err != nil {
		return err
	}
	return verdict(results)
}

// outputs decides where those of commands go; what is kept of them is nil where they are shown as
// they come.
func (x *execution) outputs(c *cli.Context, pipe io.Writer) *report.Kept {
	if c.Bool("json-events") {
		x.streams = report.Told{Sink: x.report}
		return nil
	}
	if x.json || c.Bool("group") {
		kept := &report.Kept{}
		x.streams = kept
		return kept
	}
	terminal := stdoutIsTerminal(c)
	x.prefixed = &report.Prefixed{Out: pipe, Sink: x.report, Filter: terminal,
		Style: report.Style(coloured(c.String("color"), terminal, os.Getenv))}
	x.streams = x.prefixed
	return nil
}

func stdoutIsTerminal(c *cli.Context) bool { return stdoutColumns(c) > 0 }

// stdoutColumns is how wide the terminal is that standard output is; 0 if it is none.
func stdoutColumns(c *cli.Context) int {
	out, ours := c.App.Writer.(*output)
	if !ours {
		return 0
	}
	file, is := out.to.(*os.File)
	if !is || !term.IsTerminal(int(file.Fd())) {
		return 0
	}
	if columns, _, err := term.GetSize(int(file.Fd())); err == nil && columns > 0 {
		return columns
	}
	return math.MaxInt // it does not tell
}

// config says how to reach a node, and whether commands are to be root's there.
func (x *execution) config(node hive.Node) remote.Config {
	cfg := x.connection(node.Name, node.Target)
	cfg.Commands = true
	if x.plain {
		cfg.Escalate = nil
	}
	return cfg
}

func (x *execution) open(ctx context.Context, node hive.Node, note func(string)) (deploy.Host, error) {
	return x.openHost(ctx, node.Name, x.config(node), note)
}

// exec runs the command on one host.
func (x *execution) exec(ctx context.Context, host deploy.Host, node hive.Node) (status int, err error) {
	stdout, stderr, end := x.streams.Of(node.Name)
	defer end()
	if x.timeout > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeoutCause(ctx, x.timeout, fmt.Errorf("the command did not end within %s (--timeout), and was ended", x.timeout))
		defer cancel()
	}
	var stdin io.Reader
	if x.input != nil {
		stdin = x.input.Reader(ctx)
	}
	return shell.Run(ctx, host, x.command, stdin, stdout, stderr)
}
