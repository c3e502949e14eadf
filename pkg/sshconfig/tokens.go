package sshconfig

import (
	"crypto/sha1"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// paths expands what may stand in a path of ssh_config(5): ~/ at its beginning,
// %tokens and ${variables}.
type paths struct {
	home   string
	tokens map[string]string
	ready  func(option string) bool // whether ssh -G has expanded the option itself
}

// Versions of OpenSSH differ in which options ssh -G prints expanded, and a
// file name with a real % must not be expanded twice. So plainDefaults asks for
// the one in those options, and what comes back as the other was expanded.
const (
	probe         = "/%%"
	probeExpanded = "/%"
)

func probes() (args []string) {
	for _, option := range []string{"IdentityFile", "CertificateFile", "IdentityAgent", "UserKnownHostsFile", "RevokedHostKeys"} {
		args = append(args, "-o", option+"="+probe)
	}
	return args
}

// newPaths knows the tokens of the options that name files. given is the name
// that ssh would have on its command line.
func newPaths(given string, s Settings, defaults options) (paths, error) {
	me, err := user.Current()
	if err != nil {
		return paths{}, err
	}
	local, err := os.Hostname()
	if err != nil {
		return paths{}, err
	}
	home := me.HomeDir
	if h := os.Getenv("HOME"); h != "" {
		home = h
	}
	label, _, _ := strings.Cut(local, ".")
	alias := s.HostKeyAlias
	if alias == "" {
		alias = given
	}
	port := strconv.Itoa(s.Port)
	return paths{
		home: home,
		tokens: map[string]string{
			"%%": "%", "%d": home, "%i": me.Uid, "%u": me.Username, "%l": local, "%L": label,
			"%n": given, "%k": alias, "%h": s.HostName, "%p": port, "%r": s.User,
			"%j": s.ProxyJump,
			"%C": fmt.Sprintf("%x", sha1.Sum([]byte(local+s.HostName+port+s.User))),
		},
		ready: func(option string) bool { return defaults.one(option) == probeExpanded },
	}, nil
}

var expandable = regexp.MustCompile(`(?s)%.?|\$\{[^}]*\}?`)

func (p paths) expand(option, path string) (string, error) {
	if p.ready(option) {
		return path, nil
	}
	var failed error
	rest, atHome := strings.CutPrefix(path, "~/")
	rest = expandable.ReplaceAllStringFunc(rest, func(found string) string {
		value, ok := p.tokens[found]
		name, variable := strings.CutPrefix(strings.TrimSuffix(found, "}"), "${")
		switch {
		case ok:
			return value
		case !variable:
			failed = fmt.Errorf("ssh_config sets %s to %q, where %s is not a token that may stand there (see TOKENS in ssh_config(5)): write %%%% for a percent sign", option, path, found)
		default:
			if value, ok = os.LookupEnv(name); !ok || !strings.HasSuffix(found, "}") {
				failed = fmt.Errorf("ssh_config sets %s to %q, but %s is not in the environment: set it, or name the file without it", option, path, found)
			}
		}
		return value
	})
	if atHome {
		rest = filepath.Join(p.home, rest)
	}
	return rest, failed
}

// expandTokens expands what may stand in a command, where neither ~ nor ${variables}
// are ours to expand, but the shell's.
func (p paths) expandTokens(option, command string, may ...string) (string, error) {
	var failed error
	expanded := expandable.ReplaceAllStringFunc(command, func(found string) string {
		switch {
		case strings.HasPrefix(found, "${"):
			return found
		case !slices.Contains(may, found):
			failed = fmt.Errorf("ssh_config or deployment.sshOptions sets %s with %s, which is not a token that may stand there (see TOKENS in ssh_config(5)): write %%%% for a percent sign", option, found)
		}
		return p.tokens[found]
	})
	return expanded, failed
}

func (p paths) expandAll(option string, found []string) (expanded []string, err error) {
	for _, path := range found {
		if path == "none" {
			continue
		}
		path, err := p.expand(option, path)
		if err != nil {
			return nil, err
		}
		expanded = append(expanded, path)
	}
	return expanded, nil
}

// agent is IdentityAgent's socket: "" for that of SSH_AUTH_SOCK, or "none".
func (p paths) agent(value string) (string, error) {
	name, variable := strings.CutPrefix(value, "$")
	switch {
	case value == "SSH_AUTH_SOCK":
		return "", nil
	case variable && !strings.HasPrefix(name, "{"): // $NAME is no path, but the variable that holds it
		if socket := os.Getenv(name); socket != "" {
			return socket, nil
		}
		return "none", nil // as ssh does, which asks no other agent then
	}
	return p.expand("identityagent", value)
}
