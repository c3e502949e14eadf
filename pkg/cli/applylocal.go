package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/ask"
	"github.com/colmena-go/colmena-go/pkg/deploy"
	"github.com/colmena-go/colmena-go/pkg/escalation"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/local"
)

// applyLocal is the command without hosts, which deploys to this machine.
const applyLocal = "apply-local"

func applyLocalCommand() *cli.Command {
	var flags []cli.Flag
	for _, name := range []string{"verbose", "quiet", "json", "json-events", "report", "metrics", "trace", "no-keys", "keep-result", "build-jobs", "force-replace-unknown-profiles", "eval-memory", "no-eval-cache"} {
		flags = append(flags, named(deployFlags(), name))
	}
	return &cli.Command{
		Name:        applyLocal,
		Usage:       "build this machine's own system, activate it, and bring its keys",
		ArgsUsage:   "[GOAL]",
		Description: "For a node with deployment.allowLocalDeployment, on the machine itself: no SSH is used, and nothing is copied. GOAL is as for apply; push is the same as build.",
		Flags: append(append(append(append(flags, keyFlags()...), dryFlags()...), passwordFlags()...),
			&cli.BoolFlag{Name: "sudo", Usage: "become root with deployment.privilegeEscalationCommand, which may ask for a password"},
			&cli.StringFlag{Name: "node", Usage: "the `NODE` that this machine is; by default the one of its host name"},
		),
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

// here is this machine as the node to deploy to.
type here struct {
	node  string
	named bool // with --node
	sudo  bool

	asker     *ask.Asker
	passwords *escalation.Passwords
}

// newHere reads the flags of apply-local; nil for other commands.
func newHere(c *cli.Context) (*here, error) {
	if c.Command.Name != applyLocal {
		return nil, nil
	}
	h := &here{node: c.String("node"), named: c.IsSet("node"), sudo: c.Bool("sudo"), asker: asker(c.App)}
	if h.named && h.node == "" {
		return nil, usage("--node is empty: name a node, or leave the flag out")
	}
	if h.named {
		return h, nil
	}
	var err error
	h.node, err = os.Hostname()
	return h, err
}

// selector selects the node alone.
func (h *here) selector() (hive.Selector, error) { return hive.ParseSelector(hive.Literal(h.node)) }

// explain has an error of the evaluation speak of the one node, and not of patterns.
func (h *here) explain(err error) error {
	var none *hive.Unmatched
	if h == nil || !errors.As(err, &none) {
		return err
	}
	if err = none.Node(h.node); h.named {
		return err
	}
	return fmt.Errorf("%w\nhint: that is this machine's host name: say with --node which node it is", err)
}

// take looks whether the node may be deployed to here, and makes this machine its host.
func (h *here) take(node *hive.Node) error {
	if !node.AllowLocalDeployment {
		return fmt.Errorf("local deployment is not enabled for node %q: set its deployment.allowLocalDeployment to true", node.Name)
	}
	node.Target = &hive.Target{Host: "this machine"}
	return nil
}

// open makes the machine a host.
func (h *here) open(ctx context.Context, node hive.Node, goal hive.Goal) (deploy.Host, error) {
	changes := goal.Activates() || goal.UploadsKeys()
	if changes {
		if err := local.SeeNixOS("/"); err != nil {
			return nil, err
		}
	}
	cfg := local.Config{}
	switch {
	case os.Geteuid() == 0 || !changes:
	case !h.sudo:
		return nil, errors.New("only root can do that: pass --sudo, which uses deployment.privilegeEscalationCommand, or run as root")
	case len(node.Escalate) == 0:
		return nil, errors.New("--sudo has nothing to become root with: deployment.privilegeEscalationCommand is empty")
	default:
		cfg.Escalate = node.Escalate
		cfg.Node, cfg.Passwords = node.Name, h.passwords
		if h.asker.CanLend() == nil {
			text := "becoming root with " + strings.Join(node.Escalate, " ")
			cfg.Lend = func(ctx context.Context, use func(context.Context, *os.File) error) error {
				said := text
				text = "" // once is enough
				return h.asker.Lend(ctx, node.Name, said, use)
			}
		}
	}
	host, err := local.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return host, nil
}
