package nix

import (
	"regexp"
	"slices"
	"strings"
)

var (
	address = regexp.MustCompile(`([A-Za-z0-9+.-]*)://([^/\s"]*)@`)
	// slashed is a login whose password holds a slash, and bare one in what only
	// resembles an address.
	slashed = regexp.MustCompile(`://[^/@:\[\s"]*:(?:[^\d/\s"@]|\d+[^\d/\s"@])[^\s"@]*@`)
	bare    = regexp.MustCompile(`/[^/:\s"@]+:[^/\s"]*@`)
	query   = regexp.MustCompile(`(:[^\s"?]*\?)(\S+)`)
	// quotedAddress may hold spaces, where somebody forgot to escape them.
	quotedAddress = regexp.MustCompile(`'[A-Za-z0-9+.-]+://[^'\n]*'`)
	afterAddress  = regexp.MustCompile(`['"’)\],;:.…]*$`)
)

// harmlessParameters are those of flake references and stores that say which
// version and how, and not who asks.
var harmlessParameters = []string{"ref", "rev", "dir", "host", "narHash", "lastModified", "revCount", "submodules", "shallow", "allRefs",
	"lfs", "exportIgnore", "priority", "trusted", "compression", "want-mass-query", "region", "scheme", "endpoint", "max-connections"}

// NotShown stands for what may be a secret and is left out.
const NotShown = "[not shown]"

// hidden stands for [NotShown] while one text is being masked: it has no space.
const hidden = "\x00"

// WithoutLogins takes users, passwords and parameters out of the addresses in a
// text, but not the user of ssh, who is none without a key, nor what parameters
// say of a flake's version.
func WithoutLogins(text string) string {
	if !strings.ContainsAny(text, "@?"+hidden) {
		return text // most lines: the expressions take longer than anything else is done with one
	}
	text = quotedAddress.ReplaceAllStringFunc(text, func(url string) string { return strings.ReplaceAll(url, " ", "%20") })
	text = address.ReplaceAllStringFunc(text, func(found string) string {
		scheme, user, _ := strings.Cut(found, "://")
		if strings.Contains(scheme, "ssh") && !strings.Contains(user, ":") {
			return found
		}
		return scheme + "://" + hidden + "@"
	})
	text = slashed.ReplaceAllString(text, "://"+hidden+"@")
	text = bare.ReplaceAllString(text, "/"+hidden+"@")
	text = query.ReplaceAllStringFunc(text, withoutParameters)
	return strings.ReplaceAll(text, hidden, NotShown)
}

// withoutParameters is an address' query without values that may be secrets.
func withoutParameters(found string) string {
	parts := query.FindStringSubmatch(found)
	end := afterAddress.FindString(parts[2])
	parameters := strings.Split(strings.TrimSuffix(parts[2], end), "&")
	for i, parameter := range parameters {
		name, _, valued := strings.Cut(parameter, "=")
		switch {
		case valued && slices.Contains(harmlessParameters, name), parameter == "":
		case valued:
			parameters[i] = name + "=" + hidden
		default:
			parameters[i] = hidden
		}
	}
	return parts[1] + strings.Join(parameters, "&") + end
}

// Masked gives lines on to output without logins; nil if that is.
func Masked(output func(line string)) func(line string) {
	if output == nil {
		return nil
	}
	return func(line string) { output(WithoutLogins(line)) }
}
