package hive

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/hashicorp/go-multierror"
)

// The rules here are those of nix/keys.nix' assertions, for the commands that
// evaluate no toplevel, in which alone assertions fire.

// Problem is an option whose value cannot be used.
type Problem struct {
	Node, Key string // Key is "" for options outside deployment.keys
	Option    string
	Text      string // what is wrong with it and what would be right
}

func (p *Problem) Error() string {
	if p.Key != "" {
		return fmt.Sprintf("node %q: deployment.keys.%q.%s %s", p.Node, p.Key, p.Option, p.Text)
	}
	return fmt.Sprintf("node %q: deployment.%s %s", p.Node, p.Option, p.Text)
}

// validator collects a node's problems.
type validator struct {
	node, key string
	problems  *multierror.Error
}

func (v *validator) add(option, format string, args ...any) {
	v.problems = multierror.Append(v.problems, &Problem{v.node, v.key, option, fmt.Sprintf(format, args...)})
}

func control(text string) bool { return strings.ContainsFunc(text, unicode.IsControl) }

// longestShown is how many bytes of a bad value an error quotes. A longer one may
// be the key itself, as in `permissions = secret`.
const longestShown = 16

// shown is a bad value of a key's option as far as errors quote it.
func shown(value string) string {
	if len(value) > longestShown {
		return fmt.Sprintf("a text of %d bytes", len(value))
	}
	return strconv.Quote(value)
}

// word checks what goes to ssh as one argument.
func (v *validator) word(option, text string) bool {
	good := text != "" && !strings.HasPrefix(text, "-") && !control(text) && !strings.ContainsFunc(text, unicode.IsSpace)
	if !good {
		v.add(option, "is %q: it must be one word that does not begin with -", text)
	}
	return good
}

func (v *validator) port(port int) {
	if port < 1 || port > 65535 {
		v.add("targetPort", "is %d: a port is 1 to 65535", port)
	}
}

// attr checks the attribute name, of which the unit's name is made.
func (v *validator) attr(attr string) {
	if attr == "" || control(attr) {
		v.add("name", "cannot be made into a unit's name: an attribute of deployment.keys must not be empty or hold control characters")
		return
	}
	// A file name, of which systemd takes 255 bytes.
	if unit := (Key{Attr: attr}).Unit(); len(unit) > 255 {
		v.add("name", "makes the name of its unit %d bytes long, of which 255 are allowed: give the attribute a shorter name, and set name to the file's", len(unit))
	}
}

func (v *validator) text(text rawText) {
	if text.bad {
		v.add("text", BadText)
	}
}

func (v *validator) name(name string) {
	switch {
	case name == "", name == ".", name == "..":
		v.add("name", "is %s, which is not a file name", shown(name))
	case strings.Contains(name, "/"):
		v.add("name", "is %s: a file name has no slash; directories go into destDir", shown(name))
	case control(name):
		v.add("name", "is %s: control characters are not allowed in it", shown(name))
	case strings.HasPrefix(name, stagePrefix):
		v.add("name", "begins with %q, as the directories do in which uploads are staged: choose another", stagePrefix)
	case len(name) > 255:
		v.add("name", "has %d bytes; a file name has at most 255", len(name))
	}
}

// dir checks the path of a directory for keys.
func (v *validator) dir(option, dir string) {
	switch {
	case !path.IsAbs(dir):
		v.add(option, "is %s: it must be an absolute path", shown(dir))
	case control(dir):
		v.add(option, "is %s: control characters are not allowed in it", shown(dir))
	case strings.Contains("/"+dir+"/", "/../"):
		v.add(option, `is %s: ".." is not allowed in it`, shown(dir))
	case len(dir) > 3800:
		v.add(option, "has %d bytes, which is more than a path may have", len(dir))
	case strings.Contains(dir, "/"+stagePrefix):
		v.add(option, "is %s: names that begin with %q are those of directories in which uploads are staged", shown(dir), stagePrefix)
	}
	for _, closed := range closedToKeys {
		if strings.HasPrefix(path.Clean(dir)+"/", closed+"/") {
			v.add(option, "is %q: %s is not a place for keys", dir, closed)
		}
	}
}

// notOurs checks that an upload is what makes a directory.
func (v *validator) notOurs(option, dir string) {
	switch dir {
	case "/":
		v.add(option, "is there on every host: only directories that an upload makes get an owner")
	case "/run/keys":
		v.add(option, "belongs to NixOS, which keeps it root's, of the group keys, with 0750: choose another destDir for keys that need another")
	}
}

// stagePrefix is how the directories are named in which uploads are staged.
const stagePrefix = ".colmena-go."

// closedToKeys are this program's own directories on a host, and those that
// hold no files of anybody's or show them to all. What leads there through
// symlinks or mounts is refused on the host.
var closedToKeys = []string{"/run/colmena-go", "/run/colmena-go-keys", "/var/lib/colmena-go", "/nix/store", "/proc", "/sys"}

