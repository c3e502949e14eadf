package nixeval

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	nixfiles "github.com/colmena-go/colmena-go/nix"
	"github.com/colmena-go/colmena-go/pkg/hive"
)

// What is said of a flake without a hive: which outputs it has in its place, and what
// people who come from other tools make of those.

// elsewhere are outputs for other tools, and how the same is said here.
var elsewhere = []struct{ output, hint string }{
	{"deploy", "`deploy` is for deploy-rs: put the configurations that its profiles activate into nixosConfigurations; a node's hostname is deployment.targetHost there, sshUser deployment.targetUser"},
	{"nixopsConfigurations", "`nixopsConfigurations` is for NixOps: as `colmena`, what `default` holds there is a hive, once nixpkgs and network have become meta, as in `colmena = { meta.nixpkgs = import nixpkgs { system = \"x86_64-linux\"; }; NODE = ./NODE.nix; }`"},
	{"wire", "`wire` is for wire: what its makeHive gets is a hive as `colmena`; deployment.target.host is deployment.targetHost here"},
	{"nixosModules", "`nixosModules` are parts of a configuration: make nodes of a hive of them, as in `colmena = { meta.nixpkgs = import nixpkgs { system = \"x86_64-linux\"; }; NODE = self.nixosModules.NODE; }`"},
	{"darwinConfigurations", "`darwinConfigurations` are not NixOS, and colmena-go deploys nothing else"},
	{"homeConfigurations", "`homeConfigurations` are not NixOS, and colmena-go deploys nothing else"},
}

// noHive is the [ErrNoOutput] of the flake.
func (e *Evaluator) noHive(ctx context.Context) error {
	err := fmt.Errorf("%w: %s has none of the outputs colmenaHive, colmena and nixosConfigurations", ErrNoOutput, e.source)
	if _, there := e.source.Beside(); there {
		return err // nobody needs to know more
	}
	if hint := hintForOutputs(e.outputNames(ctx)); hint != "" {
		err = fmt.Errorf("%w\nhint: %s", err, hint)
	}
	return err
}

// outputNames are the flake's outputs, none if Nix does not tell.
func (e *Evaluator) outputNames(ctx context.Context) (names []string) {
	url, err := lockedURL(ctx, e.tool, e.source, &e.said)
	if err != nil {
		return nil
	}
	args := append([]string{"eval", "--json"}, e.tool.OptionArgs()...)
	args = append(args, "--option", "eval-cache", "false", "--expr", fmt.Sprintf("builtins.attrNames (builtins.getFlake %s).outputs", nixfiles.Quote(url)))
	if e.tool.Impure {
		args = append(args, "--impure")
	}
	text, err := e.tool.Printed(ctx, e.tool.Nix(ctx, args...), nil)
	if err != nil || json.Unmarshal(text, &names) != nil {
		return nil
	}
	return names
}

// hintForOutputs says what to do about a flake that has these outputs.
func hintForOutputs(names []string) string {
	for _, at := range elsewhere {
		if slices.Contains(names, at.output) {
			return at.hint
		}
	}
	for _, wanted := range []string{"nixosConfigurations", "colmenaHive", "colmena"} {
		if near := hive.Nearest(wanted, names); near != "" {
			return fmt.Sprintf("it has `%s`: did you mean %s?", near, wanted)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "it has " + strings.Join(names[:min(8, len(names))], ", ")
}
