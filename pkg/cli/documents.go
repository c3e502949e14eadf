package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"github.com/colmena-go/colmena-go/pkg/crash"
	"github.com/colmena-go/colmena-go/pkg/outfile"
	"github.com/colmena-go/colmena-go/pkg/record"
	"github.com/colmena-go/colmena-go/pkg/report"
)

// documents are what a run leaves for programs and for later, besides what it shows.
type documents struct {
	run    *report.Run
	events *report.Events // nil without --json-events
	files  []document
	once   sync.Once
	err    error // of writing them
}

// document is a file that is written at the end, whichever that is.
type document struct {
	flag string
	file *outfile.File
	form func(io.Writer, *record.Record) error
}

// Modes of new files. What hosts printed is in the first, and is not for everybody; the
// program that collects metrics is another user.
const (
	modePrivate fs.FileMode = 0o600
	modePublic  fs.FileMode = 0o644
)

// forms are the files that a run can leave.
var forms = []struct {
	flag string
	mode fs.FileMode
	form func(io.Writer, *record.Record) error
}{
	{"report", modePrivate, report.Page},
	{"metrics", modePublic, report.Metrics},
	{"trace", modePrivate, report.Trace},
}

// fileFlags name the files.
func fileFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "report", Usage: "write an HTML page to `FILE` at the end: results, timeline, changes, failures"},
		&cli.StringFlag{Name: "metrics", Usage: "write metrics to `FILE` at the end, for Prometheus' textfile collector"},
		&cli.StringFlag{Name: "trace", Usage: "write the timeline to `FILE` at the end, for Perfetto and chrome://tracing"},
	}
}

func eventsFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json-events", Usage: "print every event as JSON on standard output, one a line, as it happens"}
}

// leaving is the name, in the app's metadata, of the documents of the run.
const leaving = "leaving"

func leftBy(app *cli.App) *atomic.Pointer[documents] {
	return app.Metadata[leaving].(*atomic.Pointer[documents])
}

// newDocuments reads the flags, and fails for a file that cannot be written. From now
// on the documents are written when the program ends.
func newDocuments(c *cli.Context, run *report.Run, events *report.Events) error {
	d := &documents{run: run, events: events}
	for _, form := range forms {
		if !c.IsSet(form.flag) {
			continue
		}
		file, err := outfile.New(c.String(form.flag), form.mode)
		if err != nil {
			return usage("--%s: %v", form.flag, err)
		}
		for _, other := range d.files {
			if other.file.Path() == file.Path() {
				return usage("--%s and --%s name one file: each needs its own", other.flag, form.flag)
			}
		}
		d.files = append(d.files, document{form.flag, file, form.form})
	}
	leftBy(c.App).Store(d)
	return nil
}

// newEvents is the stream of --json-events, nil without it.
func newEvents(c *cli.Context, r *record.Record) *report.Events {
	if !c.Bool("json-events") {
		return nil
	}
	return report.NewEvents(screen(c.App).Beside(c.App.Writer), r)
}

// errUnwritten is returned once it is told which documents could not be written.
var errUnwritten = errors.New("not every document could be written")

// writeDocuments writes what a run leaves that ended so, once, and tells what cannot be
// written. Its error is that of the run, if it has one.
func writeDocuments(app *cli.App, ended error) error {
	d := leftBy(app).Load()
	if d == nil || exitCode(ended) == ExitUsage {
		return ended
	}
	d.once.Do(func() {
		if d.err = d.write(ended); d.err != nil {
			screen(app).Tell(zerolog.ErrorLevel, d.err.Error())
		}
	})
	if ended == nil && d.err != nil {
		return errUnwritten
	}
	return ended
}

// eventsOf is the stream of events, if there is one.
func eventsOf(app *cli.App) waited {
	if d := leftBy(app).Load(); d != nil && d.events != nil {
		return d.events
	}
	return nil
}

// write writes all of it; what cannot be written keeps nothing else from being.
func (d *documents) write(ended error) (err error) {
	defer crash.Recover(&err)
	why := ended
	if errors.Is(ended, errNodesFailed) || errors.Is(ended, errChanges) || errors.Is(ended, errBug) || errors.Is(ended, errInterrupted) {
		why = nil // which the nodes, or the outcome, tell
	}
	r := d.run.Close(outcomes[exitCode(ended)], why)
	var list []error
	for _, document := range d.files {
		if err := document.write(r); err != nil {
			list = append(list, fmt.Errorf("--%s: %w", document.flag, err))
		}
	}
	return errors.Join(list...)
}

func (d document) write(r *record.Record) error {
	var text bytes.Buffer
	if err := d.form(&text, r); err != nil {
		return err
	}
	return d.file.Write(text.Bytes())
}

// outcomes are how runs end that begin.
var outcomes = map[int]record.Outcome{
	ExitOK: record.AllDone, ExitChanges: record.AllDone, ExitFailed: record.NotAllDone, ExitBug: record.Bug, ExitInterrupted: record.Interrupted,
}
