package nixbuild

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/colmena-go/colmena-go/pkg/hive"
	"github.com/colmena-go/colmena-go/pkg/nix"
)

// buildLog reads what `nix-store --realise --log-format internal-json` says, a
// line at a time. It keeps the last lines of every builder at work, and of those
// that failed.
type buildLog struct {
	running   map[uint64]*work // activities about one derivation or path
	inOrder   []uint64         // their ids, oldest first
	ended     []*work          // the last that had output
	counting  uint64           // the activity that counts all builds
	counts    buildCounts
	failures  []*failedDrv
	unplaced  []string // errors that name no derivation
	summaries []string // errors that only say that another one was
}

// work is one thing that Nix does: it builds a derivation, fetches a path, or
// waits for another Nix that does.
type work struct {
	path  string // of the store; the derivation's, for a build
	kind  int
	lines []string
}

// failedDrv is a derivation that failed by itself, not through another one.
type failedDrv struct {
	path   string   // the derivation's
	reason string   // what Nix says of it
	lines  []string // the builder's last
}

// buildCounts are of the builds of one Nix process.
type buildCounts struct{ done, expected, failed int }

func (c buildCounts) left() int { return max(0, c.expected-c.done-c.failed) }

// Kinds of activities and results (Nix, logging.hh).
const (
	actCopyPath     = 100
	actBuilds       = 104
	actBuild        = 105
	actSubstitute   = 108
	actBuildWaiting = 111

	resPostBuildLogLine = 107
	resProgress         = 105
)

// logEvent is what a line means to who waits for builds.
type logEvent struct {
	kind  logKind
	path  string // of the store, "" if it is about none
	build bool   // of workBegan: it is built here, or by a remote builder
	text  string
}

type logKind int

const (
	nothing    logKind = iota
	workBegan          // text says what, for people
	workSaid           // text is a line of its output
	workMoved          // something is over: paths may have become valid
	workFailed         // text is the reason
	nixPlans           // text is how much there is to do
	nixSaid            // text is worth telling, but of no derivation
)

// logObject is a line of the log; see [entry] for those of an evaluation.
type logObject struct {
	Action string  `json:"action"`
	ID     uint64  `json:"id"`
	Type   int     `json:"type"`
	Fields []any   `json:"fields"`
	Level  int     `json:"level"`
	Text   string  `json:"text"`
	Msg    string  `json:"msg"`
	Raw    *string `json:"raw_msg"` // absent when a daemon passed the message on
}

// field i of an object, "" if it is no string.
func (o *logObject) field(i int) string {
	if i >= len(o.Fields) {
		return ""
	}
	text, _ := o.Fields[i].(string)
	return text
}

// line is told each line of Nix's stderr.
func (l *buildLog) line(text string) logEvent {
	object, ok := strings.CutPrefix(text, "@nix ")
	o := &logObject{}
	if !ok || json.Unmarshal([]byte(object), o) != nil {
		return logEvent{kind: nixSaid, text: shortLine(text)} // ssh to a remote builder, say
	}
	switch o.Action {
	case "start":
		return l.start(o)
	case "stop":
		return l.stop(o.ID)
	case "result":
		return l.result(o)
	case "msg":
		return l.message(o)
	}
	return logEvent{}
}

func (l *buildLog) start(o *logObject) logEvent {
	w := &work{kind: o.Type, path: o.field(0)}
	verb := "building "
	switch o.Type {
	case actBuilds:
		l.counting = o.ID
		return logEvent{}
	case actBuild:
	case actCopyPath, actSubstitute:
		verb = "fetching "
	case actBuildWaiting:
		verb = "waiting for another Nix: "
		w.path = strings.TrimSuffix(storePath.FindString(nix.Uncolored(o.Text)), ".lock")
	default:
		return logEvent{}
	}
	if w.path == "" {
		return logEvent{}
	}
	if l.running == nil {
		l.running = map[uint64]*work{}
	}
	l.stop(o.ID) // should Nix ever use an id again
	if len(l.running) >= mostAtWork {
		return logEvent{}
	}
	l.running[o.ID] = w
	l.inOrder = append(l.inOrder, o.ID)
	text := verb + storeName(w.path)
	if machine := o.field(1); machine != "" {
		text += map[bool]string{true: " on ", false: " from "}[o.Type == actBuild] + shortLine(machine)
	}
	return logEvent{kind: workBegan, path: w.path, text: text, build: o.Type == actBuild}
}

func (l *buildLog) stop(id uint64) logEvent {
	w := l.running[id]
	if w == nil {
		return logEvent{}
	}
	if len(w.lines) > 0 {
		l.ended = append(l.ended, w)
		l.ended = l.ended[max(0, len(l.ended)-mostEnded):]
	}
	delete(l.running, id)
	l.inOrder = slices.DeleteFunc(l.inOrder, func(i uint64) bool { return i == id })
	return logEvent{kind: workMoved}
}

