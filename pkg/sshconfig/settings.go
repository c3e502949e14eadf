package sshconfig

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Settings is what OpenSSH would do for a host, as far as it is of use here.
type Settings struct {
	HostName     string // what to look up: a name, or an address without brackets
	HostKeyAlias string // "": HostName and Port are the name in known_hosts
	User         string
	Port         int
	Network      string // tcp, tcp4 or tcp6

	// The way there: over the network, from a certain address or interface where they
	// are set; or through what ProxyCommand runs, with its tokens expanded; or see Gate.
	BindAddress, BindInterface string
	ProxyCommand               string
	ProxyJump                  string // as ssh prints it
	gate                       *Query

	IdentityFiles    []string
	IdentityAgent    string // "" for SSH_AUTH_SOCK, "none" for no agent
	IdentitiesOnly   bool
	CertificateFiles []string
	BatchMode        bool // nothing is asked
	// What must not be tried at all.
	NoPublicKey, NoPassword, NoKeyboardInteractive bool
	PreferredAuthentications                       []string // empty: the library's own order
	PasswordPrompts                                int      // how often a password is asked for

	UserKnownHosts, GlobalKnownHosts []string
	Strict                           bool // StrictHostKeyChecking yes: an unknown key is refused
	Ask                              bool // or ask, which is the default as well
	Hash                             bool // HashKnownHosts
	RevokedHostKeys                  []string
	TrustLoopback                    bool     // NoHostAuthenticationForLocalhost
	RSABits                          int      // that a key of a host has at least
	AuthorityAlgorithms              []string // that an authority may sign with; empty: any
	knownHostsCommand                string
	tokens                           map[string]string
	HostKeyAlgorithms                []string // empty: as known_hosts and the defaults suggest
	HostKeyOrder                     []string // OpenSSH's own then

	Ciphers, MACs, KeyExchanges []string // as set; empty: OpenSSH's own

	ConnectTimeout     time.Duration
	ConnectionAttempts int   // at least 1
	RekeyBytes         int64 // 0: the library's own
	AliveInterval      time.Duration
	AliveCount         int

	Warnings []string // of ssh, for people

	// What a user's own commands get on a host.
	ForwardAgent string   // the socket of the agent that they may use; "": none
	SendEnv      []string // patterns of variables of ours
	SetEnv       []string // and others, NAME=VALUE

	Asked       string   // the name that ssh was asked about
	OnlyOpenSSH []string // set options that only the ssh program can follow
	GSSAPI      bool     // whether ssh would try to log in so
	HostBased   bool
}

// Deadlines where ssh_config sets none. OpenSSH would wait for ever.
const (
	defaultConnectTimeout = 15 * time.Second
	defaultAliveInterval  = 15 * time.Second
	defaultAliveCount     = 3
)

// Gate is the query for the jump host that is the last on the way, if there is one.
func (s Settings) Gate() (q Query, ok bool) {
	if s.gate == nil {
		return Query{}, false
	}
	return *s.gate, true
}

