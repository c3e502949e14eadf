package cli

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/deploy"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nixeval"
	"github.com/colmena-go/colmena-go/pkg/report"
	"github.com/colmena-go/colmena-go/pkg/secret"
	"github.com/colmena-go/colmena-go/pkg/status"
	"github.com/colmena-go/colmena-go/pkg/upload"
)

// What keys tells, in the order in which it is told.
const (
	keysList   = "list"
	keysStatus = "status"
	keysDiff   = "diff"
)

func keysQuestions() []string { return []string{keysList, keysStatus, keysDiff} }

const keysDescription = `The argument is one of these.

list: which keys the nodes declare, without their contents; no host is asked.

status: how the hosts have them: in place, missing, different, with another owner or mode, or stale (uploaded once and no longer declared); and the states of their units. Contents are compared with what each host remembers of its uploads, for which no source is read; with --resolve, with what the sources give.

diff: what upload-keys would change, for which keys are resolved; the same as upload-keys --dry-run.

Nothing is changed on a host. Exit codes of status and diff: 0 all is as declared, 3 something is not, 1 something failed.`

func keysCommand() *cli.Command {
	flags := selectionFlags()
	for _, name := range []string{"verbose", "fail-fast", "ask-sudo-password", "sudo-password-fd"} {
		flags = append(flags, named(deployFlags(), name))
	}
	return &cli.Command{
		Name:        "keys",
		Usage:       "list the keys, and compare those on the hosts with them",
		ArgsUsage:   "list|status|diff",
		Description: keysDescription,
		Flags: append(append(flags, keyFlags()...), askParallelFlag(), jsonFlag("the same"), sshConfigFlag(),
			&cli.BoolFlag{Name: "resolve", Usage: "with status, compare contents with what the sources give (keyCommands run)"}),
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			question, err := keysQuestion(c)
			switch {
			case err != nil:
				return err
			case question == keysList:
				return listKeys(c)
			case question == keysStatus:
				return runKeysStatus(c)
			}
			return runDeployment(c, hive.Keys)
		},
	}
}

// keysQuestion reads the argument of keys.
func keysQuestion(c *cli.Context) (string, error) {
	args := c.Args().Slice()
	if len(args) != 1 || !slices.Contains(keysQuestions(), args[0]) {
		return "", usage("say what of the keys: `%s keys list`, status or diff", c.App.Name)
	}
	if args[0] != keysStatus && c.Bool("resolve") {
		return "", usage("--resolve goes with keys status")
	}
	for _, name := range []string{"prune-keys", "resolve-all"} {
		if args[0] != keysDiff && c.Bool(name) {
			return "", usage("--%s goes with keys diff", name)
		}
	}
	return args[0], nil
}

// listKeys tells what the nodes declare.
func listKeys(c *cli.Context) error {
	e, err := newEvaluation(c, plainLog(c))
	if err != nil {
		return err
	}
	run, err := e.begin(c, nixeval.Request{}, nil)
	if err != nil {
		return err
	}
	sound, broken, err := run.all()
	if err != nil {
		return err
	}
	for _, reason := range reasons(broken) {
		screen(c.App).Tell(zerolog.ErrorLevel, reason)
	}
	if c.Bool("json") {
		err = report.KeysJSON(c.App.Writer, sound, broken)
	} else {
		err = report.Keys(c.App.Writer, sound, stdoutStyle(c))
	}
	if err == nil && len(broken) > 0 {
		return errNodesFailed
	}
	return err
}

// keysSurvey is a keys status on its way.
type keysSurvey struct {
	*deployment
	// contents gets the contents of a node's keys; nil where the hosts' records do.
	contents func(ctx context.Context, node hive.Node, warn func(string)) (map[string]secret.Secret, error)

	mu    sync.Mutex
	found map[string][]report.KeyStanding // by node
}

func runKeysStatus(c *cli.Context) error {
	d, err := newDeployment(c, hive.Status)
	if err != nil {
		return err
	}
	return d.drive(c, nixeval.Request{Keys: c.Bool("resolve")}, func(s started) error {
		x := &keysSurvey{deployment: d, found: map[string][]report.KeyStanding{}}
		s.tools.Look = x.look
		if c.Bool("resolve") {
			x.contents = s.tools.Resolve
		}
		results := d.deploy(c, d.Options, s.nodes, s.tools)
		d.report.End(results)
		return x.tell(c, results)
	})
}

// look asks one host.
func (x *keysSurvey) look(ctx context.Context, host deploy.Host, node hive.Node) error {
	note := func(text string) { x.tool.Log.Info().Str("node", node.Name).Msg(text) }
	var contents map[string]secret.Secret
	if x.contents != nil && len(node.Keys) > 0 {
		var err error
		if contents, err = x.contents(ctx, node, note); err != nil {
			return fmt.Errorf("resolving the keys: %w", err)
		}
	}
	request := upload.Request{Node: node.Name, Who: x.Who, Note: note}
	var names []string
	for _, key := range node.Keys {
		request.Keys = append(request.Keys, upload.Item{Key: key, Content: contents[key.Attr]})
		names = append(names, key.Unit())
	}
	standings, err := upload.Survey(ctx, host, request, x.contents != nil)
	if err != nil {
		return err
	}
	units, err := status.Units(ctx, host, names)
	if err != nil {
		return err
	}
	list := make([]report.KeyStanding, len(standings))
	for i, s := range standings {
		list[i].KeyStanding = s
		if i < len(names) { // those that are stale follow
			list[i].Unit, list[i].UnitState = names[i], units[names[i]]
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.found[node.Name] = list
	return nil
}

// tell prints what was found.
func (x *keysSurvey) tell(c *cli.Context, results []event.Result) (err error) {
	list, drift := make([]report.NodeKeys, len(results)), false
	for i, r := range results {
		list[i] = report.NodeKeys{Result: r, Keys: x.found[r.Node]}
		drift = drift || list[i].Drifts()
	}
	if x.json {
		err = report.KeyStandingsJSON(c.App.Writer, list)
	} else {
		err = report.KeyStandings(c.App.Writer, list, stdoutStyle(c))
	}
	if err == nil {
		err = verdict(results)
	}
	if err == nil && drift {
		return errChanges
	}
	return err
}
