package sshconfig

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What files of ssh_config(5) say of which host, as far as it takes to see that one host
// differs from another in nothing but its name (see shared.go). ssh alone knows what
// options mean. Where it is not certain that ssh reads a line as it is read here, the
// files are not understood, and nothing is concluded from them.

// config is the files that ssh reads.
type config struct {
	looks      []look    // at all that was read, in their order
	texts      []text    // in their order; one that is included twice is there twice
	sections   []section // in their order
	understood bool
	named      map[string][]int // sections, by a name that they are about
	patterned  []int            // and those about names that fit a pattern, or about all
}

type text struct {
	file string
	text []byte
}

// look is what a file or folder was like when it was about to be read.
type look struct {
	path    string
	info    fs.FileInfo // nil where there was none
	settled bool
}

// settling is how old a change must be for the next to be seen by its time.
const settling = 2 * time.Second

func (c *config) look(path string) {
	l := look{path: path}
	if info, err := os.Stat(path); err == nil {
		l.info, l.settled = info, time.Since(info.ModTime()) > settling
	}
	c.looks = append(c.looks, l)
}

// fresh reports whether all is as it was when it was read.
func (c *config) fresh() bool {
	return !slices.ContainsFunc(c.looks, func(l look) bool {
		now, err := os.Stat(l.path)
		if l.info == nil {
			return err == nil
		}
		return err != nil || !l.settled || !os.SameFile(now, l.info) || now.Size() != l.info.Size() || !now.ModTime().Equal(l.info.ModTime())
	})
}

// section is lines that hold for the same hosts.
type section struct {
	place string     // "FILE line N" of its Host; "" where it goes on with another's hosts
	hosts [][]string // patterns of its Host, and of those around it by Include; all must fit
	own   address
	// general: there is more in it than what the host's own address is made of.
	general bool
	// odd: what it says depends on the host in a way that is not known here.
	odd bool
}

// address is what is of each host alone; "" for what is not said.
type address struct{ hostName, port, user string }

// deepest is how deep files may include each other.
const deepest = 8

// readConfig reads the files that ssh would read if it were given one, or its usual
// ones for "".
func readConfig(file string) *config {
	c := &config{understood: true, named: map[string][]int{}}
	home, ok := homeOfPasswd()
	c.understood = ok
	switch file {
	case "none": // as for ssh
	case "":
		c.top(filepath.Join(home, ".ssh/config"), filepath.Join(home, ".ssh"), home)
		c.top("/etc/ssh/ssh_config", "/etc/ssh", home)
	default:
		c.top(file, filepath.Join(home, ".ssh"), home)
	}
	for i, s := range c.sections {
		names := s.names()
		for _, name := range names {
			c.named[name] = append(c.named[name], i)
		}
		if len(names) == 0 {
			c.patterned = append(c.patterned, i)
		}
	}
	return c
}

// homeOfPasswd is where ssh looks for its files, whatever HOME says.
func homeOfPasswd() (string, bool) {
	me, err := user.LookupId(strconv.Itoa(os.Getuid()))
	if err != nil || !filepath.IsAbs(me.HomeDir) {
		return "", false
	}
	return filepath.Clean(me.HomeDir), filepath.Clean(me.HomeDir) == me.HomeDir
}

// same reports whether other read the same.
func (c *config) same(other *config) bool {
	return c.understood == other.understood && slices.EqualFunc(c.texts, other.texts, func(a, b text) bool { return a.file == b.file && bytes.Equal(a.text, b.text) })
}

// top reads a file that is not included, if it exists.
func (c *config) top(file, dir, home string) {
	c.sections = append(c.sections, section{})
	r := reading{c, dir, home}
	r.read(file, nil, 0)
}

// reading is what is the same for a file and those it includes.
type reading struct {
	*config
	dir  string // of relative names
	home string
}

// read reads a file whose lines hold for some hosts.
func (r reading) read(file string, hosts [][]string, depth int) {
	r.look(file)
	all, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return
	case err != nil || depth > deepest || len(all) > 16<<20 || bytes.ContainsRune(all, 0):
		r.understood = false
		return
	}
	r.texts = append(r.texts, text{file, all})
	around, number := hosts, 0
	for line := range strings.Lines(string(all)) {
		number++
		keyword, value, ok := cut(line)
		switch {
		case !ok:
			r.understood = false
			return
		case keyword == "":
		case keyword == "match" && strings.EqualFold(value, "all"):
			hosts = around
			r.sections = append(r.sections, section{hosts: hosts})
		case keyword == "match":
			r.understood = false
			return
		case keyword == "host":
			patterns := strings.Fields(value)
			r.understood = r.understood && len(patterns) > 0 && plainWords.MatchString(value)
			hosts = append(slices.Clip(around), patterns)
			r.sections = append(r.sections, section{place: file + " line " + strconv.Itoa(number), hosts: hosts})
		case keyword == "include":
			r.include(value, hosts, depth)
			r.sections = append(r.sections, section{hosts: hosts})
		default:
			r.sections[len(r.sections)-1].line(keyword, value)
		}
	}
}

