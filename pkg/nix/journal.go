package nix

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/rs/zerolog"
)

// journal reads what Nix says with --log-format internal-json: each line is
// "@nix " and an object, or else comes from a program that Nix runs, like git.
type journal struct {
	log      zerolog.Logger
	told     map[string]bool   // what was logged already; see [Tool.Repeating]
	announce func(node []byte) // see [Request]; nil when not asked for
	trace    bool              // --show-trace: what may be a secret is shown
	token    string            // of the traces of nix/select.nix
	node     string            // the node that is being evaluated, "" for none
	warnings []warning         // those of nodes, in the order in which they came
	last     *entry            // the last error
	plain    []string          // the last lines that are no objects
	torn     string            // the beginning of an object whose end is to come
	built    []string          // the last lines of builders
}

// warning is a warning and the nodes in whose evaluation it came.
type warning struct {
	text  string
	nodes []string
}

// The traces of nix/select.nix: how to reach a node, and which is being evaluated.
// Hives, builders and git write here as well, but do not know this evaluation's
// token.
func announcement(token string) string { return "trace: colmena-go " + token + " node: " }
func beginning(token string) string    { return "trace: colmena-go " + token + " at: " }

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

// buildLogLine is the type of a result that is a line of a builder's output, for
// builds that an evaluation waits for (Nix, logging.hh).
const buildLogLine = 101

// builtLines is how many of them an error shows, as nix build does.
const builtLines = 10

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
		j.program(WithoutLogins(uncolored(text)))
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
	j.plain = append(j.plain, text)
	j.plain = j.plain[max(0, len(j.plain)-plainLines):]
	j.log.Info().Msg(text)
}

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
	if e.Action == "result" && e.Type == buildLogLine && len(e.Fields) > 0 {
		if line, ok := e.Fields[0].(string); ok {
			j.built = append(j.built, WithoutLogins(uncolored(line)))
			j.built = j.built[max(0, len(j.built)-builtLines):]
			if j.trace {
				j.log.Debug().Msg(uncolored(line)) // at once: only the end tells whether it is of a key
			}
		}
	}
	if e.Action != "msg" {
		return
	}
	e.uncolor()
	if e.Raw != nil && e.Level == 0 {
		j.last = e
		return
	}
	if strings.HasPrefix(e.Msg, "error") && e.Level == 0 {
		return // one that Nix ignores, with source code
	}
	if node, ok := strings.CutPrefix(e.Msg, announcement(j.token)); ok && j.token != "" {
		if j.announce != nil {
			j.announce([]byte(node))
		}
		return
	}
	if node, ok := strings.CutPrefix(e.Msg, beginning(j.token)); ok && j.token != "" {
		j.node = ""
		if json.Unmarshal([]byte(node), &j.node) != nil {
			j.node = node
		}
		return
	}
	j.tell(e.Msg)
}

// remember keeps a warning of the node that is being evaluated, each once.
func (j *journal) remember(text string) {
	for i, w := range j.warnings {
		if w.text != text {
			continue
		}
		if !slices.Contains(w.nodes, j.node) {
			j.warnings[i].nodes = append(w.nodes, j.node)
		}
		return
	}
	j.warnings = append(j.warnings, warning{text, []string{j.node}})
}

// warn logs the warnings of nodes, equal ones together, when the evaluation is over.
func (j *journal) warn() {
	for _, w := range j.warnings {
		slices.Sort(w.nodes)
		entry := j.log.Warn().Strs("nodes", w.nodes)
		if len(w.nodes) == 1 {
			entry = entry.Str("node", w.nodes[0])
		}
		entry.Msg(w.text)
	}
	j.warnings = nil
}

// download is what Nix says of one that it tries again, by host and the rest.
var download = regexp.MustCompile(`(unable to download '[^:/']+://[^/']*)/.*?'(: |; |$)`)

// tell logs what is no error.
func (j *journal) tell(text string) {
	text = WithoutLogins(text)
	if j.node != "" && !j.trace { // perhaps for a key, whose errors show no address
		text = download.ReplaceAllString(text, "$1/"+NotShown+"'$2")
	}
	if what := j.node + "\x00" + text; j.told[what] {
		return
	} else if j.told != nil {
		j.told[what] = true
	}
	for _, kind := range []struct {
		prefix string
		level  zerolog.Level
	}{
		{"trace: warning: ", zerolog.WarnLevel}, {"trace: evaluation warning: ", zerolog.WarnLevel}, // lib.warn and config.warnings
		{"trace: ", zerolog.InfoLevel}, {"warning: ", zerolog.WarnLevel}, {"evaluation warning: ", zerolog.WarnLevel},
		{"", zerolog.DebugLevel},
	} {
		if rest, ok := strings.CutPrefix(text, kind.prefix); ok {
			switch {
			case j.node == "":
				j.log.WithLevel(kind.level).Msg(rest)
			case kind.level == zerolog.WarnLevel:
				j.remember(rest)
			default:
				j.log.WithLevel(kind.level).Str("node", j.node).Msg(rest)
			}
			return
		}
	}
}

// color is how Nix marks words, whatever its output is.
var color = regexp.MustCompile("\x1b\\[[0-9;]*m")

func uncolored(text string) string { return color.ReplaceAllString(text, "") }

func (e *entry) uncolor() {
	e.Msg = strings.TrimSpace(uncolored(e.Msg))
	if e.Raw != nil {
		raw := strings.TrimSpace(uncolored(*e.Raw))
		e.Raw = &raw
	}
	for i, f := range e.Trace {
		e.Trace[i].Raw = strings.TrimSuffix(strings.TrimSpace(uncolored(f.Raw)), ":")
	}
}
