package cli

import (
	"errors"
	"runtime"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/evaluate"
	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nixeval"
	"github.com/colmena-go/colmena-go/pkg/report"
)

func listCommand() *cli.Command {
	return &cli.Command{
		Name:         "list",
		Usage:        "check the deployment options and show the nodes with their targets and tags",
		Description:  "Texts of keys are not evaluated, so what is wrong with one is only found by upload-keys and build.",
		Flags:        append(selectionFlags(), jsonFlag("the nodes")),
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return list(c)
		},
	}
}

func list(c *cli.Context) error {
	// Nix has the processors: to wake a second thread for each node costs more than it does.
	runtime.GOMAXPROCS(1)
	log := plainLog(c)
	e, err := newEvaluation(c, log)
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
	for _, node := range sound {
		for _, warning := range node.Warnings {
			log.Warn().Str("node", node.Name).Msg(warning)
		}
	}
	for _, reason := range reasons(broken) {
		screen(c.App).Tell(zerolog.ErrorLevel, reason)
	}
	if c.Bool("json") {
		err = report.NodesJSON(c.App.Writer, run.Meta, sound, broken)
	} else {
		report.Nodes(c.App.Writer, sound, broken)
	}
	if err == nil && len(broken) > 0 {
		return errNodesFailed
	}
	return err
}

// reasons are the errors of nodes, each once.
func reasons(broken []hive.Broken) (list []string) {
	others, untried := map[string][]string{}, []string(nil)
	var why *evaluate.Untried
	for _, node := range broken {
		var alike *evaluate.Alike
		switch {
		case errors.As(node.Err, &alike):
			others[alike.Other] = append(others[alike.Other], node.Name)
		case errors.As(node.Err, &why):
			untried = append(untried, node.Name)
		}
	}
	for _, node := range broken {
		var told interface{ Brief() string }
		if errors.As(node.Err, &told) {
			continue
		}
		text := node.Err.Error()
		if same := others[node.Name]; len(same) > 0 {
			text += "\n(so it is with " + hive.FirstFew(same) + ")"
		}
		list = append(list, text)
	}
	if why != nil {
		list = append(list, hive.FirstFew(untried)+": "+why.Error())
	}
	return list
}
