package nix

import (
	"bytes"
	"context"
	"encoding/json"
)

// setting is one of Nix' (nix.conf(5)).
type setting struct{ Value json.RawMessage }

// settings are those of Nix with the user's options, wherever they come from: its
// files and what those include, and variables. They may hold logins.
func (t Tool) settings(ctx context.Context) (map[string]setting, error) {
	args := append(append([]string{}, features...), "show-config", "--json")
	cmd := t.command(ctx, "nix", append(args, t.optionArgs()...)...)
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := t.run(ctx, cmd, nil); err != nil {
		return nil, err
	}
	var settings map[string]setting
	err := json.Unmarshal(out.Bytes(), &settings)
	return settings, err
}
