package nix

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Version is a Nix as it tells of itself, such as "nix (Nix) 2.8.0".
type Version struct {
	Text         string
	Major, Minor int // 0.0 where the text holds no number
}

// AtLeast reports whether it is that version or a newer one.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

// versionNumber is the last word but for what follows its first two numbers:
// others put their own number before Nix'.
var versionNumber = regexp.MustCompile(`(\d+)\.(\d+)\S*\s*$`)

func parseVersion(text string) Version {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	v := Version{Text: line}
	if found := versionNumber.FindStringSubmatch(line); found != nil {
		v.Major, _ = strconv.Atoi(found[1])
		v.Minor, _ = strconv.Atoi(found[2])
	}
	return v
}

// Version asks Nix for it. It fails with [ErrNoNix] or with what Nix said.
func (t Tool) Version(ctx context.Context) (Version, error) {
	text, err := t.ask(ctx, "nix", "--version")
	return parseVersion(text), err
}

// askLimit is how long Nix may take to answer what needs no evaluation.
const askLimit = 20 * time.Second

// ask runs a program of Nix that soon answers with a text.
func (t Tool) ask(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, askLimit, fmt.Errorf("%s %s: no answer within %s", name, strings.Join(args, " "), askLimit))
	defer cancel()
	text, err := t.Printed(ctx, t.Command(ctx, name, args...), nil)
	return strings.TrimSpace(string(text)), err
}
