package sshconfig

import (
	"fmt"
	"slices"
)

// ssh_config(5) options that are honoured: read and its helpers say how, and the
// fields of Settings what for.
var honoured = []string{
	"host", "hostname", "user", "port", "identityfile", "identityagent", "identitiesonly", "certificatefile",
	"userknownhostsfile", "globalknownhostsfile", "hostkeyalias", "hostkeyalgorithms", "stricthostkeychecking", "hashknownhosts",
	"ciphers", "macs", "kexalgorithms", "addressfamily", "connecttimeout", "serveraliveinterval", "serveralivecountmax",
	"proxyjump", "proxycommand", "connectionattempts", "bindaddress", "bindinterface", "rekeylimit",
	"canonicalizehostname", "canonicaldomains", "canonicalizefallbacklocal", "canonicalizemaxdots", "canonicalizepermittedcnames",
	"batchmode", "pubkeyauthentication", "passwordauthentication", "kbdinteractiveauthentication", "preferredauthentications", "numberofpasswordprompts",
}

// Options that change nothing for us whatever their value: we open no terminal,
// share no connection with another ssh and forward nothing.
var harmless = []string{
	"addkeystoagent", "checkhostip", "clearallforwardings", "compression",
	"controlmaster", "controlpath", "controlpersist", "enableescapecommandline",
	"enablesshkeysign", "escapechar", "exitonforwardfailure", "fingerprinthash", "forkafterauthentication",
	"forwardagent", "forwardx11", "forwardx11timeout", "forwardx11trusted", "gatewayports",
	"gssapiauthentication", "gssapidelegatecredentials", "gssapikexalgorithms", "gssapikeyexchange",
	"gssapirenewalforcesrekey", "gssapitrustdns", "gssapiclientidentity", "gssapiserveridentity",
	"hostbasedacceptedalgorithms", "hostbasedauthentication", "ipqos",
	"localforward", "remoteforward", "dynamicforward", "loglevel", "logverbose",
	"nohostauthenticationforlocalhost", "obscurekeystroketiming",
	"permitlocalcommand", "localcommand", "permitremoteopen",
	"remotecommand", "requesttty", "sendenv", "setenv", "sessiontype", "stdinnull",
	"streamlocalbindmask", "streamlocalbindunlink", "syslogfacility", "tag", "tcpkeepalive", "tunnel",
	"tunneldevice", "updatehostkeys", "userhostkeys", "versionaddendum", "visualhostkey", "warnweakcrypto",
	"xauthlocation", "casignaturealgorithms", "channeltimeout", "ignoreunknown", "pubkeyacceptedalgorithms", "requiredrsasize",
	"verifyhostkeydns",
}

// refuseUnsupported names the first option that would change what OpenSSH does
// and that we would silently not follow. Its value may be nobody's business.
func refuseUnsupported(found, defaults options) error {
	for _, name := range found.names() {
		if slices.Contains(honoured, name) || slices.Contains(harmless, name) {
			continue
		}
		if slices.Equal(found[name], defaults[name]) || slices.Equal(found[name], []string{"none"}) {
			continue
		}
		return fmt.Errorf("ssh_config or deployment.sshOptions sets %s, which is not supported yet: unset it for this host (Match, or another file with --ssh-config)", name)
	}
	return nil
}
