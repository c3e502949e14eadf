// Package runlog keeps all that the last runs said, in a file for each node: what scrolled
// by, and what was not shown. It belongs to this user alone, is bounded in number and
// size, and holds no secret, as events hold none but in those lines that it leaves out:
// what a user's own command prints is theirs to keep.
package runlog

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/event"
	"github.com/colmena-go/colmena-go/pkg/plan"
	"github.com/colmena-go/colmena-go/pkg/printable"
)

// Bounds of a run; see also those of all runs in folder.go.
const (
	mostPerFile = 512 << 10 // bytes; as many again are kept of what came before
	mostPerRun  = 64 << 20  // bytes of output, after which only steps and failures are kept
	mostWaiting = 8 << 20   // bytes that wait for a slow disk
	flushEvery  = time.Second
	longestLook = time.Second // for a disk, before a file is named
)

// Log is that of one run, a [event.Sink] that waits for no disk.
type Log struct {
	folder *folder

	mu      sync.Mutex
	waiting map[string]*bytes.Buffer // by file
	size    int                      // of what waits
	dropped int                      // lines
	kept    int64                    // bytes, of the whole run
	torn    bool                     // the disk did not take all of it

	due         chan chan struct{} // what waits is to be written, and that to be told
	over, ended chan struct{}
	close       sync.Once
}

// Open begins the log of a run in a folder of its own below dir, which is made, and
// removes those of the oldest runs. It fails where dir is not this user's alone.
func Open(dir, command string, begin time.Time) (*Log, error) {
	f, err := newFolder(dir, fmt.Sprintf("%s-%s", begin.Format("20060102-150405"), safe(command)))
	if err != nil {
		return nil, fmt.Errorf("no log is kept of what this run says: %w", err)
	}
	l := &Log{folder: f, waiting: map[string]*bytes.Buffer{}, due: make(chan chan struct{}), over: make(chan struct{}), ended: make(chan struct{})}
	go crash.Guarded(l.work)()
	return l, nil
}

// Path is the file of a node, that of the run as a whole for ""; "" where the disk has
// not taken all of it. What waits is written before.
func (l *Log) Path(node string) string {
	if l.isTorn() || !l.settled() {
		return ""
	}
	return filepath.Join(l.folder.path, fileOf(node))
}

// settled has what waits be written and reports whether the disk has taken all.
func (l *Log) settled() bool {
	ctx, cancel := context.WithTimeout(context.Background(), longestLook)
	defer cancel()
	written := make(chan struct{})
	select {
	case l.due <- written:
	case <-l.ended:
		return !l.isTorn()
	case <-ctx.Done():
		l.tear()
		return false
	}
	select {
	case <-written:
	case <-ctx.Done():
		l.tear()
	}
	return !l.isTorn()
}

func (l *Log) isTorn() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.torn
}

func (l *Log) tear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.torn = true
}

func fileOf(node string) string {
	if node == "" {
		return "run.log"
	}
	return "node-" + safe(node) + ".log"
}

// safe is a text as part of a file's name, by which no two are one.
func safe(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		plain := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' && i > 0
		if plain {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	if b.Len() > 180 { // of 255 that a name may have
		return b.String()[:140] + fmt.Sprintf("_%x", sum(text))
	}
	return b.String()
}

// kinds are how lines begin.
var kinds = map[event.Kind]string{event.Begin: "begin", event.Output: "|", event.Note: "note", event.Warn: "warning", event.End: "end"}

// Emit implements [event.Sink].
func (l *Log) Emit(e event.Event) {
	kind, known := kinds[e.Kind]
	ofRun := e.Kind == event.Diagnostic || e.Kind == event.Debug
	if !known && !ofRun || e.Silent() && e.Kind != event.Begin || e.Kind == event.Output && e.Step == plan.Exec {
		return
	}
	var line strings.Builder
	line.WriteString(e.Time.Format("15:04:05.000 "))
	if !ofRun {
		fmt.Fprintf(&line, "%s %s ", e.Step, kind)
	}
	line.WriteString(strings.ReplaceAll(printable.Text(strings.TrimRight(e.Text, "\n")), "\n", "\n  "))
	line.WriteByte('\n')
	l.put(fileOf(e.Node), line.String(), e.Kind == event.Output || e.Kind == event.Debug)
}

func (l *Log) put(file, line string, mayDrop bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if mayDrop && (l.kept > mostPerRun || l.size+len(line) > mostWaiting) {
		l.dropped++
		return
	}
	if l.dropped > 0 {
		line = fmt.Sprintf("(%d lines of output of this run are not kept before this one)\n", l.dropped) + line
		l.dropped = 0
	}
	b := l.waiting[file]
	if b == nil {
		b = &bytes.Buffer{}
		l.waiting[file] = b
	}
	b.WriteString(line)
	l.size, l.kept = l.size+len(line), l.kept+int64(len(line))
}

// work writes now and then what waits.
func (l *Log) work() {
	defer close(l.ended)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.flush()
		case written := <-l.due:
			l.flush()
			close(written)
		case <-l.over:
			l.flush()
			l.folder.close()
			return
		}
	}
}

func (l *Log) flush() {
	l.mu.Lock()
	waiting := l.waiting
	l.waiting, l.size = map[string]*bytes.Buffer{}, 0
	l.mu.Unlock()
	for file, text := range waiting {
		if l.folder.append(file, text.Bytes()) != nil { // a full disk must not stop a deployment
			l.tear()
		}
	}
}

// Close writes what waits, unless the disk takes longer than limit.
func (l *Log) Close(limit time.Duration) {
	l.close.Do(func() { close(l.over) })
	select {
	case <-l.ended:
	case <-time.After(limit):
	}
}

// Dir is where the logs of this user's runs are, "" where there is no place for them.
func Dir(getenv func(string) string) string {
	if dir := getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "colmena-go", "runs")
	}
	home := getenv("HOME")
	if info, err := os.Stat(home); home == "" || err != nil || !info.IsDir() {
		return ""
	}
	return filepath.Join(home, ".local", "state", "colmena-go", "runs")
}
