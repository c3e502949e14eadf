package nix

import (
	"regexp"
	"strings"
)

// What Nix says with --log-format internal-json has these in common, whatever it does.
const (
	// BuildLogLine is the type of a result that is a line of a builder's output (Nix,
	// logging.hh).
	BuildLogLine = 101
	// BuilderLines is how many of the last of them an error shows, as nix build does.
	BuilderLines = 10
)

// color is how Nix marks words, whatever its output is.
var color = regexp.MustCompile("\x1b\\[[0-9;]*m")

// Uncolored is what Nix says without colours.
func Uncolored(text string) string {
	if !strings.Contains(text, "\x1b") {
		return text
	}
	return color.ReplaceAllString(text, "")
}
