package report

import (
	"slices"
	"time"

	"github.com/colmena-go/colmena-go/pkg/event"
)

// quiet passes on what went wrong, or may. What concerns the run as a whole has a level,
// by which who makes its entries chooses.
type quiet struct{ event.Sink }

// Emit implements [event.Sink].
func (q quiet) Emit(e event.Event) {
	bad := e.Kind == event.End && e.Result != nil && !done(e.Result.Status)
	if bad || e.Kind == event.Warn || e.Kind == event.Private || e.Kind == event.Diagnostic {
		q.Sink.Emit(e)
	}
}

// Expect makes room for the names of nodes.
func (q quiet) Expect(nodes []string) {
	if sink, ok := q.Sink.(interface{ Expect([]string) }); ok {
		sink.Expect(nodes)
	}
}

// Summary tells a log how many nodes ended how, if not all ended well.
func (q quiet) Summary(results []event.Result, elapsed time.Duration) {
	log, ok := q.Sink.(*Log)
	if ok && slices.ContainsFunc(results, func(r event.Result) bool { return !done(r.Status) }) {
		log.Summary(results, elapsed)
	}
}
