package report

import (
	"time"

	"github.com/rs/zerolog"

	"github.com/colmena-go/colmena-go/pkg/deploy"
)

// Log is a [deploy.Sink] for programs: every event is one entry of a log.
type Log struct {
	log, output zerolog.Logger // output may lose entries
	verbose     bool
}

// NewLog returns a Log. verbose also logs what programs print.
func NewLog(t *Terminal, verbose bool) *Log {
	log := t.Logger(zerolog.InfoLevel, false)
	return &Log{log: log, output: log.Output(t.Output()), verbose: verbose}
}

// kinds are the values of the field "event".
var kinds = map[deploy.EventKind]string{
	deploy.EventBegin: "begin", deploy.EventOutput: "output", deploy.EventNote: "note",
	deploy.EventWarn: "warning", deploy.EventEnd: "end",
}

// levels are those of a node's end; all others are info.
var levels = map[deploy.Status]zerolog.Level{deploy.Failed: zerolog.ErrorLevel, deploy.Cancelled: zerolog.WarnLevel}

func levelOf(status deploy.Status) zerolog.Level {
	if level, ok := levels[status]; ok {
		return level
	}
	return zerolog.InfoLevel
}

// Emit implements [deploy.Sink].
func (l *Log) Emit(e deploy.Event) {
	entry := l.log.Info()
	switch {
	case e.Silent(), e.Kind == deploy.EventPrivate, e.Kind == deploy.EventOutput && !l.verbose:
		return
	case e.Kind == deploy.EventOutput:
		entry = l.output.Info()
	case e.Kind == deploy.EventWarn:
		entry = l.log.Warn()
	case e.Kind == deploy.EventEnd && e.Result != nil:
		entry = l.log.WithLevel(levelOf(e.Result.Status)).Str("status", string(e.Result.Status)).Float64("seconds", seconds(e.Result.Elapsed))
		if e.Result.Err != nil {
			entry = entry.Str("error", e.Result.Err.Error())
		}
		if len(e.Result.Tail) > 0 {
			entry = entry.Strs("output", e.Result.Tail)
		}
	}
	entry.Str("node", e.Node).Str("step", string(e.Step)).Str("event", kinds[e.Kind]).Msg(e.Text)
}

// Summary logs how many nodes ended how: the last entry of a deployment.
func (l *Log) Summary(results []deploy.Result, elapsed time.Duration) {
	count := countOf(results)
	level := zerolog.InfoLevel
	switch {
	case count[deploy.Failed] > 0:
		level = zerolog.ErrorLevel
	case count[deploy.Cancelled]+count[left] > 0:
		level = zerolog.WarnLevel
	}
	entry := l.log.WithLevel(level).Str("event", "summary").Int("nodes", len(results))
	for _, status := range []deploy.Status{deploy.Succeeded, deploy.Failed, deploy.SkippedNode, deploy.Cancelled, left} {
		entry = entry.Int(string(status), count[status])
	}
	entry.Float64("seconds", seconds(elapsed)).Msg(summary(results))
}

func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }
