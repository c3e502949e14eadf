package cli

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/hive"
)

// What wrong words were probably meant to be.

// elsewhere is what people write who come from other tools, or have read of an
// older one, and what it is here.
var elsewhere = map[string]string{
	"--limit": "--parallel", "--jobs": "--parallel", // Colmena's manual has --limit still
	"--nodes": "--on", "--host": "--on", "--hosts": "--on", "--target": "--on", "--target-host": "--on", "--include": "--on",
	"--tag": "--on @TAG", "--tags": "--on @TAG", "--skip": "--exclude", "--all": "--on '*'",
	"--file": "--config", "--flake": "--config", "--hive": "--config",
	"--goal": "apply GOAL", "--dry": "plan", "--check": "plan", "--diff": "plan", "--confirm": "--ask", "--build-only": "build", "--keys-only": "upload-keys",
	"--debug": "--verbose", "--no-color": "--color never", "--no-colour": "--color never",
	"--option": "--nix-option", "--max-jobs": "--build-jobs", "--cores": "--nix-option cores N", "--builders": "--nix-option builders VALUE",
	"--user": "deployment.targetUser", "--port": "deployment.targetPort", "--ssh-config-file": "--ssh-config", "--ssh-option": "deployment.sshOptions",
	"--use-remote-sudo": "deployment.privilegeEscalationCommand", "--ask-become-pass": "--ask-sudo-password", "--interactive-sudo": "--ask-sudo-password",

	"deploy": "apply", "secrets": "upload-keys", "upload": "upload-keys",
	"ls": "list", "nodes": "list", "show": "list",
}

// remotely is what flags of apply-local are called where there are other hosts.
var remotely = map[string]string{"--sudo": "deployment.privilegeEscalationCommand", "--node": "--on"}

// instead suggests what a command has in the place of another's flag.
func instead(command *cli.Command, word string) string {
	switch what := remotely[word]; {
	case what != "" && named(command.Flags, "on") != nil:
		return didYouMean(what)
	case word != "--on":
		return ""
	case named(command.Flags, "node") != nil:
		return didYouMean("--node")
	case named(command.Flags, "E") != nil:
		return ": name nodes in the expression, as in -E '{ nodes, ... }: nodes.web.config.networking.hostName'"
	}
	return ""
}

func didYouMean(what string) string { return "; did you mean " + what + "?" }

func (a *arrangement) didYouMean(name string) string {
	command := a.command()
	if what, known := elsewhere["--"+name]; known {
		return a.ifTaken(command, what)
	}
	if _, err := hive.ParseGoal(name); err == nil {
		return didYouMean("apply " + name)
	}
	var names []string
	all := append([][]cli.Flag{a.app.Flags}, commandFlags(a.app)...)
	if command != nil {
		all = [][]cli.Flag{a.app.Flags, command.Flags}
	}
	for _, flags := range all {
		for _, flag := range flags {
			names = append(names, flag.Names()...)
		}
	}
	names = slices.DeleteFunc(names, func(name string) bool { return len(name) == 1 })
	return near(name, names, "--")
}

// command is the one that is given, wherever it stands; nil if there is none yet.
func (a *arrangement) command() *cli.Command {
	for _, word := range a.argv[1:] {
		if c := a.app.Command(word); c != nil {
			return c
		}
	}
	return nil
}

// ifTaken suggests what is written in the place of a flag, or of which node this
// machine is, if that is for the command.
func (a *arrangement) ifTaken(command *cli.Command, what string) string {
	name, isFlag := strings.CutPrefix(strings.Fields(what)[0], "--")
	switch {
	case !isFlag || command == nil || named(a.app.Flags, name) != nil || named(command.Flags, name) != nil:
		return didYouMean(what)
	case name == "on" && named(command.Flags, "node") != nil:
		return didYouMean("--node")
	}
	return ""
}

func commandFlags(app *cli.App) (flags [][]cli.Flag) {
	for _, command := range app.Commands {
		flags = append(flags, command.Flags)
	}
	return flags
}

func (a *arrangement) nearCommand(name string) string {
	if what, known := elsewhere[name]; known {
		return didYouMean(what)
	}
	if _, err := hive.ParseGoal(name); err == nil {
		return didYouMean("apply " + name)
	}
	var names []string
	for _, command := range a.app.Commands {
		names = append(names, command.Name)
	}
	return near(name, names, "")
}

// near suggests the name that was probably meant, if any is near.
func near(word string, names []string, prefix string) string {
	if name := hive.Nearest(word, names); name != "" {
		return didYouMean(prefix + name)
	}
	return ""
}

// onceEnough tells how a flag holds several values.
func onceEnough(flag cli.Flag) string {
	if name := flag.Names()[0]; name == "on" || name == "exclude" {
		return ": write all in one, separated by commas"
	}
	return ""
}

// meant says how arguments that are no goal are written.
func meant(c *cli.Context, args []string) string {
	on := c.String("on")
	switch {
	case slices.ContainsFunc(args, likeAHive):
		return "to say where the hive is, write --config FILE"
	case named(c.Command.Flags, "node") != nil:
		return "to say which node this machine is, write --node " + args[0]
	case named(c.Command.Flags, "on") == nil:
		return "leave it out"
	case on != "":
		return "to select several nodes, write --on " + strings.Join(append([]string{on}, args...), ",")
	}
	return "to select nodes, write --on " + strings.Join(args, ",")
}

func likeAHive(arg string) bool {
	return strings.HasPrefix(arg, ".") || strings.ContainsAny(arg, "/#") || strings.HasSuffix(arg, ".nix")
}
