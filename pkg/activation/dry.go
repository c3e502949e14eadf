package activation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/printable"
)

// dryLimit is how long a host may take to say what an activation would do: as a switch
// does, it may wait for the end of the boot first.
const dryLimit = 30 * time.Second

var errNoDryAnswer = fmt.Errorf("no answer within %s", dryLimit)

// dryLength is how much of what is printed is read, in bytes.
const dryLength = 256 << 10

// dryQuestion runs a system's switch-to-configuration, and then says with which status.
const dryQuestion = `cd / && HOME=/root PATH=${PATH:-/bin}:/run/current-system/sw/bin:/usr/sbin:/usr/bin:/sbin:/bin %s/bin/switch-to-configuration dry-activate 2>&1 </dev/null; status=$?; echo; echo status $status`

// DryRun asks a system that the host has what its activation would do to units. The program
// that answers is the system's own; NixOS' changes nothing but a lock file and lists in
// /run/nixos, and runs the activation scripts that support a dry activation.
func DryRun(ctx context.Context, host hostscript.Runner, toplevel string) (plan.Units, error) {
	if !safePath.MatchString(toplevel) {
		return plan.Units{}, fmt.Errorf("%q is not the path of a system in the Nix store", toplevel)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, dryLimit+5*time.Second, errNoDryAnswer)
	defer cancel()
	var said beginning
	err := hostscript.Run(ctx, host, hostscript.Call{
		Program: fmt.Sprintf(dryQuestion, toplevel),
		Limit:   dryLimit, Stdin: strings.NewReader(""), Stdout: &said,
	})
	if err != nil {
		return plan.Units{}, err
	}
	text, status, ended := cutLast(said.String(), "\nstatus ")
	switch status = strings.TrimSpace(status); {
	case !ended:
		return plan.Units{}, errors.New("it says more than makes sense")
	case status != "0":
		return plan.Units{}, fmt.Errorf("switch-to-configuration dry-activate ended with %s: %s", printable.Said(status, 20), lastLine(text))
	}
	return unitsIn(text), nil
}

func cutLast(text, sep string) (before, after string, found bool) {
	if at := strings.LastIndex(text, sep); at >= 0 {
		return text[:at], text[at+len(sep):], true
	}
	return text, "", false
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return printable.Said(lines[len(lines)-1], saidSize)
}

// beginning keeps no more than makes sense of what a program prints.
type beginning struct{ bytes.Buffer }

func (b *beginning) Write(p []byte) (int, error) {
	if b.Len()+len(p) > dryLength {
		return 0, errTooMuch
	}
	return b.Buffer.Write(p)
}

// How much of the names of units is kept.
const (
	mostNames = 1000
	nameSize  = 256 // bytes: systemd takes no longer ones
)

// unitsIn reads what both of NixOS' versions of the program print on a dry activation.
func unitsIn(text string) plan.Units {
	var u plan.Units
	for _, list := range []struct {
		says string
		to   *[]string
	}{
		{"would stop the following units: ", &u.Stop},
		{"would NOT stop the following changed units: ", &u.Keep},
		{"would NOT restart the following changed units: ", &u.Keep},
		{"would restart the following units: ", &u.Restart},
		{"would reload the following units: ", &u.Reload},
		{"would start the following units: ", &u.Start},
	} {
		for line := range strings.Lines(text) {
			if names, ok := strings.CutPrefix(line, list.says); ok {
				*list.to = append(*list.to, unitNames(names)...)
			}
		}
	}
	if strings.Contains("\n"+text, "\nwould restart systemd\n") {
		u.Restart = append(u.Restart, "systemd")
	}
	// What is stopped and then started is restarted, as people see it.
	for _, unit := range u.Stop {
		if slices.Contains(u.Start, unit) {
			u.Restart = append(u.Restart, unit)
		}
	}
	restarts := func(unit string) bool { return slices.Contains(u.Restart, unit) }
	u.Stop, u.Start = slices.DeleteFunc(u.Stop, restarts), slices.DeleteFunc(u.Start, restarts)
	for _, list := range []*[]string{&u.Stop, &u.Start, &u.Restart, &u.Reload, &u.Keep} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return u
}

func unitNames(text string) (names []string) {
	for name := range strings.SplitSeq(strings.TrimSpace(text), ", ") {
		if name = printable.Said(name, nameSize); name != "" && len(names) < mostNames {
			names = append(names, name)
		}
	}
	return names
}
