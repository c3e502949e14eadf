// Package sshconfig knows what OpenSSH would do for a host. ssh -G is asked, which
// reads ssh_config(5) and the options of ssh's command line; what it says becomes
// [Settings].
package sshconfig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/colmena-go/colmena-go/pkg/child"
)

// Query is what ssh's command line would say of a host. What stands first goes
// before what comes after, and all of it before ssh_config.
type Query struct {
	Host    string   // a name, for which ssh_config may have another, or an address
	Port    int      // 0: what the rest says
	User    string   // "": what the rest says
	Options []string // further ones, see [Arguments]
	File    string   // read in the place of OpenSSH's usual files; "" for those

	instead string // of all of them; "" for them
}

// Reading is the same query of another file, whatever Options and File say.
func (q Query) Reading(file string) Query {
	q.instead = file
	return q
}

// Installed reports whether there is an ssh program, without which neither
// ssh_config nor options of its command line mean anything.
func Installed() bool {
	_, err := exec.LookPath("ssh")
	return !errors.Is(err, exec.ErrNotFound)
}

// Prepare does what the first [Query.Settings] would wait for, and may be called
// while something else takes time. What goes wrong is told by that.
func Prepare() { plainDefaults() }

// Settings settles the settings. It fails with what ssh finds wrong, and in bounded
// time. Without an ssh program ssh's defaults are meant.
func (q Query) Settings(ctx context.Context) (Settings, error) {
	words, err := Arguments(q.Options)
	installed := Installed()
	switch {
	case err != nil:
		return Settings{}, fmt.Errorf("deployment.sshOptions: %w", err)
	case !installed && len(words) > 0:
		return Settings{}, errors.New("deployment.sshOptions are set, but there is no ssh in PATH, which understands them: install OpenSSH's client")
	case !installed:
		return q.withoutOpenSSH()
	}
	asked := q.Host
	found, err := q.ask(ctx, words, asked)
	// ssh itself does not reach what is in brackets, but has lines for it where
	// ssh_config names another host. Where not, those for the address are meant.
	if plain := unbracketed(q.Host); err == nil && plain != q.Host && strings.EqualFold(found.one("hostname"), q.Host) {
		asked = plain
		found, err = q.ask(ctx, words, asked)
	}
	if err != nil {
		return Settings{}, err
	}
	defaults, err := plainDefaults()
	if err != nil {
		return Settings{}, err
	}
	s, err := read(q.Host, found, defaults)
	s.Asked, s.OnlyOpenSSH = asked, onlyOpenSSH(found, defaults)
	if err == nil {
		s.gate, err = q.jump(s.ProxyJump)
	}
	return s, err
}

// Command is what stands on the command line of an ssh that connects, but for the
// host (see Settings.Asked).
func (q Query) Command() []string {
	words, _ := Arguments(q.Options) // Settings has told what is wrong
	return q.arguments(words)
}

// Direct is the same without -J, beside which there is no ProxyCommand.
func (q Query) Direct() (words []string) {
	for all := q.Command(); len(all) > 0; all = all[1:] {
		if all[0] != "-J" {
			words = append(words, all[0])
		} else {
			all = all[1:]
		}
	}
	return words
}

// Defaulting is the text of a file that says what ssh would read, and after that some
// lines, which hold where nothing else was said: for jump hosts, too, for which ssh
// calls itself with nothing else of its command line.
func (q Query) Defaulting(lines ...string) (string, error) {
	files := []string{"~/.ssh/config", "/etc/ssh/ssh_config"}
	if file := q.configFile(); file == "none" { // as for ssh
		files = nil
	} else if file != "" {
		path, err := filepath.Abs(file)
		if err != nil {
			return "", err
		}
		files = []string{path}
	}
	var text strings.Builder
	for _, file := range files {
		fmt.Fprintf(&text, "Include \"%s\"\n", file)
	}
	text.WriteString("Host *\n")
	for _, line := range lines {
		text.WriteString(line + "\n")
	}
	return text.String(), nil
}

