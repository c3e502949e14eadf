package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// settings is what OpenSSH would do for a host, as far as we do it too.
type settings struct {
	hostName, hostKeyAlias string
	user                   string
	port                   int
	identityFiles          []string
	identityAgent          string // "" for SSH_AUTH_SOCK, "none" for no agent
	identitiesOnly         bool
	certificateFiles       []string
	userKnownHosts         []string
	globalKnownHosts       []string
	hostKeyAlgorithms      []string // empty: as known_hosts and the defaults suggest
	ciphers, macs, kex     []string // empty: the library's own order
	network                string   // tcp, tcp4 or tcp6
	strict                 bool     // StrictHostKeyChecking yes: an unknown key is refused
	hash                   bool     // HashKnownHosts
	connectTimeout         time.Duration
	aliveInterval          time.Duration
	aliveCount             int
}

// Deadlines where ssh_config sets none. OpenSSH would wait for ever.
const (
	defaultConnectTimeout = 15 * time.Second
	defaultAliveInterval  = 15 * time.Second
	defaultAliveCount     = 3
)

// ssh_config(5) options that are honoured: read and its helpers say how, and the
// fields of settings what for.
var honoured = []string{
	"host", "hostname", "user", "port", "identityfile", "identityagent", "identitiesonly", "certificatefile",
	"userknownhostsfile", "globalknownhostsfile", "hostkeyalias", "hostkeyalgorithms",
	"stricthostkeychecking", "hashknownhosts", "ciphers", "macs", "kexalgorithms", "addressfamily", "connecttimeout", "serveraliveinterval", "serveralivecountmax",
}

// Options that change nothing for us whatever their value: we open no terminal,
// share no connection, forward nothing and offer public keys only.
var harmless = []string{
	"addkeystoagent", "batchmode", "checkhostip", "clearallforwardings", "compression",
	"connectionattempts", "controlmaster", "controlpath", "controlpersist", "enableescapecommandline",
	"enablesshkeysign", "escapechar", "exitonforwardfailure", "fingerprinthash", "forkafterauthentication",
	"forwardagent", "forwardx11", "forwardx11timeout", "forwardx11trusted", "gatewayports",
	"gssapiauthentication", "gssapidelegatecredentials", "gssapikexalgorithms", "gssapikeyexchange",
	"gssapirenewalforcesrekey", "gssapitrustdns", "gssapiclientidentity", "gssapiserveridentity",
	"hostbasedacceptedalgorithms", "hostbasedauthentication", "ipqos", "kbdinteractiveauthentication",
	"localforward", "remoteforward", "dynamicforward", "loglevel", "logverbose",
	"nohostauthenticationforlocalhost", "numberofpasswordprompts", "obscurekeystroketiming",
	"passwordauthentication", "permitlocalcommand", "localcommand", "permitremoteopen", "preferredauthentications",
	"proxyusefdpass", "rekeylimit", "remotecommand", "requesttty", "sendenv", "setenv", "sessiontype", "stdinnull",
	"streamlocalbindmask", "streamlocalbindunlink", "syslogfacility", "tag", "tcpkeepalive", "tunnel",
	"tunneldevice", "updatehostkeys", "userhostkeys", "versionaddendum", "visualhostkey", "warnweakcrypto",
	"xauthlocation", "casignaturealgorithms", "channeltimeout", "ignoreunknown", "pubkeyacceptedalgorithms", "requiredrsasize",
	"verifyhostkeydns",
}

// options is the output of ssh -G: every option with its values in order.
type options map[string][]string

// sshGLimit is for ssh -G, which runs what Match exec names.
var sshGLimit = 10 * time.Second

