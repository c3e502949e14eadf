package sshconfig

import (
	"os"
	"path"
	"slices"
	"strings"
)

// What a user's own commands get on a host.

// Environment are the variables that they get, of ours, as NAME=VALUE.
func (s Settings) Environment(ours []string) (theirs []string) {
	for _, variable := range ours {
		name, _, _ := strings.Cut(variable, "=")
		if slices.ContainsFunc(s.SendEnv, func(pattern string) bool { fits, _ := path.Match(pattern, name); return fits }) {
			theirs = append(theirs, variable)
		}
	}
	return append(theirs, s.SetEnv...)
}

// forwarded is the socket of ForwardAgent.
func (s Settings) forwarded(paths paths, value string) (socket string, err error) {
	name, variable := strings.CutPrefix(value, "$")
	switch {
	case value == "" || value == "no" || value == "false":
		return "", nil
	case value == "yes" || value == "true": // the one that lets us in
		if s.IdentityAgent == "none" {
			return "", nil
		}
		if s.IdentityAgent != "" {
			return s.IdentityAgent, nil
		}
		return os.Getenv("SSH_AUTH_SOCK"), nil
	case variable && !strings.HasPrefix(name, "{"):
		return os.Getenv(name), nil
	}
	return paths.expand("forwardagent", value)
}
