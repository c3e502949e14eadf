package keysource

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"sync"
)

// What a command prints on stderr may be a secret, whole, in pieces or encoded,
// and nothing here can tell. So it is shown live to the terminal alone, where the
// command would have printed it anyway, and is part of an error only on demand.

// ending keeps the last of what is written to it.
type ending struct {
	content []byte
	cut     bool // the first line lacks its beginning
}

// What is shown of a failed command's stderr.
const (
	endingSize  = 16 << 10
	endingLines = 10
)

func (e *ending) Write(p []byte) (int, error) {
	e.content = append(e.content, p...)
	if extra := len(e.content) - endingSize; extra > 0 {
		e.content, e.cut = append(e.content[:0], e.content[extra:]...), true
	}
	return len(p), nil
}

// shown is what an error says of it: how to see it or, if the user asked for
// that, its last lines, each on a line of its own.
func (e *ending) shown(asked, alone bool) string {
	lines := strings.Split(strings.TrimSpace(string(e.content)), "\n")
	if e.cut && len(lines) > 1 {
		lines = lines[1:]
	}
	if lines[0] == "" && len(lines) == 1 {
		return ""
	}
	if !asked {
		return "; pass --show-key-errors to see what it said" + e.advice(alone)
	}
	var b strings.Builder
	for _, line := range lines[max(0, len(lines)-endingLines):] {
		b.WriteString("\n    " + strings.TrimRight(line, "\r"))
	}
	return b.String() + e.advice(alone)
}

// asks: what programs say that want to be told something.
var asks = regexp.MustCompile(`(?i)pass(phrase|word|code)|\bPIN\b|/dev/tty|terminal`)

// advice is for a command that seems to have asked in vain.
func (e *ending) advice(alone bool) string {
	if !alone || !asks.Match(e.content) {
		return ""
	}
	return "\n(a keyCommand has no terminal here and no input: unlock what it asks for before, as with an agent)"
}

// lineSize bounds a line that is shown live; a longer one comes in pieces.
const lineSize = 4096

// lines hands on what is written to it, and each line of it to emit.
type lines struct {
	to   io.Writer
	emit func(line string)

	mu   sync.Mutex
	rest []byte
	tty  io.Writer // where it is at work now, or nil
}

// show has what comes be shown as it is, and what was held back, such as a question:
// the command has the terminal for itself.
func (l *lines) show(tty io.Writer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tty.Write(l.rest)
	l.rest, l.tty = nil, tty
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tty != nil {
		l.tty.Write(p)
	} else if l.emit != nil {
		l.rest = append(l.rest, p...)
		for len(l.rest) > 0 {
			i := bytes.IndexAny(l.rest[:min(len(l.rest), lineSize)], "\r\n")
			if i < 0 && len(l.rest) < lineSize {
				break
			}
			if i < 0 {
				i = lineSize - 1
			}
			if line := strings.TrimRight(string(l.rest[:i+1]), "\r\n"); line != "" {
				l.emit(line)
			}
			l.rest = l.rest[i+1:]
		}
	}
	return l.to.Write(p)
}

// flush hands on what has no end of line: a question, most likely.
func (l *lines) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rest) > 0 && l.emit != nil {
		l.emit(string(l.rest))
	}
	l.rest = nil
}
