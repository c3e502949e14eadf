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
		v.user(t.User)
	}
	if v.password(t.Host) || !v.word("targetHost", t.Host) {
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
	rest, port := cutPort(rest)
	hints += port
	switch {
	case !isHost(rest):
		v.add("targetHost", "is %q, which is neither a name nor an address", text)
	case rest != text:
		v.add("targetHost", "is %q: set targetHost = %q%s", text, rest, hints)
	}
}

// user checks targetUser. What follows a colon is never shown.
func (v *validator) user(text string) {
	if name, _, both := strings.Cut(text, ":"); both {
		v.add("targetUser", "holds a colon, as before a password: those are not used, ssh logs in with a key%s", setUser("; set", name))
		return
	}
	v.word("targetUser", text)
}

// password reports whether targetHost holds one, of which nothing is shown.
func (v *validator) password(text string) bool {
	if scheme, rest, both := strings.Cut(text, "://"); both && !strings.Contains(scheme, ":") {
		text = rest
	}
	user, host, _ := cutLast(text, '@')
	name, _, both := strings.Cut(user, ":")
	if !both || !strings.Contains(text, "@") {
		return false
	}
	hints := "to the name or address alone"
	if rest, port := cutPort(host); isHost(rest) {
		hints = "= " + strconv.Quote(rest) + setUser(" and", name) + port
	}
	v.add("targetHost", "holds a password: those are not used, ssh logs in with a key; set targetHost %s", hints)
	return true
}

// setUser is advice to set targetUser, "" where the name cannot be one.
func setUser(before, name string) string {
	if !unixName.MatchString(name) {
		return ""
	}
	return before + " targetUser = " + strconv.Quote(name)
}

// cutPort cuts a host's port off, which comes as a hint.
func cutPort(text string) (host, hint string) {
	host, port, both := cutLast(text, ':')
	if both && !isHost(text) && isHost(host) && strings.Trim(port, "0123456789") == "" && port != "" {
		return host, " and targetPort = " + port
	}
	return text, ""
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
