package nixbuild

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/colmena-go/colmena-go/pkg/nix"
)

// BuildError is why one system could not be built. Systems that fail for the
// same reason have the same text.
type BuildError struct {
	failures []*failedDrv
	onHost   bool
}

// How much an error says.
const (
	mostErrors      = 3
	mostReasonLines = 8
	longestLine     = 500 // bytes
)

func (e *BuildError) Error() string {
	var text strings.Builder
	where := ""
	if e.onHost {
		where = ", on the host"
	}
	for i, f := range e.failures {
		if i == mostErrors {
			fmt.Fprintf(&text, "\nand %d more failed", len(e.failures)-i)
			break
		}
		if i > 0 {
			text.WriteString("\n")
		}
		text.WriteString(f.reason)
		if !strings.Contains(f.reason, f.path) {
			fmt.Fprintf(&text, " (%s)", f.path)
		}
		if len(f.lines) > 0 {
			fmt.Fprintf(&text, "\nthe builder's last lines (all of them%s: nix log %s):\n> %s", where, f.path, strings.Join(f.lines, "\n> "))
		}
	}
	return text.String() + e.hint()
}

// otherKind is what Nix says of a derivation for another kind of machine, until 2.28 and
// since.
var otherKind = regexp.MustCompile(`(?s)a '([^']+)' with features .* is required to build .* but I am a '([^']+)'` +
	`|Required system: '([^']+)'.*Current system: '([^']+)'`)

// hint is what to do where a machine cannot build at all, or "".
func (e *BuildError) hint() string {
	for _, f := range e.failures {
		found := otherKind.FindStringSubmatch(f.reason)
		if found == nil {
			continue
		}
		switch required, current := found[1]+found[3], found[2]+found[4]; {
		case required == current: // it lacks a feature
		case e.onHost:
			return fmt.Sprintf("\nhint: the host builds for %s, and its node is for %s: correct the system of the node's nixpkgs, or build elsewhere", current, required)
		default:
			return fmt.Sprintf("\nhint: this machine cannot build for %s: have the host do it (deployment.buildOnTarget), name a builder in meta.machinesFile, or emulate it (boot.binfmt.emulatedSystems)", required)
		}
	}
	return ""
}

// whole is why a build failed that no derivation is to blame for: what Nix said
// of it, or how it ended.
func (l *buildLog) whole(err error) error {
	said := l.unplaced
	if f := (*nix.Failure)(nil); len(said) == 0 && errors.As(err, &f) && len(f.Said) > 0 {
		said = []string{reason(strings.Join(f.Said, "\n"))}
	}
	if len(said) == 0 {
		said = l.summaries
	}
	if len(said) == 0 {
		return fmt.Errorf("nix-store: %w", err)
	}
	return errors.New(strings.Join(said, "\n"))
}

var (
	// Where newer versions begin to list outputs and to repeat the builder's lines.
	lastLines = regexp.MustCompile(`(?im);?\s*^\s*(output paths:|last \d+ log lines|for full logs\b).*`)
	anyStore  = `/[^\s'"<>]*?/[0-9a-z]{32}-[0-9A-Za-z+._?=-]+`
	storePath = regexp.MustCompile(anyStore)
	drvPath   = regexp.MustCompile(anyStore + `\.drv`)
)

// reason is what is wrong in an error's text, without the lines that are kept apart.
func reason(text string) string {
	if at := lastLines.FindStringIndex(text); at != nil {
		text = text[:at[0]]
	}
	var lines []string
	for _, line := range strings.Split(strings.TrimPrefix(strings.TrimSpace(text), "error:"), "\n") {
		if line = strings.TrimSpace(line); line != "" && len(lines) < mostReasonLines {
			lines = append(lines, shortLine(line))
		}
	}
	return strings.Join(lines, "\n")
}

// shortLine is a line without colours and logins that is not too long to show.
func shortLine(text string) string {
	text = strings.TrimRight(nix.WithoutLogins(nix.Uncolored(text)), " \t")
	if len(text) <= longestLine {
		return text
	}
	cut := longestLine
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// storeName is the name in a store path, as people know it: linux-6.6.31.
func storeName(path string) string {
	name := strings.TrimSuffix(storeBase(path), ".drv")
	if len(name) > 33 && name[32] == '-' {
		name = name[33:]
	}
	return shortLine(name)
}

// storeBase is a store path without the store.
func storeBase(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
