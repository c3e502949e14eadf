package nix

import (
	"context"
	"encoding/json"

	"github.com/colmena-go/colmena-go/pkg/crash"
)

// setting is one of Nix' (nix.conf(5)).
type setting struct{ Value json.RawMessage }

// beginSettings begins to ask for the settings, and returns what waits for them; they
// are nil where they cannot be had.
func (t Tool) beginSettings(ctx context.Context) func() map[string]setting {
	var got map[string]setting
	done := make(chan struct{})
	go crash.Guarded(func() {
		defer close(done)
		got, _ = t.settings(ctx)
	})()
	return func() map[string]setting {
		<-done
		return got
	}
}

// settings are those of Nix with the user's options, wherever they come from: its
// files and what those include, and variables. They may hold logins.
func (t Tool) settings(ctx context.Context) (map[string]setting, error) {
	text, err := t.printed(ctx, t.nix(ctx, append([]string{"show-config", "--json"}, t.optionArgs()...)...), nil)
	if err != nil {
		return nil, err
	}
	var settings map[string]setting
	err = json.Unmarshal(text, &settings)
	return settings, err
}
