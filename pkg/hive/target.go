package hive

import (
	"net/netip"
	"strconv"
	"strings"
)

// target reads how a host is reached; nil without a targetHost.
func (v *validator) target(in nodeInEval) *Target {
	d := in.Deployment
	if d.TargetHost == nil {
		return nil
	}
	t := &Target{Host: *d.TargetHost, Escalate: d.PrivilegeEscalationCommand, SSHOptions: d.SSHOptions}
	if d.TargetPort != nil {
		t.Port = *d.TargetPort
		v.port(t.Port)
	}
	if d.TargetUser != nil {
		t.User = *d.TargetUser
		v.word("targetUser", t.User)
	}
	if !v.word("targetHost", t.Host) {
		return t
	}
	// ssh takes the user from there, too, where no other is told.
	user, host, both := cutLast(t.Host, '@')
	if both && isHost(host) && !strings.Contains(user, "://") && (d.TargetUser == nil || t.User == user) {
		t.User, t.Host = user, host
	}
	v.host(t.Host)
	return t
}

// host checks that nothing but a host's name or address is in targetHost: what
// else people write there has options of its own.
func (v *validator) host(text string) {
	rest, hints := text, ""
	for _, scheme := range []string{"ssh://", "ssh-ng://"} {
		rest = strings.TrimPrefix(rest, scheme)
	}
	if user, host, both := cutLast(rest, '@'); both {
		hints, rest = hints+" and targetUser = "+strconv.Quote(user), host
	}
	if host, port, both := cutLast(rest, ':'); both && !isHost(rest) && isHost(host) && strings.Trim(port, "0123456789") == "" && port != "" {
		hints, rest = hints+" and targetPort = "+port, host
	}
	switch {
	case !isHost(rest):
		v.add("targetHost", "is %q, which is neither a name nor an address", text)
	case rest != text:
		v.add("targetHost", "is %q: set targetHost = %q%s", text, rest, hints)
	}
}

// cutLast cuts text at the last separator.
func cutLast(text string, separator byte) (before, after string, found bool) {
	at := strings.LastIndexByte(text, separator)
	if at < 1 {
		return text, "", false
	}
	return text[:at], text[at+1:], true
}

// isHost reports whether text may be a host's name, which ssh_config decides, or
// its address. An IPv6 one may stand in brackets and have a zone.
func isHost(text string) bool {
	if !strings.ContainsAny(text, ":[]") {
		return text != "" && !strings.HasPrefix(text, "-") && !strings.Contains(text, "@")
	}
	if inside, found := strings.CutPrefix(text, "["); found {
		if text, found = strings.CutSuffix(inside, "]"); !found {
			return false
		}
	}
	address, err := netip.ParseAddr(text)
	return err == nil && address.Is6()
}
