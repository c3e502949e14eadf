package manual

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	flagName   = regexp.MustCompile(`--([a-z][a-z-]+)`)
	optionName = regexp.MustCompile(`\b(?:deployment|meta)\.([a-zA-Z]+)`)

	declaredFlag   = regexp.MustCompile(`(?:Name:\s*|Aliases: \[\]string\{|Flag\s*= )"([a-z][a-z-]+)"`)
	declaredOption = regexp.MustCompile(`(?m)^\s+([a-zA-Z]+) = mkOption`)
)

// elsewhere are flags of other programs that the manual writes down.
var elsewhere = []string{
	"help",
	"decrypt", "extract", "identity", // sops, age, gpg
	"raw", "extra-experimental-features", "to", "update", "serve", "verify", "check-contents", "repair", // nix
	"rm", "flake", "target-host", "add", "bind", // docker, nixos-rebuild, nix-channel, mount
}

// others are pages whose first column has the words of other tools.
func others(name string) bool { return strings.Contains(name, "coming-from/") }

// What the manual calls a flag or an option is one. In the tables of pages for who
// comes from elsewhere, that is asked of our columns alone.
func TestTheManualNamesWhatThereIs(t *testing.T) {
	declared := sources(t)
	var flags, options []string
	for _, m := range declaredFlag.FindAllStringSubmatch(declared, -1) {
		flags = append(flags, m[1])
	}
	for _, m := range declaredOption.FindAllStringSubmatch(declared, -1) {
		options = append(options, m[1])
	}
	if len(flags) < 40 || len(options) < 30 {
		t.Fatalf("%d flags, %d options", len(flags), len(options))
	}
	names, err := filepath.Glob("../../docs/*.md")
	more, err2 := filepath.Glob("../../docs/coming-from/*.md")
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	for _, name := range append(append(names, more...), "../../README.md") {
		if base := filepath.Base(name); slices.Contains(apart, base) {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for number, line := range strings.Split(string(text), "\n") {
			if cells := strings.Split(line, "|"); others(name) && len(cells) > 3 {
				line = strings.Join(cells[2:], "|")
			} else if others(name) {
				continue
			}
			line = link.ReplaceAllString(line, "]")
			for _, m := range flagName.FindAllStringSubmatch(line, -1) {
				if !slices.Contains(flags, m[1]) && !slices.Contains(elsewhere, m[1]) {
					t.Errorf("%s:%d: there is no flag --%s", name, number+1, m[1])
				}
			}
			for _, m := range optionName.FindAllStringSubmatch(line, -1) {
				if !slices.Contains(options, m[1]) {
					t.Errorf("%s:%d: there is no option %s", name, number+1, m[0])
				}
			}
		}
	}
}
