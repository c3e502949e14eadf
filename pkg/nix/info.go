package nix

import (
	"context"
	"os/exec"
	"slices"
	"strings"
)

// oldest is the first Nix that all here works with.
const oldest = "2.8"

// Fact is something worth knowing of the Nix installation.
type Fact struct{ Name, Text string }

// Info tells what there is to know of this machine's Nix, as far as commands here
// depend on it, and without logins. It fails with [ErrNoNix], or with what Nix said.
func (t Tool) Info(ctx context.Context) ([]Fact, error) {
	version, err := t.Version(ctx)
	if err != nil {
		return nil, err
	}
	// nix-command alone, so that flakes are told of as nix.conf has them.
	args := append([]string{"--extra-experimental-features", "nix-command"}, t.OptionArgs()...)
	show := []string{"show-config"}
	if version.AtLeast(2, 20) {
		show = []string{"config", "show"}
	}
	text, err := t.ask(ctx, "nix", append(args, show...)...)
	if err != nil {
		return nil, err
	}
	config := map[string]string{}
	for line := range strings.Lines(text) { // its JSON has numbers for names in 2.8
		name, value, _ := strings.Cut(line, " =")
		config[name] = strings.TrimSpace(value)
	}
	facts := []Fact{{"nix", aboutVersion(version)}, {"flakes", aboutFlakes(strings.Fields(config["experimental-features"]))}}
	for _, name := range []string{"system", "extra-platforms", "max-jobs", "cores", "builders", "substituters", "sandbox", "store"} {
		if value, ok := config[name]; ok {
			facts = append(facts, Fact{name, orNone(WithoutLogins(value))})
		}
	}
	return facts, nil
}

func aboutVersion(v Version) string {
	text := v.Text
	if path, err := exec.LookPath("nix"); err == nil {
		text += ", " + path
	}
	if !v.AtLeast(2, 8) {
		text += ": " + oldest + " or newer is needed"
	}
	return text
}

func aboutFlakes(features []string) string {
	if slices.Contains(features, "flakes") && slices.Contains(features, "nix-command") {
		return "enabled"
	}
	return "not enabled in nix.conf; colmena-go enables them for what it runs (experimental-features = nix-command flakes)"
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}
