package report

import (
	"github.com/rs/zerolog"

	"github.com/colmena-go/colmena-go/pkg/deploy"
)

// Log is a [deploy.Sink] for programs: every event is one entry of a log.
type Log struct {
	log     zerolog.Logger
	verbose bool
}

// NewLog returns a Log. verbose also logs what programs print.
func NewLog(log zerolog.Logger, verbose bool) *Log { return &Log{log, verbose} }

// kinds are the values of the field "event".
var kinds = map[deploy.EventKind]string{
	deploy.EventBegin: "begin", deploy.EventOutput: "output", deploy.EventNote: "note",
	deploy.EventWarn: "warning", deploy.EventEnd: "end",
}

// Emit implements [deploy.Sink].
func (l *Log) Emit(e deploy.Event) {
	entry := l.log.Info()
	switch {
	case e.Kind == deploy.EventPrivate, e.Kind == deploy.EventOutput && !l.verbose:
		return
	case e.Kind == deploy.EventWarn:
		entry = l.log.Warn()
	}
	entry.Str("node", e.Node).Str("step", string(e.Step)).Str("event", kinds[e.Kind]).Msg(e.Text)
}
