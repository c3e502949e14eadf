package sshconfig

import "slices"

// ssh_config(5) options that are honoured: read and its helpers say how, and the
// fields of Settings what for.
var honoured = []string{
	"host", "hostname", "user", "port", "identityfile", "identityagent", "identitiesonly", "certificatefile",
	"userknownhostsfile", "globalknownhostsfile", "hostkeyalias", "hostkeyalgorithms", "stricthostkeychecking", "hashknownhosts", "revokedhostkeys", "knownhostscommand",
	"nohostauthenticationforlocalhost", "requiredrsasize", "casignaturealgorithms",
	"ciphers", "macs", "kexalgorithms", "addressfamily", "connecttimeout", "serveraliveinterval", "serveralivecountmax",
	"proxyjump", "proxycommand", "connectionattempts", "bindaddress", "bindinterface", "rekeylimit",
	"canonicalizehostname", "canonicaldomains", "canonicalizefallbacklocal", "canonicalizemaxdots", "canonicalizepermittedcnames",
	"batchmode", "pubkeyauthentication", "passwordauthentication", "kbdinteractiveauthentication", "preferredauthentications", "numberofpasswordprompts",
	"forwardagent", "sendenv", "setenv",
}

// Options that change nothing for us whatever their value: we open no terminal,
// share no connection with another ssh and forward nothing.
var harmless = []string{
	"addkeystoagent", "checkhostip", "clearallforwardings", "compression",
	"controlmaster", "controlpath", "controlpersist", "enableescapecommandline",
	"escapechar", "exitonforwardfailure", "fingerprinthash", "forkafterauthentication",
	"forwardx11", "forwardx11timeout", "forwardx11trusted", "gatewayports", "ipqos",
	"localforward", "remoteforward", "dynamicforward", "loglevel", "logverbose",
	"obscurekeystroketiming",
	"permitlocalcommand", "localcommand", "permitremoteopen",
	"remotecommand", "requesttty", "sessiontype", "stdinnull",
	"streamlocalbindmask", "streamlocalbindunlink", "syslogfacility", "tag", "tcpkeepalive",
	"updatehostkeys", "usekeychain", "userhostkeys", "versionaddendum", "visualhostkey", "warnweakcrypto",
	"xauthlocation", "channeltimeout", "ignoreunknown", "pubkeyacceptedalgorithms",
	"verifyhostkeydns",
}

// Options whose values other than the default only the ssh program can follow. So it
// is with all that none of the lists has, which ssh knows.
var openSSHsAlone = []string{"pkcs11provider", "securitykeyprovider", "proxyusefdpass", "tunnel", "tunneldevice"}

// Ways to log in that ssh tries where the host refuses what we can do.
var openSSHsLogins = []string{
	"gssapiauthentication", "gssapidelegatecredentials", "gssapikexalgorithms", "gssapikeyexchange", "gssapirenewalforcesrekey", "gssapitrustdns", "gssapiclientidentity",
	"gssapiserveridentity", "hostbasedauthentication", "hostbasedacceptedalgorithms", "enablesshkeysign",
}

// onlyOpenSSH are the options that only ssh can follow, of those that are set.
func onlyOpenSSH(found, defaults options) (names []string) {
	for _, name := range found.names() {
		listed := slices.Contains(honoured, name) || slices.Contains(harmless, name) || slices.Contains(openSSHsLogins, name)
		none := slices.Equal(found[name], []string{"none"}) || slices.Equal(found[name], []string{"no"}) || slices.Equal(found[name], []string{"false"})
		if !listed && !none && !slices.Equal(found[name], defaults[name]) {
			names = append(names, name)
		}
	}
	if found.yes("stricthostkeychecking") && found.yes("verifyhostkeydns") {
		names = append(names, "verifyhostkeydns") // the one way to come to trust a key then
	}
	return names
}
