package report

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"

	"github.com/colmena-go/colmena-go/pkg/event"
)

const levelWarn = zerolog.WarnLevel

// Tell says what concerns the whole run.
func (t *Terminal) Tell(level zerolog.Level, text string) { t.Print(t.message(level, text)) }

func (t *Terminal) message(level zerolog.Level, text string) string {
	if !t.InJSON() {
		return "colmena-go: " + indented(text, "  ") + "\n"
	}
	var line bytes.Buffer
	log := zerolog.New(&line).With().Timestamp().Logger()
	log.WithLevel(level).Msg(text)
	return line.String()
}

// Logger is the log of those who know only zerolog: its entries, from a level on,
// are events.
func Logger(sink event.Sink, level zerolog.Level) zerolog.Logger {
	return zerolog.New(asEvents{sink}).Level(level).With().Timestamp().Logger()
}

type asEvents struct{ event.Sink }

// Write implements io.Writer.
func (w asEvents) Write(p []byte) (int, error) { return w.WriteLevel(zerolog.InfoLevel, p) }

// WriteLevel implements zerolog.LevelWriter.
func (w asEvents) WriteLevel(level zerolog.Level, p []byte) (int, error) {
	e := event.Event{Time: time.Now(), Kind: event.Diagnostic, Text: string(p)}
	if level <= zerolog.DebugLevel {
		e.Kind = event.Debug
	}
	w.Emit(e)
	return len(p), nil
}

// diagnose prints an entry of a log. What is for finding faults may be dropped when
// nobody reads it.
func (t *Terminal) diagnose(e event.Event, style Style, prefix string) {
	var out io.Writer = t
	if e.Kind == event.Debug {
		out = t.Output()
	}
	if t.InJSON() {
		io.WriteString(out, e.Text)
		return
	}
	var line bytes.Buffer
	zerolog.ConsoleWriter{
		Out: &line, NoColor: !bool(style),
		PartsExclude: []string{zerolog.TimestampFieldName},
		FormatPrepare: func(entry map[string]any) error {
			if text, ok := entry[zerolog.MessageFieldName].(string); ok {
				entry[zerolog.MessageFieldName] = indented(about(entry)+text, "    ")
			}
			return nil
		},
	}.Write([]byte(e.Text))
	io.WriteString(out, prefix+line.String())
}

// namesWidth is how many columns the names before a message may take.
const namesWidth = 60

// about takes the nodes out of a log's entry, as they stand before its message:
// all of them if there is room, and else how many more there are.
func about(entry map[string]any) string {
	var names []string
	if node, ok := entry["node"].(string); ok {
		names = []string{node}
	} else if nodes, ok := entry["nodes"].([]any); ok {
		for _, node := range nodes {
			names = append(names, fmt.Sprint(node))
		}
	}
	delete(entry, "node")
	delete(entry, "nodes")
	if len(names) == 0 {
		return ""
	}
	text := label(names[0])
	for i, name := range names[1:] {
		next := ", " + label(name)
		if len(text)+len(next) > namesWidth {
			return fmt.Sprintf("%s and %d more: ", text, len(names)-1-i)
		}
		text += next
	}
	return text + ": "
}