func (l *buildLog) result(o *logObject) logEvent {
	switch w := l.running[o.ID]; {
	case (o.Type == nix.BuildLogLine || o.Type == resPostBuildLogLine) && w != nil:
		line := shortLine(o.field(0))
		w.lines = append(w.lines, line)
		w.lines = w.lines[max(0, len(w.lines)-nix.BuilderLines):]
		return logEvent{kind: workSaid, path: w.path, text: line}
	case o.Type == resProgress && o.ID == l.counting && len(o.Fields) == 4:
		number := func(i int) int { n, _ := o.Fields[i].(float64); return int(max(0, min(n, mostCounted))) }
		before := l.counts
		l.counts = buildCounts{done: number(0), expected: number(1), failed: number(3)}
		if l.counts.done+l.counts.failed > before.done+before.failed && before.expected > 0 {
			// 2.34 counts what has just ended twice, until the next begins.
			l.counts.expected = min(l.counts.expected, before.expected)
		}
		if before.done != l.counts.done || before.left() > l.counts.left() {
			return logEvent{kind: workMoved}
		}
	}
	return logEvent{}
}

// mostCounted is how many builds are believed: a host may say anything.
const mostCounted = 1_000_000

// mostEnded is of how many finished builds the lines are kept: some versions tell
// of a failure after its activity's end.
const mostEnded = 16

// Levels of messages.
const (
	levelError  = 0
	levelNotice = 2
	levelInfo   = 3
)

// becauseOf matches errors that only pass on another one.
var becauseOf = regexp.MustCompile(`(?is)^\d+ dependenc(y|ies) of derivation .* failed|\nreason: \d+ dependenc(y|ies) failed|^build of .* failed$|^some builds failed|^build failed due to`)

func (l *buildLog) message(o *logObject) logEvent {
	text := strings.TrimSpace(nix.Uncolored(o.Msg))
	switch {
	case o.Level == levelError:
		return l.failed(o)
	case strings.Contains(text, "build-poll-interval"):
		// It is ours, and a daemon may refuse it to who may not set it.
		return logEvent{}
	case o.Level <= levelNotice:
		return logEvent{kind: nixSaid, text: shortLine(text)}
	case o.Level == levelInfo && strings.HasSuffix(text, ":") && strings.Contains(text, " will be "):
		return logEvent{kind: nixPlans, text: shortLine(strings.TrimPrefix(strings.TrimSuffix(text, ":"), "these "))}
	}
	return logEvent{}
}

func (l *buildLog) failed(o *logObject) logEvent {
	text := o.Msg
	if o.Raw != nil {
		text = *o.Raw
	}
	if text = nix.InOldWords(reason(nix.Uncolored(text))); text == "" {
		return logEvent{}
	}
	if becauseOf.MatchString(text) {
		l.summaries = append(l.summaries, text)[:min(len(l.summaries)+1, mostErrors)]
		return logEvent{}
	}
	path := drvPath.FindString(text)
	if path == "" {
		path = storePath.FindString(text)
	}
	if path == "" {
		l.unplaced = append(l.unplaced, text)[:min(len(l.unplaced)+1, mostErrors)]
		return logEvent{}
	}
	if len(l.failures) >= mostFailures || slices.ContainsFunc(l.failures, func(f *failedDrv) bool { return f.path == path }) {
		return logEvent{}
	}
	f := &failedDrv{path: path, reason: text}
	for _, w := range append(l.atWork(), l.ended...) {
		if w.path == path && len(w.lines) > 0 {
			f.lines = slices.Clone(w.lines)
			break
		}
	}
	l.failures = append(l.failures, f)
	return logEvent{kind: workFailed, path: path, text: text}
}

// atWork lists what Nix does now.
func (l *buildLog) atWork() []*work {
	list := make([]*work, len(l.inOrder))
	for i, id := range l.inOrder {
		list[i] = l.running[id]
	}
	return list
}

// What Nix says, of a host too, is kept within bounds: what it does at once, and the
// failures.
const (
	mostAtWork   = 1000
	mostFailures = 1000
)

// waits says what those who need certain paths wait for.
func (l *buildLog) waits(concerns func(path string) bool) string {
	var list []string
	for _, w := range l.atWork() {
		if concerns(w.path) {
			list = append(list, storeName(w.path))
		}
	}
	var text string
	if len(list) > 0 {
		text = "waiting for " + hive.FirstFew(list)
	}
	if l.counts.expected > 0 {
		text = strings.TrimPrefix(fmt.Sprintf("%s, %d of %d builds left", text, l.counts.left(), l.counts.expected), ", ")
	}
	return text
}