// plainWords are words that need no quotes, and patterns; plainFiles are such names.
var (
	plainWords = regexp.MustCompile(`^[A-Za-z0-9 \t_.:/*?!@%+,-]*$`)
	plainFiles = regexp.MustCompile(`^[A-Za-z0-9 \t_./*?~-]+$`)
)

// include reads the files of an Include.
func (r reading) include(value string, hosts [][]string, depth int) {
	if !plainFiles.MatchString(value) {
		r.understood = false
		return
	}
	for _, pattern := range strings.Fields(value) {
		if rest, ok := strings.CutPrefix(pattern, "~/"); ok {
			pattern = r.home + "/" + rest
		} else if !filepath.IsAbs(pattern) {
			pattern = r.dir + "/" + pattern
		}
		dir, last := filepath.Split(pattern)
		if strings.ContainsAny(dir, "*?~") || strings.HasPrefix(last, "~") {
			r.understood = false
			return
		}
		r.look(dir)
		files, err := filepath.Glob(pattern)
		r.understood = r.understood && err == nil
		for _, file := range files {
			if strings.HasPrefix(filepath.Base(file), ".") && last[0] != '.' { // as for glob(3)
				continue
			}
			r.sections = append(r.sections, section{hosts: hosts})
			r.read(dir+filepath.Base(file), hosts, depth+1)
		}
	}
}

// cut takes a line apart; keyword is in lower case, and "" where there is none. It is
// not ok where ssh may see other words in it.
func cut(line string) (keyword, value string, ok bool) {
	line = strings.Trim(line, " \t\r\n\f")
	if line == "" || line[0] == '#' {
		return "", "", true
	}
	end := strings.IndexFunc(line, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9') })
	if end <= 0 {
		return "", "", false
	}
	value = strings.TrimLeft(line[end:], " \t")
	if rest, with := strings.CutPrefix(value, "="); with {
		value = strings.TrimLeft(rest, " \t")
	} else if value == line[end:] {
		return "", "", false
	}
	return strings.ToLower(line[:end]), value, value != "" && value[0] != '='
}

var (
	plainHostName = regexp.MustCompile(`^([a-z0-9.:_-]|%h)+$`)
	plainPort     = regexp.MustCompile(`^[1-9][0-9]{0,4}$`)
	plainUser     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
	plainName     = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)
)

// line takes in what a line of the section says.
func (s *section) line(keyword, value string) {
	first := func(to *string, plain *regexp.Regexp) {
		s.odd = s.odd || !plain.MatchString(value)
		if *to == "" {
			*to = value
		}
	}
	switch {
	case keyword == "hostname":
		first(&s.own.hostName, plainHostName)
	case keyword == "port":
		first(&s.own.port, plainPort)
	case keyword == "user":
		first(&s.own.user, plainUser)
	case !isHarmless[keyword]:
		s.general = true
		s.odd = s.odd || strings.ContainsAny(value, "%$")
	}
}

// names are those that a section is about; none where there are patterns.
func (s *section) names() []string {
	if len(s.hosts) != 1 || slices.ContainsFunc(s.hosts[0], func(pattern string) bool { return strings.ContainsAny(pattern, "*?!") }) {
		return nil
	}
	return slices.Compact(slices.Sorted(slices.Values(s.hosts[0])))
}

// holds reports whether a section is for a host, given by a plain name.
func (s *section) holds(name string) bool {
	return !slices.ContainsFunc(s.hosts, func(patterns []string) bool { return !meant(patterns, name) })
}

// meant reports whether patterns of a Host mean a name.
func meant(patterns []string, name string) (yes bool) {
	for _, pattern := range patterns {
		pattern, not := strings.CutPrefix(pattern, "!")
		if fits(pattern, name) {
			if not {
				return false
			}
			yes = true
		}
	}
	return yes
}

// fits matches a name with a pattern of * and ? (PATTERNS in ssh_config(5)).
func fits(pattern, name string) bool {
	star, from := -1, 0 // where to go on if the rest does not fit
	p, n := 0, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p++
			n++
		case star >= 0:
			from++
			p, n = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// about are the sections that hold for a name, in their order.
func (c *config) about(name string) (holding []int) {
	holding = slices.Clone(c.named[name])
	for _, i := range c.patterned {
		if c.sections[i].holds(name) {
			holding = append(holding, i)
		}
	}
	slices.Sort(holding)
	return holding
}