// arguments are ssh's. It takes the first -p and -l, but the last -F.
func (q Query) arguments(options []string) (args []string) {
	if q.Port != 0 {
		args = append(args, "-p", strconv.Itoa(q.Port))
	}
	if q.User != "" {
		args = append(args, "-l", q.User)
	}
	if q.File != "" {
		args = append(args, "-F", q.File)
	}
	args = append(args, options...)
	if q.instead != "" {
		args = append(args, "-F", q.instead)
	}
	return args
}

// sshGLimit is for ssh -G, which runs what Match exec names.
var sshGLimit = 10 * time.Second

// places bounds how many ssh -G run at once: each is short, and takes a processor.
var places = make(chan struct{}, 4)

// asks is how often sshG was called, for tests.
var asks atomic.Int64

// sshG asks OpenSSH what it would do; said is what it prints on stderr.
func sshG(ctx context.Context, args ...string) (found options, said string, err error) {
	asks.Add(1)
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	case <-ctx.Done():
		return nil, "", context.Cause(ctx)
	}
	limited, cancel := context.WithTimeout(ctx, sshGLimit)
	defer cancel()
	cmd := exec.CommandContext(limited, "ssh", append([]string{"-T", "-G"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second // a child of ssh may hold stderr open
	mark := child.NewMark()
	mark.Put(cmd)
	err = child.Run(cmd, syscall.SIGKILL, nil)
	if limited.Err() != nil {
		mark.Kill() // what Match exec began
	}
	switch {
	case ctx.Err() != nil:
		return nil, "", context.Cause(ctx)
	case limited.Err() != nil:
		return nil, "", fmt.Errorf("ssh -G does not end within %s: see whether a Match exec in ssh_config hangs", sshGLimit)
	case err != nil && !errors.Is(err, exec.ErrWaitDelay): // what Match exec leaves running may stay
		if said = complaint(stderr.String()); said != "" {
			return nil, "", fmt.Errorf("ssh -G: %s", said)
		}
		return nil, "", fmt.Errorf("ssh -G: %w", err)
	}
	found = decode(stdout.String())
	for line := range strings.Lines(stderr.String()) {
		if strings.HasPrefix(line, "Warning: ") {
			found[warnings] = append(found[warnings], strings.TrimSpace(line))
		}
	}
	return found, stderr.String(), nil
}

// complaint is what ssh says of a configuration, on one line. It numbers options of
// its command line as lines of a file.
func complaint(said string) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	text := strings.Join(lines[:min(len(lines), 3)], "; ")
	return commandLine.ReplaceAllString(text[:min(len(text), 500)], "deployment.sshOptions: ")
}

// commandLine is the place of such an option; newer versions leave the first colon out.
var commandLine = regexp.MustCompile(`command-line:? line 0: `)

// plainDefaults is what ssh -G says with no configuration but the probes.
var plainDefaults = sync.OnceValues(func() (options, error) {
	found, _, err := sshG(context.Background(), append(probes(), "-F", "/dev/null", "host")...)
	return found, err
})

// withoutOpenSSH is used where no ssh program is installed, so that no
// ssh_config applies to anything on this machine.
func (q Query) withoutOpenSSH() (Settings, error) {
	me, err := user.Current()
	if err != nil {
		return Settings{}, err
	}
	found := options{
		"hostname": {q.Host}, "user": {me.Username}, "port": {"22"},
		"stricthostkeychecking": {"ask"},
		"userknownhostsfile":    {"~/.ssh/known_hosts ~/.ssh/known_hosts2"},
		"globalknownhostsfile":  {"/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"},
		"hostkeyalgorithms":     {"ssh-ed25519-cert-v01@openssh.com,ssh-ed25519"}, // before all others
		"identityfile":          {"~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519"},
	}
	if q.User != "" {
		found["user"] = []string{q.User}
	}
	if q.Port != 0 {
		found["port"] = []string{strconv.Itoa(q.Port)}
	}
	return read(q.Host, found, found)
}

// unbracketed is an address without its brackets.
func unbracketed(host string) string {
	if inside, found := strings.CutPrefix(host, "["); found && strings.HasSuffix(inside, "]") {
		return strings.TrimSuffix(inside, "]")
	}
	return host
}
