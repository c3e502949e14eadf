package nixeval

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/rs/zerolog"

	"github.com/colmena-go/colmena-go/pkg/nix"
)

// journal reads what Nix says with --log-format internal-json: each line is
// "@nix " and an object, or else comes from a program that Nix runs, like git.
type journal struct {
	*said
	traced func(what, text string) // is told of the traces of nix/select.nix; may be nil
	heard  func(Word)              // is told what the hive says; may be nil
	trace  bool                    // --show-trace: what may be a secret is shown
	token  string                  // of these traces; "" if there are none
	node   string                  // the node that is being evaluated, "" for none
	last   *entry                  // the last error
	plain  []string                // the last lines that are no objects
	torn   string                  // the beginning of an object whose end is to come
	built  []string                // the last lines of builders

	noMemory bool // Nix's collector has no more to give

	expression *ownText // the user's, nil for none
}

// traceOf is how a trace of nix/select.nix begins. Hives, builders and git write
// here as well, but do not know this evaluation's token.
func traceOf(token string) string { return "trace: colmena-go " + token + " " }

// entry is an object of the log. These fields are those of Nix 2.8 and later.
type entry struct {
	Action string  `json:"action"`  // "msg", "result", or something else about an activity
	Type   int     `json:"type"`    // of a result
	Fields []any   `json:"fields"`  // of a result
	Level  int     `json:"level"`   // 0 is an error, but also a trace; 1 a warning
	Msg    string  `json:"msg"`     // for people, with source code
	Raw    *string `json:"raw_msg"` // of an error or warning: what is wrong, and no more
	Trace  []frame `json:"trace"`   // of an error, from the inside out
	place
}

type frame struct {
	Raw string `json:"raw_msg"`
	place
}

// place is where in a file something is; File is "" if it is not known.
type place struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// longestTorn is how many bytes of such an object are waited for.
const longestTorn = 32 << 20

// plainLines is how many lines of other programs are kept.
const plainLines = 20

// line is told each line of Nix's stderr. Nix's threads write at once: what does
// not fit into the pipe may be torn apart by another's line.
func (j *journal) line(text string) {
	begins := strings.HasPrefix(text, "@nix ")
	switch at := strings.LastIndex(text, "@nix {"); {
	case begins && j.object(text):
		return
	case !begins && j.torn == "":
		j.program(nix.WithoutLogins(nix.Uncolored(text)))
		return
	case at > 0:
		j.torn += text[:at]
		j.line(text[at:])
		return
	case begins:
		j.torn = ""
	}
	j.torn += text
	if j.object(j.torn) || len(j.torn) > longestTorn {
		j.torn = ""
	}
}

// program is told a line that is none of Nix's own.
func (j *journal) program(text string) {
	if j.node != "" && !j.trace { // perhaps for a key, whose errors show no address
		text = placeOfURL.ReplaceAllString(text, "$1/"+nix.NotShown)
	}
	switch {
	case strings.HasPrefix(text, "GC Warning: "): // of the collector's memory, which Nix's last word is about
		j.log.Debug().Msg(text)
		return
	case strings.HasPrefix(text, stackOverflow): // 2.8, which has no time to say where
		raw := strings.TrimPrefix(text, "error: ")
		j.last = &entry{Raw: &raw}
		return
	}
	j.plain = append(j.plain, text)
	j.plain = j.plain[max(0, len(j.plain)-plainLines):]
	j.log.Info().Msg(text)
}

// stackOverflow is how Nix 2.8 begins to tell of one.
const stackOverflow = "error: stack overflow"

// object reports whether a line holds a whole object, and takes it.
func (j *journal) object(text string) bool {
	e := &entry{}
	if json.Unmarshal([]byte(strings.TrimPrefix(text, "@nix ")), e) != nil {
		return false
	}
	j.entry(e)
	return true
}

func (j *journal) entry(e *entry) {
	if e.Action == "result" && e.Type == nix.BuildLogLine && len(e.Fields) > 0 {
		if line, ok := e.Fields[0].(string); ok {
			j.built = append(j.built, nix.WithoutLogins(nix.Uncolored(line)))
			j.built = j.built[max(0, len(j.built)-nix.BuilderLines):]
			if j.trace {
				j.log.Debug().Msg(nix.Uncolored(line)) // at once: only the end tells whether it is of a key
			}
		}
	}
	if e.Action != "msg" {
		return
	}
	e.uncolor()
	j.expression.rename(e)
	if e.Raw != nil && e.Level == 0 {
		j.last = e
		return
	}
	if e.Level == 0 && e.Msg == "error: out of memory" {
		j.noMemory = true
		return
	}
	if strings.HasPrefix(e.Msg, "error") && e.Level == 0 {
		return // one that Nix ignores, with source code
	}
	if text, ok := strings.CutPrefix(e.Msg, traceOf(j.token)); ok && j.token != "" {
		j.ours(text)
		return
	}
	j.tell(e.Msg)
}

// ours takes a trace of nix/select.nix: WHAT: JSON.
func (j *journal) ours(text string) {
	what, value, _ := strings.Cut(text, ": ")
	if what == "at" {
		j.node = ""
		if json.Unmarshal([]byte(value), &j.node) != nil {
			j.node = value
		}
	}
	if j.traced != nil {
		j.traced(what, value)
	}
}

// download is what Nix says of one that it tries again, by host and the rest.
var download = regexp.MustCompile(`(unable to download '[^:/']+://[^/']*)/.*?'(: |; |$)`)

// placeOfURL is a URL, by host and the rest.
var placeOfURL = regexp.MustCompile(`\b([a-z][a-z0-9+.-]*://[^/'"\s]*)/[^'"\s]*`)

// tell logs what is no error.
func (j *journal) tell(text string) {
	text = nix.WithoutLogins(text)
	if j.node != "" && !j.trace { // perhaps for a key, whose errors show no address
		text = download.ReplaceAllString(text, "$1/"+nix.NotShown+"'$2")
	}
	for _, kind := range kinds {
		rest, ok := strings.CutPrefix(text, kind.prefix)
		if !ok {
			continue
		}
		if kind.hive && j.heard != nil {
			j.heard(Word{Node: j.node, Warning: kind.level == zerolog.WarnLevel, Text: rest})
		}
		j.said.tell(j, kind.level, j.node, rest)
		return
	}
}

// kinds are what is no error, by how it begins: what the hive says, and what Nix does.
var kinds = []struct {
	prefix string
	level  zerolog.Level
	hive   bool
}{
	{"trace: warning: ", zerolog.WarnLevel, true}, // lib.warn and config.warnings
	{"trace: evaluation warning: ", zerolog.WarnLevel, true},
	{"evaluation warning: ", zerolog.WarnLevel, true},
	{"trace: ", zerolog.InfoLevel, true},
	{"warning: ", zerolog.WarnLevel, false},
	{"", zerolog.DebugLevel, false},
}

func (w Word) level() zerolog.Level {
	if w.Warning {
		return zerolog.WarnLevel
	}
	return zerolog.InfoLevel
}

func (e *entry) uncolor() {
	e.Msg = strings.TrimSpace(nix.Uncolored(e.Msg))
	if e.Raw != nil {
		raw := nix.InOldWords(strings.TrimSpace(nix.Uncolored(*e.Raw)))
		e.Raw = &raw
	}
	for i, f := range e.Trace {
		e.Trace[i].Raw = strings.TrimSuffix(strings.TrimSpace(nix.Uncolored(f.Raw)), ":")
	}
}
