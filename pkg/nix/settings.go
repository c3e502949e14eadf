package nix

import (
	"context"
	"encoding/json"
)

// Setting is one of Nix' (nix.conf(5)).
type Setting struct{ Value json.RawMessage }

// Settings are those of Nix with the user's options, wherever they come from: its
// files and what those include, and variables. They may hold logins. It fails with
// [ErrNoNix], with what Nix said, or where that is no JSON.
func (t Tool) Settings(ctx context.Context) (map[string]Setting, error) {
	text, err := t.Printed(ctx, t.Nix(ctx, append([]string{"show-config", "--json"}, t.OptionArgs()...)...), nil)
	if err != nil {
		return nil, err
	}
	var settings map[string]Setting
	err = json.Unmarshal(text, &settings)
	return settings, err
}
