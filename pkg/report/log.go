package report

import (
	"time"

	"github.com/rs/zerolog"

	"github.com/colmena-go/colmena-go/pkg/event"
)

// Log is a [event.Sink] for programs: every event is one entry of a log.
type Log struct {
	t           *Terminal
	log, output zerolog.Logger // output may lose entries
	verbose     bool
}

// NewLog returns a Log. verbose also logs what programs print.
func NewLog(t *Terminal, verbose bool) *Log {
	log := zerolog.New(t)
	return &Log{t: t, log: log, output: log.Output(t.Output()), verbose: verbose}
}

// kinds are the values of the field "event".
var kinds = map[event.Kind]string{
	event.Begin: "begin", event.Output: "output", event.Note: "note", event.Still: "note",
	event.Warn: "warning", event.End: "end",
}

// levels are those of a node's end; all others are info.
var levels = map[event.Status]zerolog.Level{event.Failed: zerolog.ErrorLevel, event.Cancelled: zerolog.WarnLevel}

func levelOf(status event.Status) zerolog.Level {
	if level, ok := levels[status]; ok {
		return level
	}
	return zerolog.InfoLevel
}

// Emit implements [event.Sink].
func (l *Log) Emit(e event.Event) {
	entry := l.log.Info()
	switch {
	case e.Silent(), e.Kind == event.Private, e.Kind == event.Output && !l.verbose:
		return
	case e.Kind == event.Diagnostic, e.Kind == event.Debug:
		l.t.diagnose(e, false, "")
		return
	case e.Kind == event.Output:
		entry = l.output.Info()
	case e.Kind == event.Warn:
		entry = l.log.Warn()
	case e.Kind == event.End && e.Result != nil:
		entry = l.log.WithLevel(levelOf(e.Result.Status)).Str("status", string(e.Result.Status)).Float64("seconds", seconds(e.Result.Elapsed))
		if e.Result.Err != nil {
			entry = entry.Str("error", e.Result.Err.Error())
		}
		if len(e.Result.Tail) > 0 {
			entry = entry.Strs("output", e.Result.Tail)
		}
	}
	entry.Str("node", e.Node).Str("step", string(e.Step)).Str("event", kinds[e.Kind]).
		Time(zerolog.TimestampFieldName, e.Time).Msg(e.Text)
}

// Expect implements printer: entries have no columns.
func (l *Log) Expect([]string) {}

// End logs how many nodes ended how: the last entry of a deployment.
func (l *Log) End(results []event.Result, _ string, took time.Duration) {
	count := countOf(results)
	level := zerolog.InfoLevel
	switch {
	case count[event.Failed] > 0:
		level = zerolog.ErrorLevel
	case count[event.Cancelled]+count[left] > 0:
		level = zerolog.WarnLevel
	}
	entry := l.log.WithLevel(level).Str("event", "summary").Int("nodes", len(results))
	for _, status := range []event.Status{event.Succeeded, event.Failed, event.Skipped, event.Cancelled, left} {
		entry = entry.Int(string(status), count[status])
	}
	entry.Float64("seconds", seconds(took)).Timestamp().Msg(summary(results))
}

func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }
