// Command fleet boots throw-away hosts for people: the demo and the benchmark.
//
//	fleet setup                install what the machine lacks, make the root file system
//	fleet run -n 3 -- COMMAND  run COMMAND among 3 hosts, then take them down
//
// COMMAND finds SSH_CONFIG_FILE, FLEET_HOSTS (names) and FLEET_DIR in its
// environment; `fleet shell HOST SCRIPT` works inside it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/colmena-go/colmena-go/tests/fleet"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			os.Exit(exit.ExitCode())
		}
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("usage: fleet setup | fleet run -n HOSTS -- COMMAND... | fleet shell HOST SCRIPT")
	}
	switch args[0] {
	case "setup":
		return fleet.Setup(context.Background())
	case "run":
		return among(args[1:])
	case "shell":
		return shell(args[1:])
	}
	return fmt.Errorf("there is no command %q", args[0])
}

func among(args []string) error {
	flags := flag.NewFlagSet("fleet run", flag.ContinueOnError)
	n := flags.Int("n", 3, "number of hosts")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("fleet run: no command")
	}
	if os.Getuid() != 0 {
		return errors.New("booting hosts needs root")
	}
	fleet.Enter()
	booting, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	f, err := fleet.Boot(booting, *n)
	if err != nil {
		return err
	}
	defer f.Down()
	if booting.Err() != nil {
		return errors.New("interrupted")
	}
	// ^C reaches the command as well, which ends as it likes to.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	ctx, end := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer end()
	stop()
	var names []string
	env := append(os.Environ(), "SSH_CONFIG_FILE="+f.SSHConfig, "FLEET_DIR="+f.Dir)
	for _, h := range f.Hosts {
		names = append(names, h.Name)
		env = append(env, "FLEET_PID_"+h.Name+"="+strconv.Itoa(h.PID()))
	}
	cmd := exec.CommandContext(ctx, flags.Arg(0), flags.Args()[1:]...)
	cmd.Env = append(env, "FLEET_HOSTS="+strings.Join(names, " "))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	return cmd.Run()
}

// shell runs a script on a host, past SSH, from inside `fleet run`.
func shell(args []string) error {
	if len(args) != 2 || os.Getenv("FLEET_PID_"+args[0]) == "" {
		return errors.New("usage, inside fleet run: fleet shell HOST SCRIPT")
	}
	cmd := exec.Command("nsenter", "-t", os.Getenv("FLEET_PID_"+args[0]), "-m", "-u", "-i", "-n", "-p", "-r", "-w", "/bin/sh", "-c", args[1])
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}
