package escalation

import (
	"bytes"
	_ "embed"
	"regexp"
	"slices"
	"strings"
)

// doas, run0 and their like ask on a terminal and read there, whatever their input is.

//go:embed typed.sh
var typedScript string

// typing is typedScript as an argument: without what is said of it.
var typing = strings.TrimSpace(regexp.MustCompile(`(?m)^\s*#.*\n`).ReplaceAllString(typedScript, ""))

// onTerminal are the words that give a program a terminal of its own, on which is typed
// what it is told. mark is what the terminal shows before the program begins, as
// printf(1) reads it.
func onTerminal(mark string, words []string) []string {
	return slices.Concat([]string{"sh", "-c", typing, "sh", mark}, words)
}

// withAgent has an agent of polkit ask on the terminal for what follows, once it is known
// there. The one that run0 would begin itself wants the terminal as its input as well.
const withAgent = `: "$(pkttyagent --process $$ --notify-fd 1 </dev/tty 2>/dev/tty &)"; exec "$@"`

// terminalWord is a word in the place of which typed.sh puts the terminal's file.
const terminalWord = "colmena-go-terminal"

// The input of typed.sh: lines to be typed, and then what goes to the command.
const (
	typedLine = "+" // before each
	typedPass = "-" // before a password
	typedEnd  = ".\n"
)

var (
	// question is a line that waits for an answer.
	question = regexp.MustCompile(`[^\s:?][^\n]*[:?] *$`)
	// whose is the one of pkttyagent(1), for run0, about the accounts that it has listed.
	whose = regexp.MustCompile(`authenticate as \(1-\d+\): *$`)
)

// maxShown is how much of a terminal is kept, in bytes.
const maxShown = 16 << 10

// siftTyped keeps what the terminal shows, which is passed on only if the command does
// not begin. It is called with mu, and until the command does.
func (s *stream) siftTyped(p []byte) (pass []byte) {
	c := s.call
	text := append(s.held, p...)
	s.held = nil
	if at := bytes.Index(text, c.prompt); !s.shown && at >= 0 {
		s.shown = true
		pass, text = append(pass, text[:at]...), text[at+len(c.prompt):]
	}
	if at := bytes.Index(text, c.granted); s.grants && at >= 0 {
		c.root = true
		text = slices.Concat(text[:at], text[at+len(c.granted):])
	}
	if at := bytes.Index(text, c.silent); s.shown && at >= 0 {
		c.quiet = true
		text = nil
	}
	if c.root && c.quiet {
		c.begins()
	}
	switch {
	case s.shown && c.quiet: // what is left was the terminal's
		return pass
	case !s.shown:
		keep := 0
		if !c.open {
			keep = max(begun(text, c.prompt), begun(text, c.granted))
		}
		s.held = bytes.Clone(text[len(text)-keep:])
		return append(pass, text[:len(text)-keep]...)
	}
	cut := max(0, len(text)-maxShown)
	s.held, s.answered = bytes.Clone(text[cut:]), max(0, s.answered-cut)
	line := s.held[max(s.answered, bytes.LastIndexByte(s.held, '\n')+1):]
	switch {
	case c.root || !question.Match(line):
		return pass
	case whose.Match(line):
		c.choose(s.held)
	default:
		c.question()
	}
	s.answered = len(s.held)
	return pass
}

// choose answers whose password is wanted of the accounts that the terminal shows: that of
// who we are. It is called with mu.
func (c *Call) choose(shown []byte) {
	account := regexp.MustCompile(`(?m)^\s*(\d+)\.\s+(?:.*\()?` + regexp.QuoteMeta(c.user) + `\)?\s*$`)
	if found := account.FindSubmatch(shown); found != nil {
		c.send([]byte(typedLine), found[1], []byte("\n"))
		return
	}
	c.hopeless = true
	c.change()
}
