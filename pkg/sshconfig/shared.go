package sshconfig

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// ssh -G takes a processor for some ten milliseconds, and there may be a thousand hosts
// whose settings differ in nothing but what they are called and where they are. Hosts
// for which the same lines of ssh_config(5) hold, but for HostName, Port and User, are of
// one kind. For the first two of a kind ssh is asked, and it is asked how it came to its
// answer: which files it read, and which Host lines hold. If that is what was found here, and
// what can be made of the first answer is what ssh says of the second, others are not
// asked about. Whatever is unusual is asked about each time.

// kind is what is known of such hosts.
type kind struct {
	turn  chan struct{} // held by who asks for one of them
	asked int
	apart bool    // each must be asked about
	first options // what ssh said of the first
}

// shared is what is known of files and kinds.
type shared struct {
	mu    sync.Mutex
	files map[string]*filesKnown // by the program and what -F says
}

type filesKnown struct {
	*config
	kinds map[string]*kind
}

var answers shared

// of is what is known of the files of a query, for the ssh that is found in PATH; nil
// where nothing can be concluded.
func (all *shared) of(file string) *filesKnown {
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		return nil
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	last := all.files[ssh+"\x00"+file]
	if last == nil || !last.fresh() {
		now := &filesKnown{config: readConfig(file), kinds: map[string]*kind{}}
		now.understood = now.understood && !wrapped(ssh)
		if last != nil && now.same(last.config) {
			now.kinds = last.kinds
		}
		if all.files == nil {
			all.files = map[string]*filesKnown{}
		}
		all.files[ssh+"\x00"+file] = now
		last = now
	}
	if !last.understood {
		return nil
	}
	return last
}

// wrapped reports whether ssh is a script, which may do anything with a name.
func wrapped(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return true
	}
	defer f.Close()
	begin := make([]byte, 2)
	_, err = io.ReadFull(f, begin)
	return err != nil || bytes.Equal(begin, []byte("#!"))
}

// kind is that of the hosts with some words on the command line and sections.
func (all *shared) kind(of *filesKnown, words []string, sections []int) *kind {
	key := fmt.Sprintf("%q", words)
	for _, i := range sections {
		if of.sections[i].general {
			key += " " + strconv.Itoa(i)
		}
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	k := of.kinds[key]
	if k == nil {
		k = &kind{turn: make(chan struct{}, 1)}
		of.kinds[key] = k
	}
	return k
}

// ask is what ssh -G says of the host of a query, with these words of its options.
func (q Query) ask(ctx context.Context, words []string, host string) (options, error) {
	alone := func() (options, error) {
		found, _, err := sshG(ctx, append(q.arguments(words), "--", host)...)
		return found, err
	}
	if !q.ordinary(words, host) {
		return alone()
	}
	files := answers.of(q.configFile())
	if files == nil {
		return alone()
	}
	sections := files.about(host)
	if slices.ContainsFunc(sections, func(i int) bool { return files.sections[i].odd }) {
		return alone()
	}
	k := answers.kind(files, words, sections)
	select {
	case k.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	first, asked, apart := k.first, k.asked, k.apart
	if apart || asked == 2 {
		<-k.turn
		if made, err := q.made(first, files.address(sections), host); !apart && err == nil && !made.jumpsTo(host) {
			return made, nil
		}
		return alone()
	}
	defer func() { <-k.turn }()
	found, how, err := sshG(ctx, append(append([]string{"-v"}, q.arguments(words)...), "--", host)...)
	if err != nil {
		return alone() // whose words are for people
	}
	if asked == 0 {
		k.first = found
	}
	made, err := q.made(k.first, files.address(sections), host)
	k.asked++
	k.apart = err != nil || !files.explain(how, sections) || !found.alike(made) || found.elsewhere()
	return found, nil
}

// ordinary reports whether the host has a plain name, and nothing on the command line is
// of one host.
func (q Query) ordinary(words []string, host string) bool {
	if q.instead != "" || !plainName.MatchString(host) || q.User != "" && !plainUser.MatchString(q.User) {
		return false
	}
	for i, word := range words {
		if strings.ContainsAny(word, "%$") || word == "-p" || word == "-l" {
			return false
		}
		if i > 0 && words[i-1] == "-o" {
			switch name := optionName(word); {
			case name == "hostname" || name == "port" || name == "user":
				return false
			}
		}
	}
	return true
}

// address is what the sections say of a host alone. What is said first holds.
func (c *config) address(sections []int) (a address) {
	for _, i := range sections {
		own := c.sections[i].own
		if a.hostName == "" {
			a.hostName = own.hostName
		}
		if a.port == "" {
			a.port = own.port
		}
		if a.user == "" {
			a.user = own.user
		}
	}
	return a
}

// made is what ssh would say of a host of whose kind it has said first.
func (q Query) made(first options, own address, host string) (options, error) {
	defaults, err := plainDefaults()
	if err != nil {
		return nil, err
	}
	found := maps.Clone(first)
	if len(found["host"]) > 0 {
		found["host"] = []string{host}
	}
	set := func(name, said string) {
		found[name] = defaults[name]
		if said != "" {
			found[name] = []string{said}
		}
	}
	if q.Port != 0 {
		own.port = strconv.Itoa(q.Port)
	}
	if q.User != "" {
		own.user = q.User
	}
	set("port", own.port)
	set("user", own.user)
	found["hostname"] = []string{host}
	if own.hostName != "" {
		found["hostname"] = []string{strings.ReplaceAll(own.hostName, "%h", host)}
	}
	return found, nil
}

// alike reports whether two answers say the same, as far as it is of use.
func (o options) alike(other options) bool {
	for _, all := range []options{o, other} {
		for name := range all {
			if !isHarmless[name] && !slices.Equal(o[name], other[name]) {
				return false
			}
		}
	}
	return true
}

// elsewhere reports whether ssh looks up what the host is called.
func (o options) elsewhere() bool {
	return o.one("canonicalizehostname") != "" && !o.no("canonicalizehostname") || o.one("canonicalizepermittedcnames") != ""
}

// applied is where ssh -v tells of a Host line that holds, or of one that does not after
// all.
var applied = regexp.MustCompile(`^debug1: (.* line \d+): (Applying options for|Skipping Host block)`)

// jumpsTo reports whether the host may be among those on the way to it, which ssh refuses.
func (o options) jumpsTo(host string) bool {
	jumps := strings.ToLower(o.one("proxyjump"))
	return strings.Contains(jumps, host) || strings.Contains(jumps, o.one("hostname"))
}

// explain reports whether ssh has read the files that were read here, and took those
// sections for the host's, as it said on stderr.
func (c *config) explain(how string, sections []int) bool {
	var read, hold, texts, places []string
	for line := range strings.Lines(how) {
		line = strings.TrimRight(line, "\r\n")
		if file, ok := strings.CutPrefix(line, "debug1: Reading configuration data "); ok {
			read = append(read, file)
		}
		if found := applied.FindStringSubmatch(line); found != nil && found[2][0] == 'A' {
			hold = append(hold, found[1])
		}
	}
	for _, t := range c.texts {
		texts = append(texts, t.file)
	}
	for _, i := range sections {
		if place := c.sections[i].place; place != "" {
			places = append(places, place)
		}
	}
	return slices.Equal(read, texts) && slices.Equal(hold, places)
}
