package status

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/colmena-go/colmena-go/pkg/closure"
	"github.com/colmena-go/colmena-go/pkg/printable"
)

// How much is kept of what a host says, in bytes; and of units, how many.
const (
	mostOfWord   = 100
	mostOfPath   = 300
	mostOfParams = 4096
	mostUnits    = 50
)

// safePath: what Nix allows in the name of a store path, and the way there.
var safePath = regexp.MustCompile(`^(/[A-Za-z0-9+._?=-]+)+$`)

// parse reads the lines of host.sh. What it does not know it leaves out: the next
// version of a host's half may say more.
func parse(text string, files []string) (State, error) {
	text, _, ended := strings.Cut("\n"+text, "\n.\n") // a shell may say good-bye behind it
	if !ended {
		return State{}, fmt.Errorf("%w: it says %q", ErrUnclear, printable.Said(text, mostOfPath))
	}
	s := State{Generations: map[string]Generation{}, Files: map[string]File{}}
	asked := map[string]bool{}
	for _, path := range files {
		asked[path] = true
	}
	for line := range strings.Lines(text) {
		what, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch what {
		case "now":
			s.Now = seconds(rest)
		case "since":
			s.since(rest)
		case "profile":
			s.Profile = printable.Said(rest, mostOfWord)
		case "generation":
			s.generation(rest)
		case "state":
			s.Running = printable.Said(rest, mostOfWord)
		case "unit":
			if len(s.Failed) < mostUnits {
				s.Failed = append(s.Failed, printable.Said(rest, mostOfPath))
			}
		case "failed":
			s.Units, _ = strconv.Atoi(rest)
		case "file":
			s.file(rest, asked)
		default:
			s.system(what, rest)
		}
	}
	if s.Now.IsZero() {
		return State{}, fmt.Errorf("%w: it does not report its time", ErrUnclear)
	}
	s.Units = max(s.Units, len(s.Failed))
	for _, system := range []*closure.System{&s.Current, &s.Booted, &s.Next} {
		complete(system)
	}
	return s, nil
}

// system reads a line about one of the systems.
func (s *State) system(what, rest string) {
	name, value, _ := strings.Cut(rest, " ")
	system := map[string]*closure.System{"current": &s.Current, "booted": &s.Booted, "next": &s.Next}[name]
	switch {
	case system == nil:
	case what == "system":
		system.Path = path(value)
	case what == "version":
		system.Version = printable.Said(value, mostOfWord)
	case slices.Contains(closure.BootParts, what):
		if system.Boot == nil {
			system.Boot = map[string]string{}
		}
		if value != system.Path+"/"+what { // where it would be if it were there
			system.Boot[what] = printable.Said(value, mostOfParams)
		}
	}
}

// complete forgets what a host says of a system that it has not.
func complete(system *closure.System) {
	if system.Path == "" {
		*system = closure.System{}
	}
}

// path is one of a store, or says that it is not.
func path(text string) string {
	if !safePath.MatchString(text) {
		return "something that is not a store path: " + printable.Said(text, mostOfPath)
	}
	return printable.Said(text, mostOfParams)
}

// since reads a time and the link that was made then.
func (s *State) since(rest string) {
	when, link, _ := strings.Cut(rest, " ")
	switch link {
	case "/run/current-system":
		s.CurrentSince = seconds(when)
	case "/run/booted-system":
		s.BootedSince = seconds(when)
	}
}

// generation reads the name of its link, the time when that was made, and the system.
func (s *State) generation(rest string) {
	words := strings.SplitN(rest, " ", 3)
	if len(words) < 3 || words[2] != s.Current.Path && words[2] != s.Next.Path {
		return
	}
	number, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(words[0], "system-"), "-link"))
	if err != nil || number < 1 {
		return
	}
	g := s.Generations[words[2]]
	// Of several, the one that the profile leads to is meant.
	if number > g.Number && "system-"+strconv.Itoa(g.Number)+"-link" != s.Profile || words[0] == s.Profile {
		s.Generations[words[2]] = Generation{number, seconds(words[1])}
	}
}

// file reads what stat says.
func (s *State) file(rest string, asked map[string]bool) {
	words := strings.SplitN(rest, " ", 7)
	if len(words) < 7 || !asked[words[6]] {
		return
	}
	mode, errMode := strconv.ParseUint(words[0], 8, 32)
	uid, errUID := strconv.Atoi(words[1])
	gid, errGID := strconv.Atoi(words[2])
	kind, errKind := strconv.ParseUint(words[5], 16, 32)
	if errMode != nil || errUID != nil || errGID != nil || errKind != nil {
		return
	}
	s.Files[words[6]] = File{
		Regular: kind&0o170000 == 0o100000, Mode: uint32(mode), UID: uid, GID: gid,
		User: printable.Said(words[3], mostOfWord), Group: printable.Said(words[4], mostOfWord),
	}
}

// farthest is a time that a clock may show: the end of the year 9999.
const farthest = 253402300799

// seconds is a time in seconds since 1970, the zero one for what makes no sense.
func seconds(text string) time.Time {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 || n > farthest {
		return time.Time{}
	}
	return time.Unix(n, 0)
}
