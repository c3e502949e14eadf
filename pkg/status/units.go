package status

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/hostscript"
	"github.com/colmena-go/colmena-go/pkg/printable"
)

//go:embed units.sh
var unitsScript []byte

// NoUnit is the state of a unit that the host does not have.
const NoUnit = "not found"

// mostOfUnit is how long what a host says of a unit may be, in bytes.
const mostOfUnit = 200

// Units asks a host in which states units are: active, inactive, failed, ... or [NoUnit], by
// name. One of which the host says nothing that makes sense is left out. It fails with what
// keeps the host from answering.
func Units(ctx context.Context, host hostscript.Runner, names []string) (map[string]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, askLimit, errNoAnswer)
	defer cancel()
	out := answer{room: mostAround + mostOfUnit*len(names)}
	err := hostscript.Run(ctx, host, hostscript.Call{
		Script: unitsScript, Limit: askLimit, Stdin: bytes.NewReader(hostscript.List(names...)), Stdout: &out,
	})
	if err != nil {
		return nil, fmt.Errorf("asking the host about units: %w", err)
	}
	return readUnits(out.text.String(), names), nil
}

// readUnits reads what systemctl says of each.
func readUnits(text string, names []string) map[string]string {
	text, ended := strings.CutSuffix(text, ".\n")
	blocks := strings.Split(strings.TrimSuffix(text, "\n"), "\n\n")
	states := map[string]string{}
	if !ended || len(blocks) != len(names) { // there is no systemd, say
		return states
	}
	for i, block := range blocks {
		load, active := "", ""
		for _, line := range strings.Split(block, "\n") {
			name, value, _ := strings.Cut(line, "=")
			switch name {
			case "LoadState":
				load = value
			case "ActiveState":
				active = value
			}
		}
		switch {
		case load == "not-found":
			states[names[i]] = NoUnit
		case active != "":
			states[names[i]] = printable.Said(active, mostOfWord)
		}
	}
	return states
}