// sshG asks OpenSSH what it would do. args select the configuration file.
func sshG(ctx context.Context, args ...string) (options, error) {
	limited, cancel := context.WithTimeout(ctx, sshGLimit)
	defer cancel()
	cmd := exec.CommandContext(limited, "ssh", append([]string{"-G"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.WaitDelay = time.Second // a child of ssh may hold stderr open
	out, err := cmd.Output()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case limited.Err() != nil:
		return nil, fmt.Errorf("ssh -G does not end within %s: see whether a Match exec in ssh_config hangs", sshGLimit)
	case err != nil && !errors.Is(err, exec.ErrWaitDelay): // what Match exec leaves running may stay
		return nil, fmt.Errorf("ssh -G: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	found := options{}
	for _, line := range strings.Split(string(out), "\n") {
		if name, value, ok := strings.Cut(line, " "); ok {
			found[name] = append(found[name], value)
		}
	}
	return found, nil
}

// plainDefaults is what ssh -G says with no configuration but the probes.
var plainDefaults = sync.OnceValues(func() (options, error) {
	return sshG(context.Background(), append(probes(), "-F", "/dev/null", "host")...)
})

// Prepare does what the first [Dial] would wait for, and may be called while
// something else takes time. What goes wrong is told by Dial.
func Prepare() { plainDefaults() }

// HasOpenSSH reports whether there is an ssh program, without which no
// ssh_config is read.
func HasOpenSSH() bool {
	_, err := exec.LookPath("ssh")
	return !errors.Is(err, exec.ErrNotFound)
}

// lookUp settles the settings for a target.
func lookUp(ctx context.Context, cfg Config) (settings, error) {
	if !HasOpenSSH() {
		return withoutOpenSSH(cfg)
	}
	var args []string
	if cfg.SSHConfigFile != "" {
		args = append(args, "-F", cfg.SSHConfigFile)
	}
	if cfg.Port != 0 {
		args = append(args, "-p", strconv.Itoa(cfg.Port))
	}
	if cfg.User != "" {
		args = append(args, "-l", cfg.User)
	}
	found, err := sshG(ctx, append(args, "--", cfg.Host)...)
	// ssh itself does not reach what is in brackets, but has lines for it where
	// ssh_config names another host. Where not, those for the address are meant.
	if plain := unbracketed(cfg.Host); err == nil && plain != cfg.Host && strings.EqualFold(found.one("hostname"), cfg.Host) {
		found, err = sshG(ctx, append(args, "--", plain)...)
	}
	if err != nil {
		return settings{}, err
	}
	defaults, err := plainDefaults()
	if err != nil {
		return settings{}, err
	}
	if err := refuseUnsupported(found, defaults); err != nil {
		return settings{}, err
	}
	return read(cfg.Host, found, defaults)
}

// unbracketed is an address without its brackets.
func unbracketed(host string) string {
	if inside, found := strings.CutPrefix(host, "["); found && strings.HasSuffix(inside, "]") {
		return strings.TrimSuffix(inside, "]")
	}
	return host
}

// refuseUnsupported names the first option that would change what OpenSSH does
// and that we would silently not follow.
func refuseUnsupported(found, defaults options) error {
	for _, name := range sortedNames(found) {
		if slices.Contains(honoured, name) || slices.Contains(harmless, name) {
			continue
		}
		if slices.Equal(found[name], defaults[name]) || slices.Equal(found[name], []string{"none"}) {
			continue
		}
		return fmt.Errorf("ssh_config sets %s to %q, which is not supported yet: unset it for this host (Match or a file named by SSH_CONFIG_FILE)",
			name, strings.Join(found[name], " "))
	}
	return nil
}

func sortedNames(o options) []string {
	names := make([]string, 0, len(o))
	for name := range o {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (o options) one(name string) string {
	if values := o[name]; len(values) > 0 && values[0] != "none" {
		return values[0]
	}
	return ""
}

func (o options) yes(name string) bool { return o.one(name) == "yes" || o.one(name) == "true" }

func (o options) seconds(name string, unset time.Duration) time.Duration {
	if n, err := strconv.Atoi(o.one(name)); err == nil && n > 0 {
		return time.Duration(n) * time.Second
	}
	return unset
}

// common keeps what we can do of what ssh_config asks for. None of it is an
// error: what nobody asked for must not take its place.
func common(option string, wanted, supported []string) ([]string, error) {
	var both []string
	for _, name := range wanted {
		if slices.Contains(supported, name) {
			both = append(both, name)
		}
	}
	if len(wanted) > 0 && both == nil {
		return nil, fmt.Errorf("ssh_config sets %s to %s, none of which is supported; supported are %s", option, strings.Join(wanted, ","), strings.Join(supported, ","))
	}
	return both, nil
}

func (s *settings) chooseAlgorithms(found, defaults options) (err error) {
	s.hostKeyAlgorithms = chosen(found, defaults, "hostkeyalgorithms")
	supported := ssh.SupportedAlgorithms()
	if s.ciphers, err = common("ciphers", chosen(found, defaults, "ciphers"), supported.Ciphers); err != nil {
		return err
	}
	if s.macs, err = common("macs", chosen(found, defaults, "macs"), supported.MACs); err != nil {
		return err
	}
	s.kex, err = common("kexalgorithms", chosen(found, defaults, "kexalgorithms"), supported.KeyExchanges)
	return err
}

// read turns options into settings. given is the host's name as the user has it.
func read(given string, found, defaults options) (settings, error) {
	port, err := strconv.Atoi(found.one("port"))
	if err != nil {
		return settings{}, fmt.Errorf("ssh -G: port %q is no number", found.one("port"))
	}
	s := settings{
		hostName: unbracketed(found.one("hostname")), hostKeyAlias: found.one("hostkeyalias"),
		user: found.one("user"), port: port,
		identitiesOnly: found.yes("identitiesonly"),
		// `ask`, the default, cannot ask many hosts at once: it becomes accept-new.
		strict:         found.yes("stricthostkeychecking"),
		hash:           found.yes("hashknownhosts"),
		connectTimeout: found.seconds("connecttimeout", defaultConnectTimeout),
		aliveInterval:  found.seconds("serveraliveinterval", defaultAliveInterval),
		aliveCount:     defaultAliveCount,
	}
	if n, err := strconv.Atoi(found.one("serveralivecountmax")); err == nil && n > 0 {
		s.aliveCount = n
	}
	if err := s.chooseAlgorithms(found, defaults); err != nil {
		return settings{}, err
	}
	s.network = map[string]string{"inet": "tcp4", "inet6": "tcp6"}[found.one("addressfamily")]
	if s.network == "" {
		s.network = "tcp"
	}
	if err := s.readPaths(given, found, defaults); err != nil {
		return settings{}, err
	}
	return s, nil
}

func (s *settings) readPaths(given string, found, defaults options) error {
	paths, err := newPaths(given, *s, defaults)
	if err != nil {
		return err
	}
	if agents := found["identityagent"]; len(agents) > 0 {
		if s.identityAgent, err = paths.agent(agents[0]); err != nil {
			return err
		}
	}
	if s.identityFiles, err = paths.expandAll("identityfile", found["identityfile"]); err != nil {
		return err
	}
	if s.certificateFiles, err = paths.expandAll("certificatefile", found["certificatefile"]); err != nil {
		return err
	}
	if s.userKnownHosts, err = paths.expandAll("userknownhostsfile", strings.Fields(found.one("userknownhostsfile"))); err != nil {
		return err
	}
	for _, file := range strings.Fields(found.one("globalknownhostsfile")) { // no tokens here
		if rest, ok := strings.CutPrefix(file, "~/"); ok {
			file = filepath.Join(paths.home, rest)
		}
		s.globalKnownHosts = append(s.globalKnownHosts, file)
	}
	return nil
}

// chosen is a list that ssh_config sets, nil when it is OpenSSH's own.
func chosen(found, defaults options, name string) []string {
	if slices.Equal(found[name], defaults[name]) {
		return nil
	}
	return strings.Split(found.one(name), ",")
}

// withoutOpenSSH is used where no ssh program is installed, so that no
// ssh_config applies to anything on this machine.
func withoutOpenSSH(cfg Config) (settings, error) {
	me, err := user.Current()
	if err != nil {
		return settings{}, err
	}
	found := options{
		"hostname": {cfg.Host}, "user": {me.Username}, "port": {"22"},
		"userknownhostsfile":   {"~/.ssh/known_hosts ~/.ssh/known_hosts2"},
		"globalknownhostsfile": {"/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"},
		"identityfile":         {"~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519"},
	}
	if cfg.User != "" {
		found["user"] = []string{cfg.User}
	}
	if cfg.Port != 0 {
		found["port"] = []string{strconv.Itoa(cfg.Port)}
	}
	return read(cfg.Host, found, found)
}
