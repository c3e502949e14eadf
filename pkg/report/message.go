package report

import (
	"bytes"
	"fmt"
	"io"

	"github.com/rs/zerolog"
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

// Logger is the log for diagnostics from a level on.
func (t *Terminal) Logger(level zerolog.Level, style Style) zerolog.Logger {
	log := zerolog.New(diagnostics{t, style}).Level(level)
	if t.InJSON() {
		log = log.With().Timestamp().Logger()
	}
	return log
}

// diagnostics is where the log writes. What only --verbose shows may be dropped
// when nobody reads it.
type diagnostics struct {
	t     *Terminal
	style Style
}

// Write implements io.Writer.
func (d diagnostics) Write(p []byte) (int, error) { return d.WriteLevel(zerolog.InfoLevel, p) }

// WriteLevel implements zerolog.LevelWriter.
func (d diagnostics) WriteLevel(level zerolog.Level, p []byte) (int, error) {
	var out io.Writer = d.t
	if level <= zerolog.DebugLevel {
		out = d.t.Output()
	}
	if d.t.InJSON() {
		return out.Write(p)
	}
	return zerolog.ConsoleWriter{
		Out: out, NoColor: !bool(d.style),
		PartsExclude: []string{zerolog.TimestampFieldName},
		FormatPrepare: func(entry map[string]any) error {
			if text, ok := entry[zerolog.MessageFieldName].(string); ok {
				entry[zerolog.MessageFieldName] = indented(about(entry)+text, "    ")
			}
			return nil
		},
	}.Write(p)
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
