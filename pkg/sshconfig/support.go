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

// isHarmless are those that change nothing, and isListed all that a list has.
var isHarmless, isListed = set(harmless), set(slices.Concat(honoured, harmless, openSSHsLogins))

func set(names []string) map[string]bool {
	all := make(map[string]bool, len(names))
	for _, name := range names {
		all[name] = true
	}
	return all
}

// onlyOpenSSH are the options that only ssh can follow, of those that are set.
func onlyOpenSSH(found, defaults options) (names []string) {
	for name, values := range found {
		if name == warnings || isListed[name] || slices.Equal(values, defaults[name]) {
			continue
		}
		if none := len(values) == 1 && (values[0] == "none" || values[0] == "no" || values[0] == "false"); !none {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if found.yes("stricthostkeychecking") && found.yes("verifyhostkeydns") {
		names = append(names, "verifyhostkeydns") // the one way to come to trust a key then
	}
	return names
}
