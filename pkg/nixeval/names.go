package nixeval

import (
	"regexp"
	"strings"
)

// What every module gets holds nothing whose name is a secret, so a name that is missing
// below it is shown, wherever it is written.
var (
	belowRoot = regexp.MustCompile(`(?:^|[^\w.'"-])((nodes|config|options|pkgs)((?:\.(?:[\w'-]+|"[^"$\\]*"|\$\{[^}"]*\}))+))`)
	component = regexp.MustCompile(`\.([\w'-]+)|\."([^"]*)"|\.\$\{([^}]*)\}`)
	missing   = regexp.MustCompile(`^attribute '([^']*)' missing$`)
	didMean   = regexp.MustCompile(`(?m)(?:^\s*|:)Did you mean (.*)\?$`)
)

// belowRoot reports whether a message is about a name that is missing in a path which
// begins with such a root, at its place.
func (s surroundings) belowRoot(e *entry, message string) bool {
	found := missing.FindStringSubmatch(message)
	line := s.line(e.place)
	if found == nil || line == "" {
		return false
	}
	for _, at := range belowRoot.FindAllStringSubmatchIndex(line, -1) {
		// Nix tells where the path begins, or where the name does.
		if column := e.Column - 1; column >= at[2] && column < at[3] && holds(line[at[4]:at[5]], line[at[6]:at[7]], found[1], e.ofKey()) {
			return true
		}
	}
	return false
}

// holds reports whether a path below a root holds a name. Of computed ones, which may be
// anything, that is so for the name of a node alone, unless it is about a key.
func holds(root, path, name string, ofKey bool) bool {
	computed := 0
	parts := component.FindAllStringSubmatch(path, -1)
	for _, part := range parts {
		switch {
		case strings.HasPrefix(part[0], ".$") && strings.Contains(part[3], "keys"):
			return false
		case strings.HasPrefix(part[0], ".$"):
			computed++
		case part[1]+part[2] == name:
			return true
		}
	}
	return root == "nodes" && computed == 1 && parts[0][3] != "" && !ofKey
}

// line is the text of a line of a file.
func (s surroundings) line(p place) string {
	file := p.path()
	if file == "" || p.Line < 1 {
		return ""
	}
	lines := strings.Split(s.read(file), "\n")
	if p.Line > len(lines) {
		return ""
	}
	return lines[p.Line-1]
}

// suggestion is what Nix thinks was meant: names beside the one that is missing.
func (e *entry) suggestion() string {
	if found := didMean.FindStringSubmatch(e.Msg); found != nil {
		return " (did you mean " + found[1] + "?)"
	}
	return ""
}