// unixName is what NixOS takes for users and groups (users-groups.nix), with
// the $ of Samba's machine accounts, or a number.
var unixName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@+-]*\$?$`)

func (v *validator) owner(option, name string) {
	if !unixName.MatchString(name) {
		v.add(option, "is %s: a name is made of letters, digits, _, . and -, does not begin with . or -, and may end with $; a number is an id", shown(name))
		return
	}
	if strings.Trim(name, "0123456789") == "" {
		if id, err := strconv.ParseUint(name, 10, 32); err != nil || id >= 1<<32-1 {
			v.add(option, "is %s: ids are less than 4294967295", shown(name))
		}
	}
}

// octal is what chmod(1) takes for a number, at most 7777.
var octal = regexp.MustCompile(`^0*[0-7]{1,4}$`)

func (v *validator) permissions(option, text string) uint32 {
	if !octal.MatchString(text) {
		v.add(option, `is %s: write octal digits such as "0600" or "640"`, shown(text))
		return 0
	}
	mode, _ := strconv.ParseUint(text, 8, 16) // the pattern leaves nothing to fail
	return uint32(mode)
}

// ourVariables is how the names of variables begin that this program sets.
const ourVariables = "COLMENA_GO_"

// environment is the variables as NAME=VALUE. Values are in no error: people do put secrets
// there.
func (v *validator) environment(set []variable) (list []string) {
	for _, in := range set {
		name, _, more := strings.Cut(in.Name, "=")
		switch {
		case name == "" || control(name) || more:
			v.add("environment", "has a variable %s: a name is not empty and holds neither = nor control characters", shown(name))
		case strings.HasPrefix(name, ourVariables):
			v.add("environment", "has a variable %q: those that begin with %s are set by colmena-go", name, ourVariables)
		case strings.Contains(in.Value, "\x00"):
			v.add("environment", "has a variable %q with a zero byte, which no variable can hold", name)
		default:
			list = append(list, name+"="+in.Value)
		}
	}
	return list
}

// longestTimeout is one that time.Duration holds, and nobody waits for.
const longestTimeout = 30 * 24 * time.Hour

func (v *validator) timeout(seconds *int64) time.Duration {
	switch {
	case seconds == nil:
		return 0
	case *seconds < 1 || *seconds > int64(longestTimeout/time.Second):
		v.add("keyTimeout", "is %d: it must be a number of seconds from 1 to %d", *seconds, int64(longestTimeout/time.Second))
		return 0
	}
	return time.Duration(*seconds) * time.Second
}

// longestFingerprint is in bytes.
const longestFingerprint = 256

func (v *validator) fingerprint(text string) {
	switch {
	case text == "":
		v.add("fingerprint", "is empty: leave it null for none")
	case control(text):
		v.add("fingerprint", "is %s: control characters are not allowed in it", shown(text))
	case len(text) > longestFingerprint:
		v.add("fingerprint", "has %d bytes; at most %d are allowed: take a digest of what it is made from", len(text), longestFingerprint)
	}
}

// unitName is what systemd takes (systemd.unit(5)) and is no option of systemctl's; a
// template lacks its instance.
var (
	unitName   = regexp.MustCompile(`^[A-Za-z0-9:_\\][A-Za-z0-9:_.@\\-]*$`)
	unitSuffix = regexp.MustCompile(`\.(service|socket|target|timer|path|mount|automount|swap|slice|scope|device)$`)
	template   = regexp.MustCompile(`@\.[a-z]*$`)
)

// units are the full names of those that an option lists, each once and none of others'.
func (v *validator) units(option string, list, others []string) (full []string) {
	for _, name := range list {
		unit := name
		if !unitSuffix.MatchString(name) {
			unit += ".service"
		}
		switch {
		case !unitName.MatchString(name):
			v.add(option, `holds %s: names of units are made of letters, digits and :-_.@\`, shown(name))
		case template.MatchString(unit):
			v.add(option, "holds %s, a template: name an instance of it", shown(name))
		case len(unit) > 255:
			v.add(option, "holds a name of %d bytes, of which units have at most 255", len(unit))
		case !slices.Contains(full, unit) && !slices.Contains(others, unit):
			full = append(full, unit)
		}
	}
	return full
}

// source checks that the content comes from one place. Without texts, which
// only commands that upload ask for, a key that shows no source may have one,
// unless the hive tells that it has none.
func (v *validator) source(in keyInEval) {
	var set []string
	if in.Text != nil || in.TextLater || in.TextToo {
		set = append(set, "text")
	}
	if in.KeyFile != nil {
		set = append(set, "keyFile")
	}
	if in.KeyCommand != nil {
		set = append(set, "keyCommand")
	}
	switch {
	case len(set) > 1:
		v.add(strings.Join(set, ", "), "are set together: exactly one of text, keyFile and keyCommand must be")
	case len(set) == 0 && (in.NoText || !in.TextLeftOut):
		v.add("text, keyFile, keyCommand", "are all unset: exactly one of them must be set")
	case in.KeyFile != nil && !path.IsAbs(*in.KeyFile):
		v.add("keyFile", "is %s: it must be an absolute path", shown(*in.KeyFile))
	case in.KeyCommand != nil && (len(in.KeyCommand) == 0 || in.KeyCommand[0] == ""):
		v.add("keyCommand", "is empty: it must hold a program and its arguments")
	}
}

func (v *validator) onePathEach(keys []Key) {
	taken := map[string]string{}
	for _, key := range keys {
		if other, ok := taken[key.Path()]; ok {
			v.key = key.Attr
			v.add("destDir, name", "lead to %s, as those of key %q do: give one of them another name", key.Path(), other)
			continue
		}
		taken[key.Path()] = key.Attr
	}
	v.key = ""
}