// read turns options into settings. given is the host's name as the user has it.
func read(given string, found, defaults options) (Settings, error) {
	port, err := strconv.Atoi(found.one("port"))
	if err != nil {
		return Settings{}, fmt.Errorf("ssh -G: port %q is not a number", found.one("port"))
	}
	s := Settings{
		HostName: unbracketed(found.one("hostname")), HostKeyAlias: found.one("hostkeyalias"),
		User: found.one("user"), Port: port,
		IdentitiesOnly: found.yes("identitiesonly"), BatchMode: found.yes("batchmode"),
		NoPublicKey: found.no("pubkeyauthentication"), NoPassword: found.no("passwordauthentication"), NoKeyboardInteractive: found.no("kbdinteractiveauthentication"),
		PreferredAuthentications: found.list("preferredauthentications"),
		PasswordPrompts:          found.number("numberofpasswordprompts", 3),
		Strict:                   found.yes("stricthostkeychecking"), Ask: found.one("stricthostkeychecking") == "ask",
		Hash:              found.yes("hashknownhosts"),
		HostKeyAlgorithms: chosen(found, defaults, "hostkeyalgorithms"), HostKeyOrder: found.list("hostkeyalgorithms"),
		Ciphers: chosen(found, defaults, "ciphers"), MACs: chosen(found, defaults, "macs"), KeyExchanges: chosen(found, defaults, "kexalgorithms"),
		BindAddress: found.one("bindaddress"), BindInterface: found.one("bindinterface"), ProxyJump: found.one("proxyjump"),
		ConnectTimeout:     found.seconds("connecttimeout", defaultConnectTimeout),
		ConnectionAttempts: found.number("connectionattempts", 1),
		AliveInterval:      found.seconds("serveraliveinterval", defaultAliveInterval),
		AliveCount:         found.number("serveralivecountmax", defaultAliveCount),
		Warnings:           found[warnings],
		GSSAPI:             found.yes("gssapiauthentication"), HostBased: found.yes("hostbasedauthentication"),
		TrustLoopback: found.yes("nohostauthenticationforlocalhost"), RSABits: found.number("requiredrsasize", 1024),
		AuthorityAlgorithms: chosen(found, defaults, "casignaturealgorithms"),
		SendEnv:             found["sendenv"], SetEnv: found["setenv"],
	}
	if bytes, _, _ := strings.Cut(found.one("rekeylimit"), " "); bytes != "" {
		s.RekeyBytes, _ = strconv.ParseInt(bytes, 10, 64) // 0 stands for the default
	}
	s.Network = map[string]string{"inet": "tcp4", "inet6": "tcp6"}[found.one("addressfamily")]
	if s.Network == "" {
		s.Network = "tcp"
	}
	if err := s.readPaths(given, found, defaults); err != nil {
		return Settings{}, err
	}
	return s, nil
}

func (s *Settings) readPaths(given string, found, defaults options) error {
	paths, err := newPaths(given, *s, defaults)
	if err != nil {
		return err
	}
	if s.ProxyCommand, err = paths.expandTokens("proxycommand", found.one("proxycommand"), "%%", "%h", "%n", "%p", "%r"); err != nil {
		return err
	}
	if agents := found["identityagent"]; len(agents) > 0 {
		if s.IdentityAgent, err = paths.agent(agents[0]); err != nil {
			return err
		}
	}
	if s.ForwardAgent, err = s.forwarded(paths, found.one("forwardagent")); err != nil {
		return err
	}
	if s.IdentityFiles, err = paths.expandAll("identityfile", found["identityfile"]); err != nil {
		return err
	}
	if s.CertificateFiles, err = paths.expandAll("certificatefile", found["certificatefile"]); err != nil {
		return err
	}
	if s.UserKnownHosts, err = paths.expandAll("userknownhostsfile", files(found.one("userknownhostsfile"))); err != nil {
		return err
	}
	if s.RevokedHostKeys, err = paths.expandAll("revokedhostkeys", found["revokedhostkeys"]); err != nil {
		return err
	}
	s.knownHostsCommand, s.tokens = found.one("knownhostscommand"), paths.tokens
	for _, file := range files(found.one("globalknownhostsfile")) { // no tokens here
		if rest, ok := strings.CutPrefix(file, "~/"); ok {
			file = filepath.Join(paths.home, rest)
		}
		s.GlobalKnownHosts = append(s.GlobalKnownHosts, file)
	}
	return nil
}

// files takes a list of files apart, which ssh -G prints without the quotes around
// those whose names have spaces: several words are one name where that is there.
func files(text string) (names []string) {
	for words := strings.Fields(text); len(words) > 0; {
		n := len(words)
		for ; n > 1; n-- {
			if _, err := os.Stat(strings.Join(words[:n], " ")); err == nil {
				break
			}
		}
		names = append(names, strings.Join(words[:n], " "))
		words = words[n:]
	}
	return names
}
